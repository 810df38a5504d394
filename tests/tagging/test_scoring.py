from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, IOE2, Tokens

from elmo_tagger.tagging.schemes import SCHEMES as SCHEMES_BY_NAME
from elmo_tagger.tagging.schemes import conlleval_spans, spans_to_tags
from elmo_tagger.tagging.scoring import EntityCounts, Score
from elmo_tagger.tagging.strict import strict_spans
from elmo_tagger.text.sentence import Span
from tests.reference import conlleval
from tests.reference.counting import count_conlleval, count_strict

SCHEMES = {
    "IOB1": (IOB1, "BI"),
    "IOB2": (IOB2, "BI"),
    "IOE2": (IOE2, "IE"),
    "IOBES": (IOBES, "BIES"),
    "BILOU": (BILOU, "BILU"),
}


def tag_of(prefixes: str) -> st.SearchStrategy[str]:
    return st.one_of(st.just("O"), st.builds("{}-{}".format, st.sampled_from(prefixes), st.sampled_from(["A", "B-C"])))


def tagged_pairs(prefixes: str) -> st.SearchStrategy[list[list[tuple[str, str]]]]:
    """Sentences of (gold, predicted) tags, mostly ill-formed."""
    return st.lists(st.lists(st.tuples(tag_of(prefixes), tag_of(prefixes)), max_size=9), min_size=1, max_size=4)


def columns(pairs: list[list[tuple[str, str]]]) -> tuple[list[list[str]], list[list[str]]]:
    return [[g for g, _ in sentence] for sentence in pairs], [[p for _, p in sentence] for sentence in pairs]


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_strict_spans_are_seqevals(scheme: str, data: st.DataObject) -> None:
    peer, prefixes = SCHEMES[scheme]
    tags = data.draw(st.lists(tag_of(prefixes), max_size=12))
    expected = [Span(e.start, e.end, e.tag) for e in Tokens(tags, scheme=peer, sent_id=0).entities]
    assert strict_spans(tags, scheme) == expected


@settings(max_examples=150, deadline=None)
@given(tags=st.lists(tag_of("BIES"), max_size=12))
def test_conlleval_spans_are_seqevals_default(tags: list[str]) -> None:
    expected = [Span(start, end + 1, entity_type) for entity_type, start, end in get_entities(tags)]
    assert conlleval_spans(tags) == expected


@settings(max_examples=150, deadline=None)
@given(pairs=tagged_pairs("BIESLU"))
def test_conlleval_counts_are_the_reference_scripts(pairs: list[list[tuple[str, str]]]) -> None:
    gold, predicted = columns(pairs)
    counts = count_conlleval(gold, predicted)
    assert {t: tuple(c) for t, c in counts.state().items()} == conlleval.count(gold, predicted)


@pytest.mark.parametrize("mode", ["strict", "conlleval"])
@settings(max_examples=60, deadline=None)
@given(pairs=tagged_pairs("BIES").filter(any))
def test_scores_are_seqevals(mode: str, pairs: list[list[tuple[str, str]]]) -> None:
    gold, predicted = columns(pairs)
    if mode == "strict":
        counts = count_strict(gold, predicted, "IOBES")
        options = {"mode": "strict", "scheme": IOBES}
    else:
        counts = count_conlleval(gold, predicted)
        options = {}
    assume(counts.types())  # seqeval divides by zero when there is no entity on either side
    report = classification_report(gold, predicted, output_dict=True, zero_division=0, **options)
    for name in counts.types():
        ours = counts[name]
        theirs = report[name]
        assert [ours.precision, ours.recall, ours.f1, ours.gold] == [
            theirs[key] for key in ("precision", "recall", "f1-score", "support")
        ]
    micro, macro = counts.micro(), counts.macro()
    assert [micro.precision, micro.recall, micro.f1] == pytest.approx(list(report["micro avg"].values())[:3])
    assert list(macro) == pytest.approx(list(report["macro avg"].values())[:3])


# Case by case, the rules on which F1 tables have differed. conlleval reading first, then the strict one.
CASES = [
    ("I after O begins a chunk", "O I-A I-A O", "IOB2", [(1, 3, "A")], []),
    ("I at the start of a sentence", "I-A O", "IOB2", [(0, 1, "A")], []),
    ("I of another type after B", "B-A I-B", "IOB2", [(0, 1, "A"), (1, 2, "B")], [(0, 1, "A")]),
    ("I of another type after I", "B-A I-A I-B", "IOB2", [(0, 2, "A"), (2, 3, "B")], [(0, 2, "A")]),
    ("B after I of the same type", "B-A I-A B-A", "IOB2", [(0, 2, "A"), (2, 3, "A")], [(0, 2, "A"), (2, 3, "A")]),
    ("B after B of the same type", "B-A B-A", "IOB2", [(0, 1, "A"), (1, 2, "A")], [(0, 1, "A"), (1, 2, "A")]),
    ("chunk that ends the sentence", "O B-A I-A", "IOB2", [(1, 3, "A")], [(1, 3, "A")]),
    ("IOB1: types that touch", "I-A I-B", "IOB1", [(0, 1, "A"), (1, 2, "B")], [(0, 1, "A"), (1, 2, "B")]),
    ("IOB1: B parts neighbours", "I-A I-A B-A I-A", "IOB1", [(0, 2, "A"), (2, 4, "A")], [(0, 2, "A"), (2, 4, "A")]),
    ("IOB1: B after O", "O B-A I-A", "IOB1", [(1, 3, "A")], [(2, 3, "A")]),
    ("IOBES: no end", "B-A I-A O", "IOBES", [(0, 2, "A")], []),
    ("IOBES: no beginning", "I-A E-A", "IOBES", [(0, 2, "A")], []),
    ("IOBES: lone E", "O E-A O", "IOBES", [(1, 2, "A")], []),
    ("IOBES: I after E", "B-A E-A I-A", "IOBES", [(0, 2, "A"), (2, 3, "A")], [(0, 2, "A")]),
    ("IOBES: S after S", "S-A S-A", "IOBES", [(0, 1, "A"), (1, 2, "A")], [(0, 1, "A"), (1, 2, "A")]),
    ("IOBES: S inside", "B-A S-A E-A", "IOBES", [(0, 1, "A"), (1, 2, "A"), (2, 3, "A")], [(1, 2, "A")]),
    ("IOBES: E then B", "B-A E-A B-A E-A", "IOBES", [(0, 2, "A"), (2, 4, "A")], [(0, 2, "A"), (2, 4, "A")]),
    ("BILOU: U then L", "U-A L-A", "BILOU", [(0, 1, "A"), (1, 2, "A")], [(0, 1, "A")]),
    ("IOE2: E parts neighbours", "I-A E-A E-A", "IOE2", [(0, 2, "A"), (2, 3, "A")], [(0, 2, "A"), (2, 3, "A")]),
    ("IOE2: no end", "I-A I-A O", "IOE2", [(0, 2, "A")], []),
    ("a type with a hyphen", "B-A-B I-A-B", "IOB2", [(0, 2, "A-B")], [(0, 2, "A-B")]),
    ("no type", "B I O", "IOB2", [(0, 2, "")], [(0, 2, "")]),
    ("BMES: M after S", "S-A M-A", "BMES", [(0, 1, "A"), (1, 2, "A")], [(0, 1, "A")]),
    ("IOE1: E parts neighbours", "I-A E-A I-A", "IOE1", [(0, 2, "A"), (2, 3, "A")], [(0, 2, "A"), (2, 3, "A")]),
    ("IOE1: E with no neighbour", "I-A E-A O", "IOE1", [(0, 2, "A")], [(0, 1, "A")]),
    ("nothing", "O O", "IOB2", [], []),
]


@pytest.mark.parametrize(("tags", "scheme", "loose", "strict"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_each_rule(tags: str, scheme: str, loose: list[Span], strict: list[Span]) -> None:
    assert conlleval_spans(tags.split()) == loose
    assert strict_spans(tags.split(), scheme) == strict
    names = [span[2] for span in loose]
    expected = {name: (names.count(name),) * 3 for name in names}
    if scheme != "BMES":  # whose M the script does not know
        assert conlleval.count([tags.split()], [tags.split()]) == expected


TELLING = st.lists(
    st.lists(st.tuples(*[st.sampled_from("O B-A I-A E-A B-B I-B E-B".split())] * 2), max_size=7), max_size=4
)


@given(TELLING)
def test_what_the_script_knows_is_counted_as_it_stands_there(pairs: list[list[tuple[str, str]]]) -> None:
    sides = [[[tags[side] for tags in sentence] for sentence in pairs] for side in (0, 1)]
    assume(not any(a[0] == "E" and b[0] == "B" and a[2:] == b[2:] for s in sides for t in s for a, b in pairwise(t)))
    counts = count_conlleval(*sides)
    assert {t: tuple(c) for t, c in counts.state().items()} == conlleval.count(*sides, literal=True)


# Worked out by hand with the script's two tables: (gold, predicted, chunks in gold, chunks predicted, correct chunks).
BY_HAND = [
    ("I-X I-X O I-X", "I-X I-X O I-X", 2, 2, 2),  # IOB1
    ("I-X B-X I-Y", "I-X I-X I-Y", 3, 2, 1),  # B parts, so does another type: only Y is the same in both
    ("B-X I-X O", "O I-X O", 1, 1, 0),  # I after O starts a chunk
    ("B-X I-Y", "B-X B-Y", 2, 2, 2),  # I of another type starts a chunk
    ("B-X I-X I-X", "B-X I-X O", 1, 1, 0),
    ("B-X I-X O B-Y", "B-X I-X B-Y O", 2, 2, 1),
    ("O O", "B-X O", 0, 1, 0),
    ("B-X O I-X", "I-X O B-X", 2, 2, 2),  # the letters differ, the chunks do not
]


@pytest.mark.parametrize(("gold", "predicted", "in_gold", "found", "correct"), BY_HAND)
def test_the_scripts_counts_by_hand(gold: str, predicted: str, in_gold: int, found: int, correct: int) -> None:
    assert count_conlleval([gold.split()], [predicted.split()]).micro() == (in_gold, found, correct)


def test_where_the_script_is_not_followed() -> None:
    tags = ["B-X", "E-X", "B-X", "E-X"]
    assert conlleval.count([tags], [tags], literal=True) == {"X": (1, 1, 1)}
    assert count_conlleval([tags], [tags]).micro() == (2, 2, 2)
    single = ["S-X", "S-X"]
    assert conlleval.count([single], [single], literal=True) == {"X": (1, 1, 1)}
    assert count_conlleval([single], [single]).micro() == (2, 2, 2)


def test_counts_add_up() -> None:
    a, b = count_conlleval([["B-X"]], [["B-X"]]), count_conlleval([["B-X", "B-Y"]], [["O", "B-Y"]])
    assert (a + b).state() == {"X": [2, 1, 1], "Y": [1, 1, 1]}
    assert (a.state(), b.state()) == ({"X": [1, 1, 1]}, {"X": [1, 0, 0], "Y": [1, 1, 1]})


def test_conllevals_published_example() -> None:
    # Two chunks of three are right in both ways; the third is one token too long.
    gold = ["B-NP I-NP B-VP B-NP I-NP O".split()]
    predicted = ["B-NP I-NP B-VP B-NP I-NP I-NP".split()]
    counts = count_conlleval(gold, predicted)
    assert counts.micro() == Score(gold=3, predicted=3, correct=2)
    assert (counts["NP"].f1, counts["VP"].f1) == (0.5, 1.0)


@pytest.mark.parametrize("name", SCHEMES_BY_NAME)
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_both_readings_of_well_formed_tags_are_the_spans_they_were_made_from(name: str, data: st.DataObject) -> None:
    spans, position = [], 0
    for entity_type, length in data.draw(st.lists(st.tuples(st.sampled_from(["", "A", "B"]), st.integers(1, 4)))):
        spans += [Span(position, position + length, entity_type)] if entity_type else []
        position += length
    tags = spans_to_tags(spans, position, name)
    assert strict_spans(tags, name) == spans
    assert conlleval_spans(tags) == spans


def test_scheme_aliases() -> None:
    assert strict_spans(["B-A"], "bio") == strict_spans(["B-A"], "IOB2")
    assert strict_spans(["U-A"], "BIOUL") == [Span(0, 1, "A")]


def test_counts_of_parts_add_up_to_counts_of_the_whole() -> None:
    gold = [["B-A", "I-A", "O"], ["B-B"], ["O", "B-A"]]
    predicted = [["B-A", "O", "O"], ["B-B"], ["B-C", "B-A"]]
    whole = count_strict(gold, predicted, "IOB2")
    assert whole.state() == {"A": [2, 2, 1], "B": [1, 1, 1], "C": [0, 1, 0]}
    parts = [count_strict(gold[i : i + 1], predicted[i : i + 1], "IOB2") for i in range(3)]
    sent = [EntityCounts(json.loads(json.dumps(part.state()))) for part in parts]
    assert sent[0] + sent[1] + sent[2] == whole
    assert parts[0].state() == {"A": [1, 1, 0]}, "adding leaves the summands as they were"


def test_empty_counts() -> None:
    counts = EntityCounts()
    assert counts.micro() == Score(0, 0, 0)
    assert (counts.micro().precision, counts.micro().recall, counts.micro().f1) == (0.0, 0.0, 0.0)
    assert counts.macro() == (0.0, 0.0, 0.0)
    assert counts["PER"] == Score(0, 0, 0)
    assert counts.types() == [], "asking for a type does not invent it"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: strict_spans(["O", "E-A"], "BIO"), "token 1: 'E-A' is no BIO tag: its letters are B, I, O"),
        (lambda: strict_spans(["B-A"], "IOE1"), "token 0: 'B-A' is no IOE1 tag: its letters are I, E, O"),
        (lambda: strict_spans(["B-"], "BIOUL"), "token 0: 'B-' is no BIOUL tag: its letters are B, I, L, U, O"),
        (lambda: EntityCounts({"A": [1, 2]}), "counts of type 'A': expected gold, predicted, correct, got [1, 2]"),
    ],
)
def test_counts_that_do_not_fit_say_why(call, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the whole text is compared below)
        call()
    assert str(caught.value) == message


def test_percentages_at_ties_are_rounded_as_conlleval_rounds_them() -> None:
    """conlleval.pl prints 84.38 for 27 sentences `w B-A B-A` and 10 `w O B-A`; 100 times our F1 is just below."""
    score = count_conlleval([["B-A"]] * 27 + [["O"]] * 10, [["B-A"]] * 37).micro()
    assert score == (27, 37, 27)
    assert [f"{value:.2f}" for value in score.in_percent()] == ["72.97", "100.00", "84.38"]
    assert f"{100 * score.f1:.2f}" == "84.37"


@given(st.tuples(*[st.integers(0, 400)] * 3))
def test_percentages_are_a_hundred_times_the_scores(counts: tuple[int, int, int]) -> None:
    score = Score(counts[0] + counts[2], counts[1] + counts[2], counts[2])
    assert list(score.in_percent()) == pytest.approx([100 * score.precision, 100 * score.recall, 100 * score.f1])
