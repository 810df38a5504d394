"""The arithmetic of experiments/elmo_gain on made-up trainings."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path("experiments/elmo_gain").resolve()))
import report
from trial import Trial


def finished(runs: Path, corpus: str, system: str, seed: int, f1: float, *, bilm: Path, layers: str = "mix") -> Trial:
    """A training that reached so much."""
    trial = Trial(runs / "data" / corpus, system, seed, bilm, layers, Path("vectors"), runs)
    trial.run.mkdir(parents=True)
    metrics = {report.F1: f1, "best_validation_f1-measure-overall": f1, "best_epoch": 3, "epoch": 5}
    if system.startswith("elmo"):
        metrics |= {report.MIX.format(f"layer_{layer}"): 0.2 + layer / 10 for layer in range(3)}
        metrics[report.MIX.format("gamma")] = 1.5
    (trial.run / "metrics.json").write_text(json.dumps(metrics))
    return trial


@pytest.fixture
def trials(tmp_path: Path) -> list[Trial]:
    """Two corpora, two seeds; with static vectors seed 3 too, which no other system has."""
    bilms = {}
    for name, perplexity in (("good", 50.0), ("bad", 300.0)):
        bilms[name] = tmp_path / name
        bilms[name].mkdir()
        (bilms[name] / "perplexity.json").write_text(json.dumps({"perplexity": perplexity}))
    good = {"bilm": bilms["good"]}
    made = []
    for corpus, base in (("a", 0.5), ("b", 0.6)):
        for seed in (1, 2):
            noise = seed / 100
            made.append(finished(tmp_path, corpus, "words", seed, base - 0.2, **good))
            made.append(finished(tmp_path, corpus, "static", seed, base + noise, **good))
            made.append(finished(tmp_path, corpus, "elmo", seed, base + 0.02 + (corpus == "b") / 100, **good))
            made.append(finished(tmp_path, corpus, "elmo_static", seed, base + 0.04 + noise * base, **good))
        made.append(finished(tmp_path, corpus, "elmo_static", 1, base + 0.02, bilm=bilms["bad"]))
        made.append(finished(tmp_path, corpus, "static", 3, 0.0, **good))
    made.append(finished(tmp_path, "a", "elmo", 1, 0.4, layers="top", **good))
    made.append(Trial(tmp_path / "data" / "b", "words", 9, bilms["good"], "mix", Path("vectors"), tmp_path))
    return made


def test_the_tables_are_those_of_the_trainings(trials: list[Trial], tmp_path: Path) -> None:
    report.write_report(trials, tmp_path)
    text = (tmp_path / "results.md").read_text()
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert "21 of 22 trainings are done" in text
    # seed 3 of (b) is in its own mean, but in no difference
    assert ["a", "30.0 +- 0.0", "34.3 +- 29.7", "52.0 +- 0.0", "54.8 +- 0.4", "2"] in rows
    # a: 4 + 0.5 - 1 and 4 + 1 - 2; b: 4 + 0.6 - 1 and 4 + 1.2 - 2
    averages = next(row for row in rows if row[0] == "**average of 2**")
    assert averages[1] == "**+1.00**"
    assert float(averages[3].strip("*")) == pytest.approx(3.325, abs=0.006)
    assert [row[1] for row in rows if row[0] == "a" and row[1][:1] in "+-"] == ["+0.50"]
    assert ["b", "elmo_static, good", "0.20", "0.30", "0.40", "1.50"] in rows
    assert ["a", "top", "40.0", "1"] in rows
    assert ["a", "mix", "52.0 +- 0.0", "2"] in rows
    assert [row for row in rows if row[0] == "b" and row[1] in ("good", "bad")] == [
        ["b", "good", "50.0", "+3.40", "2"],
        ["b", "bad", "300.0", "+1.00", "1"],
    ]
    assert len(json.loads((tmp_path / "results.json").read_text())) == 21
    assert (tmp_path / "gain.png").stat().st_size > 10_000


def test_nothing_done_is_no_error(trials: list[Trial], tmp_path: Path) -> None:
    report.write_report(trials[-1:], tmp_path)
    assert "0 of 1 trainings are done" in (tmp_path / "results.md").read_text()


@pytest.mark.parametrize(
    ("values", "likely"),
    [([1.0] * 6, 2 / 64), ([1.0, -1.0], 1.0), ([3.0, 1.0], 0.5), ([5.0, 1.0, -1.0], 0.75), ([0.0], 1.0)],
)
def test_a_sign_flip_test_counts_flips(values: list[float], likely: float) -> None:
    assert report.sign_flip_test(values) == likely


def test_a_t_test_is_students() -> None:
    """Student's own sleep data: t = 4.062 with 9 degrees of freedom."""
    gains = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    assert report.paired_t_test(gains) == pytest.approx(0.00283, abs=1e-5)
