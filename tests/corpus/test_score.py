from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

from elmo_tagger.corpus.alignment import Pair
from elmo_tagger.corpus.mistakes import Match, MistakeTable
from elmo_tagger.corpus.score import group_of, score_pairs
from elmo_tagger.corpus.score_report import ScoreReport
from elmo_tagger.tagging.schemes import TagSchemeError
from elmo_tagger.text.sentence import Sentence, Span
from tests.reference import conlleval


def reader(*pairs: tuple[str, str], tokens: str = "") -> Callable[[], list[Pair]]:
    """Pairs of (gold tags, predicted tags); the tokens are w0 w1 ... unless given."""
    found = []
    for index, (gold, predicted) in enumerate(pairs):
        words = tokens.split() if tokens else [f"w{i}" for i in range(len(gold.split()))]
        lines = [100 * index + i + 1 for i in range(len(words))]
        found.append(Pair(Sentence(words, gold.split(), "gold", lines), predicted.split()))
    return lambda: found


def score(*pairs: tuple[str, str], **options: object) -> ScoreReport:
    return score_pairs(reader(*pairs), **options)


TAGS = ["O", "B-A", "I-A", "B-B", "I-B"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), min_size=1, max_size=8),
        min_size=1,
        max_size=4,
    )
)
def test_both_countings_are_their_oracles_and_the_parts_add_up(sentences: list[list[tuple[str, str]]]) -> None:
    gold = [[g for g, _ in sentence] for sentence in sentences]
    predicted = [[p for _, p in sentence] for sentence in sentences]
    pairs = [(" ".join(g), " ".join(p)) for g, p in zip(gold, predicted, strict=True)]
    report = score(*pairs, scheme="BIO", predicted_scheme="BIO", train=[Sentence(["w0"], ["B-A"])])
    assert {t: tuple(c) for t, c in report.conlleval.state().items()} == conlleval.count(gold, predicted)
    if report.strict.types():
        strict = f1_score(gold, predicted, mode="strict", scheme=IOB2, zero_division=0)
        assert report.strict.micro().f1 == pytest.approx(strict)
    micro = report.conlleval.micro()
    assert report.entity_lengths.micro() == report.sentence_lengths.micro() == report.seen.micro() == micro
    kinds = report.mistakes.kinds
    assert kinds["correct"] == micro.correct
    assert sum(kinds.values()) - kinds["invented"] == micro.gold
    assert sum(kinds.values()) - kinds["missed"] == micro.predicted
    assert sum(report.confusion.values()) == sum(kinds.values())
    assert report.accuracy == sum(g == p for s in sentences for g, p in s) / sum(map(len, sentences))
    assert (report.difference() == "") == (report.conlleval == report.strict)


def test_why_the_countings_differ() -> None:
    report = score(("B-A I-A O B-A", "I-A I-A O B-A"), ("O B-A", "O B-A"))
    assert (report.conlleval.micro().f1, report.strict.micro().f1) == (1.0, pytest.approx(0.8))
    assert report.difference() == (
        "The counts differ because 1 predicted tags in 1 sentences are ill-formed in BIO "
        "(2 entities for conlleval there, 1 strictly)."
    )
    assert report.predicted_ill_formed.examples == [
        "gold:1: I-A at the start of the sentence: BIO expects B-A or I-A before it; "
        "leniently read as the first token of an entity"
    ]
    assert score(("B-A", "B-A")).difference() == ""


def test_seen_and_unseen_entities() -> None:
    train = [Sentence(["w0", "w1", "x"], ["B-A", "I-A", "O"])]
    report = score(("B-A I-A B-B", "B-A I-A B-A"), train=train)
    assert report.seen is not None
    assert report.seen.state() == {"seen": [1, 1, 1], "unseen": [1, 1, 0]}
    assert score(("O", "B-A"), train=[]).seen.state() == {"seen": [0, 0, 0], "unseen": [0, 1, 0]}


def test_lengths() -> None:
    edges = (1, 2, 3, 4, 6)
    assert [group_of(length, edges) for length in (1, 3, 4, 5, 6, 60)] == ["1", "3", "4-5", "4-5", "6+", "6+"]
    report = score(("B-A I-A", "B-A I-A"), ("B-A " * 12, "O " * 12))
    assert report.entity_lengths.state() == {"1": [12, 0, 0], "2": [1, 1, 1]}
    assert report.sentence_lengths.state() == {"1-10": [1, 1, 1], "11-20": [12, 0, 0]}


def test_predictions_are_read_in_golds_scheme() -> None:
    report = score(("B-A I-A", "I-A I-A"))
    assert (report.predicted_scheme, report.strict.micro().correct) == ("BIO", 0)
    assert report.notes == [
        "1 of the 1 sentences with predicted entities are ill-formed in BIO, the scheme of gold, but 0 in IOB1"
    ]


def test_predictions_plainly_in_another_scheme_are_read_in_it() -> None:
    report = score(*[("B-A I-A O", "I-A I-A O")] * 10)
    assert (report.gold_scheme, report.predicted_scheme, report.strict.micro().f1) == ("BIO", "IOB1", 1.0)
    assert report.notes == [
        "the predictions are read as IOB1: 10 of the 10 sentences with predicted entities are ill-formed in BIO, "
        "the scheme of gold"
    ]
    report = score(("B-A I-A O", "B-A L-A O"))
    assert (report.accuracy, report.exact_sentences) == (1.0, 1)
    assert (report.predicted_scheme, report.strict.micro().f1) == ("BIOUL", 1.0)
    assert report.notes == [
        "gold is read as BIO, the predictions as BIOUL",
        "conlleval.pl does not know the L and U of BIOUL and joins entities there: the numbers under conlleval are "
        "those that it prints for the same entities in BIO",
    ]
    forced = score(*[("B-A I-A O", "I-A I-A O")] * 10, predicted_scheme="BIO")
    assert (forced.strict.micro().f1, forced.notes) == (0.0, [])


def test_gold_that_fits_no_scheme_is_scored_all_the_same() -> None:
    report = score(("B-X I-Y", "B-X I-X"))
    assert report.notes == [
        "gold fits no scheme and is read as BIO, which 1 of 1 sentences break, first at gold:2: I-Y after B-X: BIO "
        "expects B-Y or I-Y before it; leniently read as the first token of an entity"
    ]
    assert report.conlleval.state() == {"X": [1, 1, 0], "Y": [1, 0, 0]}
    assert report.strict.state() == {"X": [1, 1, 0]}


def test_document_markers_are_tokens_for_the_script() -> None:
    report = score(("B-X I-X O", "B-X O O"), markers=1)
    assert report.accuracy == pytest.approx(2 / 3)
    assert report.notes == ["the conlleval script counts the 1 document marker as tokens: 4 tokens, accuracy 75.00%"]


def test_forgotten_mistakes_are_counted() -> None:
    table = MistakeTable(limit=2)
    for word in ["a", "b", "b", "c"]:
        table.add([word], [Match("missed", Span(0, 1, "X"), None)], "here")
    assert (table.forgotten, [(key.gold_phrase, count) for key, count, *_ in table.most_common(5)]) == (2, [("b", 2)])


def test_frequent_mistakes_and_confusion() -> None:
    tokens = "New York"
    report = score_pairs(
        reader(("B-LOC I-LOC", "B-ORG I-ORG"), ("B-LOC I-LOC", "B-ORG I-ORG"), ("O B-LOC", "O O"), tokens=tokens)
    )
    (first, count, where, sentence), (second, *_) = report.mistakes.most_common(5)
    assert tuple(first) == ("type", "New York", "LOC", "New York", "ORG")
    assert (count, where, sentence) == (2, "gold:1", "New York")
    assert tuple(second) == ("missed", "York", "LOC", "", "")
    assert report.confusion == {("LOC", "ORG"): 2, ("LOC", "O"): 1}


def test_kept_sentences_are_those_with_mistakes() -> None:
    pairs = [("B-A", "B-A"), ("B-A", "O"), ("O", "B-A"), ("B-A", "B-B")]
    assert [marked.where for marked in score(*pairs, keep=2).marked] == ["gold:101", "gold:201"]
    assert score(*pairs).marked == []


def test_json() -> None:
    report = score(("B-A I-A O", "B-A O O"), ("B-B", "B-B"), train=[])
    read = json.loads(json.dumps(report.to_json()))
    assert read["conlleval"]["types"]["B"] == {
        "gold": 1,
        "predicted": 1,
        "correct": 1,
        "precision": 1,
        "recall": 1,
        "f1": 1,
    }
    assert read["strict"]["micro"]["f1"] == 0.5
    assert read["errors"] == {
        "correct": 1,
        "type": 0,
        "boundary": 1,
        "boundary and type": 0,
        "missed": 0,
        "invented": 0,
    }
    assert read["mistakes"][0]["gold_phrase"] == "w0 w1"
    assert read["token_accuracy"] == 0.75


@pytest.mark.parametrize(
    ("pairs", "options", "message"),
    [
        ([], {"scheme": "BIO", "predicted_scheme": "BIO"}, "no sentences to score"),
        (
            [("X-A", "O")],
            {},
            "gold tags: the tags fit no scheme; nearest is BIO, which 1 of 1 sentences break, first at gold:1",
        ),
        ([("I-A", "X-A")], {}, "predicted tags: the tags fit no scheme; nearest is BIO"),
        (
            [("B-A", "X-A")],
            {"predicted_scheme": "BIO"},
            "gold:1: predicted tags, token 0: 'X-A' is no BIO tag: its letters are B, I, O",
        ),
        ([("B-A", "B-A")], {"scheme": "BIX"}, "unknown tag scheme 'BIX', expected one of BIO/IOB2"),
    ],
)
def test_files_that_cannot_be_scored_say_why(
    pairs: list[tuple[str, str]], options: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the text is compared below)
        score(*pairs, **options)
    assert str(caught.value).startswith(message)


def test_what_partial_labels_leave_open_is_left_out() -> None:
    hidden = "O|B-MISC|I-MISC"
    report = score(
        (f"B-PER {hidden} {hidden} {hidden}", "B-PER B-MISC B-PER O"),
        ("B-PER I-PER O ?", "B-PER I-PER I-PER O"),
        ("O B-PER ?", "O B-PER B-PER"),  # where the true entity ends is unknown
        ("B-PER O", "B-PER O"),
        scheme="BIO",
        train=[Sentence(["w0", "w1"], ["B-PER", "?"]), Sentence(["w0"], ["B-LOC"])],
    )
    assert report.conlleval.state() == report.strict.state() == {"PER": [3, 4, 2]}
    assert (report.tokens_left_out, report.predicted_left_out) == (5, 3)
    assert (report.tokens, report.correct_tokens, report.exact_sentences) == (8, 7, 3)
    assert report.notes == [
        "left out: 5 tokens with partial labels, and 3 predicted entities that these labels leave open; gold entities "
        "are those that are certain"
    ]
    assert report.seen is not None
    assert report.seen["seen"].gold == 0
    assert report.to_json()["left_out"] == {"tokens": 5, "predicted_entities": 3}


def test_confidences_of_what_is_left_open_are_not_judged() -> None:
    pair = Pair(Sentence(list("ab"), ["?", "O"], "f", [1, 2]), ["B-A", "B-A"], [0.5, 0.7])
    assert score_pairs(lambda: [pair]).judged == [(0.7, False)]


def test_a_predicted_partial_label_is_refused() -> None:
    with pytest.raises(TagSchemeError, match=r"predicted tags.*'\?'"):
        score(("B-A O", "B-A ?"), scheme="BIO")
