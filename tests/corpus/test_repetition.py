from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elmo_tagger.corpus import fingerprints, inconsistency
from elmo_tagger.corpus.duplicates import find_duplicates
from elmo_tagger.corpus.inconsistency import find_inconsistencies
from elmo_tagger.corpus.store import Ids, Store, StoreBuilder
from elmo_tagger.tagging.schemes import conlleval_spans
from elmo_tagger.text.sentence import Sentence
from tests.reference import repetition

TAGGED = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["O", "O", "B-X", "I-X", "B-Y"])), min_size=1, max_size=6
)
FILES = st.lists(st.lists(TAGGED, min_size=1, max_size=5), min_size=1, max_size=3)


def stores_of(files: list[list[list[tuple[str, str]]]]) -> tuple[dict[str, Store], list[list[repetition.Tagged]]]:
    words, types = Ids(), Ids()
    stores, plain = {}, []
    for number, file in enumerate(files):
        builder = StoreBuilder(words, types)
        plain.append([])
        for pairs in file:
            tokens, tags = ([pair[side] for pair in pairs] for side in (0, 1))
            builder.add(Sentence(tokens, tags), conlleval_spans(tags))
            plain[-1].append((tokens, conlleval_spans(tags)))
        stores[f"file{number}"] = builder.build()
    return stores, plain


@pytest.mark.parametrize("block", [None, 3])
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=FILES)
def test_both_are_their_slow_twins_whatever_the_block_size(
    block: int | None, files: list[list[list[tuple[str, str]]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if block is not None:
        monkeypatch.setattr(fingerprints, "_BLOCK", block)
        monkeypatch.setattr(inconsistency, "_BLOCK", block)
    stores, plain = stores_of(files)
    found = {(pair.first, pair.second): pair.sentences for pair in find_duplicates(stores, train="file0")}
    names = list(stores)
    assert found == {
        (names[i], names[j]): count
        for j in range(len(plain))
        for i in range(j + 1)
        if (count := repetition.repeated(plain[i], plain[j]))
    }
    disputed, total = find_inconsistencies(stores, limit=1000)
    assert {item.phrase: item.readings for item in disputed} == repetition.disputed(
        [sentence for file in plain for sentence in file]
    )
    assert total == len(disputed)
    assert [item.minority for item in disputed] == sorted((item.minority for item in disputed), reverse=True)
    assert find_inconsistencies(stores, limit=1)[0] == disputed[:1]


def test_fingerprints_of_slices_are_those_built_word_by_word() -> None:
    tokens = np.arange(20, dtype=np.int32) % 7
    made = fingerprints.Fingerprints(words=7, longest=20)
    begins, lengths = np.array([0, 3, 5, 7]), np.array([3, 0, 1, 12])
    slices = made.of_slices(tokens, begins, lengths)
    for print_, begin, length in zip(slices, begins, lengths, strict=True):
        grown = np.zeros(1, dtype=np.uint64)
        for place in range(length):
            grown = made.extend(grown, place, tokens[begin + place : begin + place + 1])
        assert grown[0] == print_
    assert len(set(slices.tolist())) == 4
