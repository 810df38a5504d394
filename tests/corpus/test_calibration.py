import json
import random
from pathlib import Path

import pytest

from elmo_tagger.corpus.alignment import pair_reader
from elmo_tagger.corpus.calibration import judge, reliability
from elmo_tagger.corpus.score import score_pairs
from elmo_tagger.corpus.score_report import ScoreReport
from elmo_tagger.text.files import DataError


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
def test_impossible_confidences_are_refused(judged: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reliability(judged)


GOLD = "Tim B-PER\nCook I-PER\nleft O\n\nParis B-LOC\nfell O\n\n"
TOKENS = ["Tim", "Cook", "left", "Paris", "fell"]


def scored(folder: Path, *lines: dict) -> ScoreReport:
    (folder / "gold.conll").write_text(GOLD, encoding="utf-8")
    (folder / "pred.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return score_pairs(pair_reader(str(folder / "gold.conll"), str(folder / "pred.jsonl")))


def entity(begin: int, confidence: object, key: str = "token_start") -> dict:
    return {"start": 99, key: begin, "confidence": confidence}


DOCUMENT = {"tokens": TOKENS, "tags": ["B-PER", "I-PER", "O", "B-PER", "O"]}


def test_confidences_of_predictions_are_judged_by_gold(tmp_path: Path) -> None:
    """A document of two sentences as `predict` writes it, and a batch of them as `evaluate` does."""
    report = scored(tmp_path, {**DOCUMENT, "entities": [entity(0, 0.875), entity(3, 0.25)]})
    assert report.judged == [(0.875, True), (0.25, False)]
    assert report.reliability is not None
    assert report.reliability.expected_error == pytest.approx((0.125 + 0.25) / 2)
    assert report.to_json()["calibration"]["expected_calibration_error"] == pytest.approx(0.1875)
    batch = {
        "tokens": [TOKENS[3:], TOKENS[:3]],
        "tags": [["B-LOC", "O"], ["O", "B-PER", "O"]],
        "entities": [[entity(0, 0.5, "start")], [entity(1, 0.75, "start")]],
    }
    assert scored(tmp_path, batch).judged == [(0.75, False), (0.5, True)]


def test_predictions_without_confidences_have_no_calibration(tmp_path: Path) -> None:
    for entities in ([{"start": 0}], "none", None):
        report = scored(tmp_path, {**DOCUMENT, "entities": entities})
        assert report.reliability is None
        assert report.to_json()["calibration"] is None


def test_confidences_that_are_none_name_the_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pred.jsonl:1: confidence '?1.5'?, expected a probability in \[0, 1\]"):
        scored(tmp_path, {**DOCUMENT, "entities": [entity(0, 1.5)]})
    with pytest.raises(DataError, match=r"pred.jsonl:1: an entity begins at token '?7'? of 5"):
        scored(tmp_path, {**DOCUMENT, "entities": [entity(7, 0.5)]})
