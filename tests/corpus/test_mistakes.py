from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.corpus.mistakes import CORRECT, KINDS, MistakeTable, pair_up
from elmo_tagger.tagging.schemes import conlleval_spans
from elmo_tagger.text.sentence import Span

TAGS = st.lists(st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"]), min_size=10, max_size=10)


def test_kinds() -> None:
    gold = [Span(0, 2, "PER"), Span(3, 4, "LOC"), Span(5, 7, "ORG"), Span(8, 9, "PER"), Span(10, 12, "ORG")]
    predicted = [Span(0, 2, "PER"), Span(3, 4, "ORG"), Span(6, 7, "ORG"), Span(10, 13, "LOC"), Span(14, 15, "PER")]
    assert [(match.kind, match.gold, match.predicted) for match in pair_up(gold, predicted)] == [
        ("correct", gold[0], predicted[0]),
        ("type", gold[1], predicted[1]),
        ("boundary", gold[2], predicted[2]),
        ("boundary and type", gold[4], predicted[3]),
        ("missed", gold[3], None),
        ("invented", None, predicted[4]),
    ]


def test_one_prediction_over_two_entities_explains_the_one_it_covers_most_of() -> None:
    gold = [Span(0, 1, "A"), Span(1, 4, "A")]
    assert pair_up(gold, [Span(0, 4, "A")]) == [("boundary", gold[1], Span(0, 4, "A")), ("missed", gold[0], None)]


@settings(max_examples=150, deadline=None)
@given(gold=TAGS, predicted=TAGS)
def test_every_entity_is_in_one_match(gold: list[str], predicted: list[str]) -> None:
    left, right = conlleval_spans(gold), conlleval_spans(predicted)
    matches = pair_up(left, right)
    assert Counter(match.gold for match in matches if match.gold) == Counter(left)
    assert Counter(match.predicted for match in matches if match.predicted) == Counter(right)
    assert {match.kind for match in matches} <= set(KINDS)
    assert sum(match.kind == CORRECT for match in matches) == len(set(left) & set(right))
    missed = [match.gold for match in matches if match.kind == "missed"]
    invented = [match.predicted for match in matches if match.kind == "invented"]
    assert not [(a, b) for a in missed for b in invented if max(a.start, b.start) < min(a.end, b.end)]


def test_the_table_keeps_what_is_frequent_when_it_is_full() -> None:
    table = MistakeTable(limit=5)
    for number in range(40):
        table.add(["often"], pair_up([Span(0, 1, "A")], []), "a:1")
        table.add([f"once{number}"], pair_up([Span(0, 1, "A")], []), f"a:{number + 2}")
    (key, count, where, sentence), *_ = table.most_common(1)
    assert (key.kind, key.gold_phrase, key.gold_type, count, where, sentence) == (
        "missed",
        "often",
        "A",
        40,
        "a:1",
        "often",
    )
    assert table.kinds["missed"] == 80
    assert table.forgotten > 30
