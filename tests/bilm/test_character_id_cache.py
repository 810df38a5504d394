"""Character ids of words that were met before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.bilm import character_id_cache, encode_words
from elmo_tagger.bilm.character_id_cache import CharacterIdCache
from elmo_tagger.bilm.characters import byte_row
from tests.bilm.random_models import WORDS


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.sampled_from(WORDS) | st.text(max_size=3), max_size=6), max_size=8), st.integers(1, 9))
def test_equal_to_encoding_anew_whatever_came_before(sentences, room):
    rows = CharacterIdCache(max_characters=12, words=room)
    for words in sentences:
        got = rows.encode(words)
        assert got.dtype == np.int16
        np.testing.assert_array_equal(got, encode_words(words, max_characters=12))
        assert len(rows) <= room


def test_a_word_is_encoded_once(monkeypatch):
    encoded = []

    def note(word, max_characters):
        encoded.append(word)
        return byte_row(word, max_characters)

    monkeypatch.setattr(character_id_cache, "byte_row", note)
    rows = CharacterIdCache(words=3)
    for words in (["a", "b", "a"], ["b", "c"], ["a"]):
        rows.encode(words)
    assert encoded == ["a", "b", "c"]
    rows.encode(["d"])  # more than there is room for
    assert len(rows) == 1
    rows.encode(["a"])
    assert encoded == ["a", "b", "c", "d", "a"]


def test_what_comes_back_is_a_copy():
    rows = CharacterIdCache()
    for _ in range(2):
        rows.encode(["a"])[:] = 0
    np.testing.assert_array_equal(rows.encode(["a"]), encode_words(["a"]))


def test_no_words():
    assert CharacterIdCache(max_characters=7).encode([]).shape == (0, 7)


@pytest.mark.parametrize("word", ["x" * 100, "é" * 30])
def test_long_words_are_cut_alike(word):
    np.testing.assert_array_equal(CharacterIdCache().encode([word]), encode_words([word]))
