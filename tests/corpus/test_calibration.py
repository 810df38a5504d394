import random

import pytest

from elmo_tagger.corpus.calibration import judge, reliability


def test_each_bin_has_its_share() -> None:
    table = reliability([(0.05, False), (0.1, True), (0.95, True), (1.0, True), (0.91, False)])
    assert table.entities == 5
    low, high = table.bins
    assert (low.low, low.high, low.entities, low.correct) == (0.0, 0.1, 2, 0.5)
    assert low.confidence == pytest.approx(0.075)
    assert (high.low, high.high, high.entities) == (0.9, 1.0, 3)
    assert high.correct == pytest.approx(2 / 3)
    expected = (2 * (0.5 - 0.075) + 3 * (2.86 / 3 - 2 / 3)) / 5
    assert table.expected_error == pytest.approx(expected)


def test_honest_confidences_have_little_error_and_doubled_ones_much() -> None:
    draw = random.Random(0)
    honest = [(p := draw.random(), draw.random() < p) for _ in range(20_000)]
    assert reliability(honest).expected_error < 0.02
    assert reliability([(min(1.0, 2 * p), right) for p, right in honest]).expected_error > 0.2


def test_entities_are_right_if_span_and_type_are() -> None:
    gold = [[(0, 2, "PER")], []]
    predicted = [[(0, 2, "PER", 0.9), (0, 2, "LOC", 0.4), (0, 1, "PER", 0.3)], [(0, 1, "PER", 0.2)]]
    assert judge(gold, predicted) == [(0.9, True), (0.4, False), (0.3, False), (0.2, False)]


@pytest.mark.parametrize(
    ("judged", "message"),
    [([], "no predicted entities"), ([(1.2, True)], r"confidence 1.2: expected a probability in \[0, 1\]")],
)
def test_errors(judged: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reliability(judged)
