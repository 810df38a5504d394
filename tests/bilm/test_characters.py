"""Character ids against a plain rewrite of bilm-tf's scheme."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.bilm import boundary_ids, encode_sentences, encode_words
from tests.reference.bilm import character_ids

# every character there is, lone surrogates and control characters included
anything = st.text(st.characters(exclude_categories=()), max_size=70) | st.sampled_from(["<S>", "</S>", "", "\ud800"])


@settings(derandomize=True, deadline=None)
@given(st.lists(anything, max_size=6), st.integers(3, 60))
def test_any_word(words, longest):
    got = encode_words(words, max_characters=longest)
    assert got.tolist() == [character_ids(word, longest) for word in words]
    assert got.shape == (len(words), longest)


def test_a_word_by_hand():
    assert encode_words(["Aé"], max_characters=7).tolist() == [[259, 66, 196, 170, 260, 261, 261]]
    assert encode_words(["abcdef"], max_characters=5).tolist() == [[259, 98, 99, 100, 260]]
    assert encode_words(["\ud800\x00"], max_characters=4).tolist() == [[259, 1, 260, 261]]
    assert encode_words([""], max_characters=4).tolist() == [[259, 260, 261, 261]]
    assert boundary_ids(max_characters=4).tolist() == [[259, 257, 260, 261], [259, 258, 260, 261]]


def test_a_word_of_a_million_characters():
    assert encode_words(["x" * 1_000_000]).tolist() == [[259, *[121] * 48, 260]]


@settings(derandomize=True, deadline=None)
@given(st.lists(st.lists(anything, max_size=5), max_size=4))
def test_sentences_are_words_and_zeros(sentences):
    got = encode_sentences(sentences)
    assert got.shape == (len(sentences), max(map(len, sentences), default=0), 50)
    assert got.dtype == np.int16
    for row, words in zip(got, sentences, strict=True):
        assert row[: len(words)].tolist() == encode_words(words).tolist()
        assert not row[len(words) :].any()
