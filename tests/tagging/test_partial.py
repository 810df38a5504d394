"""Partial labels, against all tag sequences listed one by one."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.tagging import partial, schemes
from elmo_tagger.tagging.detection import detect_scheme
from elmo_tagger.tagging.schemes import SCHEMES, TagSchemeError, alternatives, join_tag, split_tag
from elmo_tagger.text.sentence import Sentence, Span

TYPES = ("A", "B")


def tags_of(scheme: str, types: tuple[str, ...] = TYPES) -> list[str]:
    return ["O", *(join_tag(letter, kind) for kind in types for letter in SCHEMES[scheme].letters)]


def sequences(labels: list[str], scheme: str, types: tuple[str, ...] = TYPES) -> list[tuple[str, ...]]:
    """All well-formed sequences that a sentence's labels allow, of these types."""
    options = [tags_of(scheme, types) if label == "?" else alternatives(label) or (label,) for label in labels]
    return [tags for tags in product(*options) if schemes.is_well_formed(tags, scheme)]


@st.composite
def sentences(draw: st.DrawFn) -> tuple[str, list[str]]:
    scheme = draw(st.sampled_from(sorted(SCHEMES)))
    tag = st.sampled_from(tags_of(scheme))
    choice = st.lists(tag, min_size=1, max_size=4, unique=True).map("|".join)
    return scheme, draw(st.lists(st.one_of(tag, choice, st.just("?")), min_size=1, max_size=4))


@settings(max_examples=300, deadline=None)
@given(sentences())
def test_what_is_certain_open_and_ruled_out_is_what_all_some_and_none_of_the_sequences_have(
    case: tuple[str, list[str]],
) -> None:
    scheme, labels = case
    kinds = (*TYPES, "other")  # an unknown label may be of a type that nobody names
    fitting = sequences(labels, scheme, kinds)
    assert partial.is_well_formed(labels, scheme) == bool(fitting)
    if not fitting:
        with pytest.raises(TagSchemeError):
            partial.read_entities(labels, scheme)
        return
    readings = [set(schemes.tags_to_spans(tags, scheme)) for tags in fitting]
    reading = partial.read_entities(labels, scheme)
    assert set(reading.certain) == set.intersection(*readings)
    every = [
        Span(start, end, kind)
        for start in range(len(labels))
        for end in range(start + 1, len(labels) + 1)
        for kind in kinds
    ]
    some = set.union(*readings)
    assert reading.counted(every) == [span for span in every if span in reading.certain or span not in some]


@settings(max_examples=300, deadline=None)
@given(sentences(), st.sampled_from(sorted(SCHEMES)))
def test_converted_labels_allow_what_the_old_ones_did(case: tuple[str, list[str]], target: str) -> None:
    scheme, labels = case
    fitting = sequences(labels, scheme)
    if not fitting:
        with pytest.raises(TagSchemeError, match="token"):
            partial.convert(labels, scheme, target)
        return
    converted = partial.convert(labels, scheme, target)
    assert [label == "?" for label in converted] == [label == "?" for label in labels]
    allowed = set(sequences(converted, target))
    expected = {tuple(schemes.convert(tags, scheme, target)) for tags in fitting}
    assert expected <= allowed
    if scheme in ("BIO", "IOE2") and target in ("BIOUL", "BIOES", "BMEWO"):  # a tag alone tells the coarser one
        assert expected == allowed
    for position, label in enumerate(converted):
        if label != "?" and scheme != target:  # no tag is named that no sequence has
            assert set(alternatives(label) or (label,)) == {tags[position] for tags in expected}


@settings(max_examples=100, deadline=None)
@given(sentences())
def test_the_scheme_of_partial_labels_is_found(case: tuple[str, list[str]]) -> None:
    scheme, labels = case
    if not sequences(labels, scheme):
        return
    found = detect_scheme([labels])
    assert partial.is_well_formed(labels, found)
    assert list(SCHEMES).index(found) <= list(SCHEMES).index(scheme)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("?", ("?",)),
        ("B-PER|B-ORG", ("B-PER", "B-ORG")),
        ("O|B-MISC|I-MISC", ("O", "B-MISC", "I-MISC")),
        ("B-PER|?", ("?",)),
        ("B|S", ("B", "S")),
        ("O|O", ("O",)),
        ("B-work-of-art|O", ("B-work-of-art", "O")),
        # a type's name may have bars
        ("B-A|B", ()),
        ("B-person|location", ()),
        ("B-law|e-commerce", ()),
        ("B-A|B|I-C", ("B-A|B", "I-C")),
        ("B-A|", ()),
        ("|", ()),
        ("B-PER", ()),
        ("O", ()),
    ],
)
def test_a_bar_parts_tags_and_belongs_to_a_type_otherwise(tag: str, expected: tuple[str, ...]) -> None:
    assert alternatives(tag) == expected
    if expected:
        assert split_tag(tag) == ("", tag)


@pytest.mark.parametrize(
    ("labels", "scheme", "message"),
    [
        ("O I-PER|I-ORG", "BIO", "f:2: I-PER|I-ORG after O: no tags of BIO that these labels allow fit each other"),
        ("O B-PER|S-PER", "BIO", "f:2: 'S-PER' of 'B-PER|S-PER' is no BIO tag: expected O, or one of B, I with a type"),
        ("? B-PER|I-PER", "BIOES", "f:2: B-PER|I-PER at the end of the sentence: no tags of BIOES"),
        ("L-PER|I-PER ?", "BIOUL", r"f:1: L-PER|I-PER at the start of the sentence: no tags of BIOUL"),
        ("B-PER ? I-ORG L-ORG", "BIOUL", "f:3: I-ORG after ?: no tags of BIOUL"),
    ],
)
def test_labels_without_a_sequence_are_named_with_their_line(labels: str, scheme: str, message: str) -> None:
    words = labels.split()
    sentence = Sentence(list("abcd")[: len(words)], words, "f", list(range(1, len(words) + 1)))
    with pytest.raises(TagSchemeError) as error:
        partial.convert(sentence, scheme, "BIO")
    assert message in str(error.value)
    assert [problem for _, problem in partial.problems(sentence, scheme)] == [str(error.value).partition(": ")[2]]


def test_types_that_a_file_does_not_annotate_leave_its_entities_certain() -> None:
    tags = ["B-PER", "O", "B-LOC", "I-LOC", "O", "?", "O|B-ORG"]
    labels = partial.with_unannotated(tags, ["MISC"], "BIO")
    hidden = "O|B-MISC|I-MISC"
    assert labels == ["B-PER", hidden, "B-LOC", "I-LOC", hidden, "?", "O|B-MISC|I-MISC|B-ORG"]
    reading = partial.read_entities(labels[:5], "BIO")
    assert reading.certain == [Span(0, 1, "PER"), Span(2, 4, "LOC")]
    predicted = [Span(0, 1, "PER"), Span(1, 2, "MISC"), Span(1, 2, "PER"), Span(2, 5, "LOC"), Span(4, 5, "MISC")]
    assert reading.counted(predicted) == [predicted[0], predicted[2], predicted[3]]
    assert partial.convert(labels[:5], "BIO", "BIOUL") == ["U-PER", "O|U-MISC", "B-LOC", "L-LOC", "O|U-MISC"]
