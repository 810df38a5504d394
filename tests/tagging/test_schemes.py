import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from elmo_tagger.tagging import schemes
from elmo_tagger.tagging.schemes import (
    SCHEMES,
    TagSchemeError,
    allowed_transitions,
    convert,
    get_scheme,
    is_well_formed,
    join_tag,
    may_follow,
    problems,
    spans_to_tags,
    split_tag,
    tags_to_spans,
)
from elmo_tagger.text.sentence import Sentence, Span

scheme_names = st.sampled_from(sorted(SCHEMES))
entity_types = st.sampled_from(["PER", "LOC", "work-of-art", "-", ""])


@st.composite
def tagged_spans(draw):
    """Spans of a sentence, often touching, and its length."""
    spans, position = [], 0
    for gap, length, entity_type in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), entity_types), max_size=6)
    ):
        spans.append(Span(position + gap, position + gap + length, entity_type))
        position = spans[-1].end
    return spans, position + draw(st.integers(0, 2))


def all_tags(scheme, types=("X", "Y")):
    return ["O", *(join_tag(letter, kind) for kind in types for letter in SCHEMES[scheme].letters)]


@given(tagged_spans(), scheme_names, st.booleans())
def test_spans_survive_being_written_as_tags(sentence, scheme, strict):
    spans, length = sentence
    tags = spans_to_tags(spans, length, scheme)
    assert len(tags) == length
    assert list(problems(tags, scheme)) == []
    assert tags_to_spans(tags, scheme, strict=strict) == spans


@given(tagged_spans(), scheme_names, scheme_names)
def test_conversion_there_and_back_changes_nothing(sentence, source, target):
    tags = spans_to_tags(*sentence, source)
    converted = convert(tags, source, target)
    assert converted == spans_to_tags(*sentence, target)
    assert convert(converted, target, source) == tags


@settings(max_examples=300)
@given(st.data(), scheme_names, scheme_names, st.booleans())
def test_conversion_is_reading_and_writing_spans(data, source, target, strict):
    """Whatever the tags: the same tags, or the same error."""
    alphabet = [*all_tags(source), "", *(["Q-X"] if data.draw(st.booleans()) else [])]
    tags = data.draw(st.lists(st.sampled_from(alphabet), max_size=8))

    def outcome(conversion):
        try:
            return conversion()
        except TagSchemeError as error:
            return str(error)

    through_spans = outcome(lambda: spans_to_tags(tags_to_spans(tags, source, strict=strict), len(tags), target))
    assert outcome(lambda: convert(tags, source, target, strict=strict)) == through_spans


def test_conversions_are_forgotten_once_there_are_too_many(monkeypatch):
    monkeypatch.setattr(schemes, "_REMEMBERED", 3)
    schemes._conversion.cache_clear()
    for tag in ("B-A", "B-B", "B-C", "B-D", "B-E"):
        assert convert([tag, tag], "BIO", "BIOUL") == [tag.replace("B-", "U-")] * 2
    assert len(schemes._conversion("BIO", "BIOUL")) <= 3


def test_a_scheme_can_be_given_as_such():
    own = dataclasses.replace(SCHEMES["BIO"], first="I", touching_first="B", before={"B": "BI"})
    assert convert(["B-P", "I-P", "B-P"], SCHEMES["BIO"], own) == ["I-P", "I-P", "B-P"]
    assert convert(["B-P", "I-P", "B-P"], "BIO", "BIO") == ["B-P", "I-P", "B-P"]


@given(st.data(), scheme_names)
def test_a_walk_along_allowed_transitions_is_well_formed_and_no_other_is(data, scheme):
    tags = all_tags(scheme)
    pairs = set(allowed_transitions(tags, scheme))
    path = data.draw(st.lists(st.integers(0, len(tags) - 1), min_size=1, max_size=6))
    legal = all(step in pairs for step in itertools.pairwise([len(tags), *path, len(tags) + 1]))
    sentence = [tags[i] for i in path]
    assert legal == (not list(problems(sentence, scheme)))
    if legal:
        assert spans_to_tags(tags_to_spans(sentence, scheme), len(sentence), scheme) == sentence


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(sorted(SCHEMES), 2)))
def test_well_formed_in_two_schemes_means_the_same_entities(one, other):
    shared = [tag for tag in all_tags(one) if tag in all_tags(other)]
    for tags in itertools.product(shared, repeat=3):
        if not list(problems(tags, one)) and not list(problems(tags, other)):
            assert tags_to_spans(tags, one) == tags_to_spans(tags, other)


@pytest.mark.parametrize("scheme", ["BIO", "IOB1", "IOE1", "IOE2", "BIOES"])
@settings(max_examples=60)
@given(data=st.data())
def test_lenient_reading_is_seqevals(scheme, data):
    tags = data.draw(st.lists(st.sampled_from(all_tags(scheme)), max_size=8))
    expected = [Span(start, end + 1, kind) for kind, start, end in get_entities(tags)]
    assert tags_to_spans(tags, scheme, strict=False) == expected


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("BIO", "B-P I-P B-P O B-L B-P"),
        ("IOB1", "I-P I-P B-P O I-L I-P"),
        ("IOE2", "I-P E-P E-P O E-L E-P"),
        ("IOE1", "I-P E-P I-P O I-L I-P"),
        ("BIOUL", "B-P L-P U-P O U-L U-P"),
        ("BIOES", "B-P E-P S-P O S-L S-P"),
        ("BMES", "B-P E-P S-P O S-L S-P"),
        ("BMEWO", "B-P E-P W-P O W-L W-P"),
    ],
)
def test_a_sentence_in_every_scheme(scheme, expected):
    spans = [Span(5, 6, "P"), Span(0, 2, "P"), Span(2, 3, "P"), Span(4, 5, "L")]
    assert spans_to_tags(spans, 6, scheme) == expected.split()


@pytest.mark.parametrize(
    ("tag", "parts"),
    [
        ("O", ("O", "")),
        ("B", ("B", "")),
        ("B-PER", ("B", "PER")),
        ("B-work-of-art", ("B", "work-of-art")),
        ("B--", ("B", "-")),
        ("B-", ("", "B-")),
        ("O-PER", ("", "O-PER")),
        ("PER", ("", "PER")),
        ("", ("", "")),
    ],
)
def test_parts_of_a_tag(tag, parts):
    assert split_tag(tag) == parts


@pytest.mark.parametrize(
    ("name", "canonical"),
    [("iob2", "BIO"), ("BILOU", "BIOUL"), ("IOBES", "BIOES"), ("IOE", "IOE2"), ("bmew", "BMEWO")],
)
def test_aliases(name, canonical):
    assert get_scheme(name) is SCHEMES[canonical]


def test_unknown_scheme_is_answered_with_the_known_ones():
    with pytest.raises(TagSchemeError) as error:
        get_scheme("BIOLU")
    assert str(error.value) == (
        "unknown tag scheme 'BIOLU', expected one of BIO/IOB2, IOB1, IOE2/IOE, IOE1, BIOUL/BILOU/BILUO, "
        "BIOES/IOBES/BIESO, BMES/BMEOS/BMESO, BMEWO/BMEW; did you mean BIOUL or BILUO?"
    )


PROBLEMS = [
    (
        "BIO",
        "O I-P",
        [(1, "I-P after O: BIO expects B-P or I-P before it; leniently read as the first token of an entity")],
    ),
    (
        "IOB1",
        "B-P",
        [
            (
                0,
                "B-P at the start of the sentence: IOB1 expects B-P or I-P before it; "
                "leniently read as the first token of an entity",
            )
        ],
    ),
    (
        "IOE2",
        "I-P O",
        [(0, "I-P before O: IOE2 expects I-P or E-P after it; leniently read as the last token of its entity")],
    ),
    (
        "BIOUL",
        "B-P",
        [
            (
                0,
                "B-P at the end of the sentence: BIOUL expects I-P or L-P after it; "
                "leniently read as the last token of its entity",
            )
        ],
    ),
    ("BIO", "U-P", [(0, "'U-P' is no BIO tag: expected O, or one of B, I with a type as in B-PER")]),
]


@pytest.mark.parametrize(("scheme", "tags", "expected"), PROBLEMS)
def test_problems_say_what_is_expected_and_how_it_is_read(scheme, tags, expected):
    assert list(problems(tags.split(), scheme)) == expected


def test_strict_reading_names_file_and_line():
    sentence = Sentence(["a", "b"], ["O", "I-P"], path="train.iob", lines=[117, 118])
    with pytest.raises(TagSchemeError, match=r"^train\.iob:118: I-P after O: BIO expects B-P or I-P before it"):
        tags_to_spans(sentence, "BIO")
    assert tags_to_spans(sentence, "BIO", strict=False) == [Span(1, 2, "P")]


def test_lenient_reading_refuses_what_the_scheme_does_not_know():
    with pytest.raises(TagSchemeError, match=r"^token 1: 'L-P' is no BIO tag"):
        tags_to_spans(["I-P", "L-P"], "BIO", strict=False)


def test_untagged_sentence():
    with pytest.raises(TagSchemeError, match=r"^raw\.txt:3: the sentence has no tags$"):
        convert(Sentence(["a"], path="raw.txt", lines=[3]), "BIO", "BIOUL")


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([Span(0, 2, "P"), Span(1, 3, "Q")], "overlaps Span(start=0, end=2, type='P')"),
        ([Span(1, 1, "P")], "is empty or leaves its sentence of 3 tokens"),
        ([Span(2, 4, "P")], "is empty or leaves its sentence of 3 tokens"),
    ],
)
def test_spans_that_no_tags_can_hold(spans, message):
    with pytest.raises(TagSchemeError) as error:
        spans_to_tags(spans, 3, "BIO")
    assert message in str(error.value)


def test_transitions_of_a_vocabulary_with_a_foreign_tag_or_missing_ids():
    with pytest.raises(TagSchemeError, match=r"^tag 1 of the vocabulary, 'L-P', is no BIO tag$"):
        allowed_transitions({0: "O", 1: "L-P"}, "BIO")
    with pytest.raises(TagSchemeError, match=r"^tag ids must be 0 to 1, received \[0, 2\]$"):
        allowed_transitions({0: "O", 2: "B-P"}, "BIO")


def test_either_end_of_a_sentence_counts_as_outside():
    tags = all_tags("BIOUL")
    pairs = allowed_transitions(tags, "BIOUL")
    assert [j for i, j in pairs if i == len(tags)] == [i for i, tag in enumerate(tags) if may_follow("O", tag, "BIOUL")]
    assert (len(tags), len(tags) + 1) not in pairs


@pytest.mark.parametrize("scheme", SCHEMES)
def test_well_formed_is_what_has_no_problems(scheme: str) -> None:
    alphabet = ["O", "PER", "X-A", *(f"{letter}-{kind}" for letter in get_scheme(scheme).letters for kind in "AB")]
    for length in range(4):
        for tags in itertools.product(alphabet, repeat=length):
            assert is_well_formed(tags, scheme) == (not list(problems(tags, scheme))), tags
