import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elmo_tagger.tagging.schemes import SCHEMES, conlleval_spans, get_scheme, join_tag
from elmo_tagger.tagging.span_arrays import PADDING, SpanArrays, TagTable, count_matches
from elmo_tagger.tagging.strict import strict_spans
from tests.reference.counting import count_conlleval, count_strict

TYPES = ["A", "B-c"]


def tags_of(name: str) -> list[str]:
    letters = get_scheme(name).letters
    return ["O", *(join_tag(letter, entity_type) for letter in letters for entity_type in TYPES)]


def padded(sentences: list[list[int]]) -> np.ndarray:
    ids = np.full((len(sentences), max(map(len, sentences), default=0)), PADDING, dtype=np.int64)
    for row, sentence in zip(ids, sentences, strict=True):
        row[: len(sentence)] = sentence
    return ids


def listed(spans: SpanArrays, table: TagTable) -> list[tuple[int, int, int, str]]:
    rows = zip(*(column.tolist() for column in spans), strict=True)
    return [(sentence, start, end, table.types[kind]) for sentence, start, end, kind in rows]


@st.composite
def batches(draw: st.DrawFn) -> tuple[str, list[list[int]], list[list[int]]]:
    """A scheme and two equally shaped batches of any tags, ill-formed ones included."""
    name = draw(st.sampled_from(sorted(SCHEMES)))
    size = len(tags_of(name))
    lengths = draw(st.lists(st.integers(0, 7), min_size=1, max_size=4))
    rows = [st.lists(st.integers(0, size - 1), min_size=n, max_size=n) for n in lengths]
    return name, draw(st.tuples(*rows).map(list)), draw(st.tuples(*rows).map(list))


@given(batches())
def test_arrays_give_the_spans_of_the_plain_definitions(batch: tuple[str, list[list[int]], list[list[int]]]) -> None:
    name, sentences, _ = batch
    table = TagTable(tags_of(name), name)
    for array, plain in (
        (table.conlleval_spans, conlleval_spans),
        (table.strict_spans, lambda tags: strict_spans(tags, name)),
    ):
        expected = [
            (index, *span)
            for index, sentence in enumerate(sentences)
            for span in plain([table.tags[tag] for tag in sentence])
        ]
        assert listed(array(padded(sentences)), table) == expected


@given(batches())
def test_counts_equal_the_sentence_by_sentence_counts(batch: tuple[str, list[list[int]], list[list[int]]]) -> None:
    name, gold, predicted = batch
    table = TagTable(tags_of(name), name)
    words = [[[table.tags[tag] for tag in sentence] for sentence in side] for side in (gold, predicted)]
    for read, expected in (
        (table.strict_spans, count_strict(*words, name)),
        (table.conlleval_spans, count_conlleval(*words)),
    ):
        counts = count_matches(read(padded(gold)), read(padded(predicted)), len(table.types))
        assert {t: list(c) for t, c in zip(table.types, counts.tolist(), strict=True) if any(c)} == expected.state()


def test_without_a_scheme_both_readings_are_conllevals() -> None:
    table = TagTable(["O", "I-A", "B-A"])
    ids = np.array([[1, 1, 0, 1, 2]])
    assert listed(table.strict_spans(ids), table) == [(0, 0, 2, "A"), (0, 3, 4, "A"), (0, 4, 5, "A")]
    assert listed(table.strict_spans(ids), table) == listed(table.conlleval_spans(ids), table)


@pytest.mark.parametrize("tags", [[], ["O"]])
def test_vocabularies_without_entities_count_nothing(tags: list[str]) -> None:
    table = TagTable(tags, "BIO")
    spans = table.strict_spans(np.zeros((2, 3 if tags else 0), dtype=np.int64))
    assert count_matches(spans, spans, len(table.types)).tolist() == []
