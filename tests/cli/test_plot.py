import json
import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from elmo_tagger.cli.app import app
from elmo_tagger.curves import Curves, RunError, draw, read_curves


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A tagger's run of eleven epochs: numbers that sort wrongly as text."""
    directory = tmp_path / "run"
    directory.mkdir()
    for epoch in range(11):
        metrics = {
            "training_loss": 10.0 - epoch,
            "validation_loss": 11.0 - epoch,
            "validation_f1-measure-overall": epoch / 10,
            "training_accuracy": 0.5,
            "validation_accuracy": 0.5,
            "training_mix_layer_0": 0.2,
            "training_mix_layer_1": 0.8,
            "training_mix_gamma": 1.0 + epoch,
        }
        (directory / f"metrics_epoch_{epoch}.json").write_text(json.dumps(metrics))
    (directory / "metrics.json").write_text(json.dumps({"best_epoch": 7}))
    return directory


def test_curves_by_epoch(run: Path) -> None:
    curves = read_curves(run)
    assert curves.epochs == list(range(11))
    assert curves.loss == {"training": [10.0 - e for e in range(11)], "validation": [11.0 - e for e in range(11)]}
    assert (curves.score_name, curves.score) == ("f1-measure-overall", {"validation": [e / 10 for e in range(11)]})
    assert list(curves.mix) == ["gamma", "layer 0", "layer 1"]
    assert curves.mix["gamma"] == [1.0 + e for e in range(11)]
    assert curves.best_epoch == 7


def test_a_classifier_is_judged_by_its_accuracy(tmp_path: Path) -> None:
    for epoch, metrics in enumerate(
        [{"training_accuracy": 0.1}, {"training_accuracy": 0.2, "validation_accuracy": 0.3}]
    ):
        (tmp_path / f"metrics_epoch_{epoch}.json").write_text(json.dumps({"training_loss": 1, **metrics}))
    curves = read_curves(tmp_path)
    assert (curves.score_name, curves.mix, curves.best_epoch) == ("accuracy", {}, None)
    assert curves.score == {"training": [0.1, 0.2], "validation": [None, 0.3]}


def test_several_mixes_are_named_apart(tmp_path: Path) -> None:
    metrics = {f"training_mix_{number}_gamma": float(number) for number in range(2)}
    (tmp_path / "metrics_epoch_0.json").write_text(json.dumps(metrics))
    assert read_curves(tmp_path).mix == {"mix_0 gamma": [0.0], "mix_1 gamma": [1.0]}


def test_the_command_draws_one_picture(run: Path) -> None:
    pytest.importorskip("matplotlib")
    result = CliRunner().invoke(app, ["plot", str(run)])
    assert (result.exit_code, result.stdout) == (0, f"{run}/curves.png\n")
    content = (run / "curves.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    width, height = (int.from_bytes(content[place : place + 4]) for place in (16, 20))
    assert (width, height) == (1500, 400), "three panels"
    assert CliRunner().invoke(app, ["plot", str(run), "-o", str(run / "c.svg")]).exit_code == 0
    drawn = (run / "c.svg").read_text()
    for text in ("f1-measure-overall", "validation", "layer 1", "gamma", "best epoch"):
        assert f"<!-- {text} -->" in drawn


def test_a_folder_that_is_no_run_is_refused(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(RunError, match=r"expected a training directory with metrics_epoch_0.json and so on"):
        read_curves(tmp_path / "nothing")
    for seed in ("seed_1", "seed_2"):  # as elmo-tagger train leaves them
        (tmp_path / "several" / seed).mkdir(parents=True)
        (tmp_path / "several" / seed / "metrics_epoch_0.json").write_text("{}")
    with pytest.raises(RunError, match=r"it holds several: give one of seed_1, seed_2$"):
        read_curves(tmp_path / "several")
    curves = read_curves(run)
    with pytest.raises(RunError, match=r"c.bmpx: Format 'bmpx' is not supported"):
        draw(curves, tmp_path / "c.bmpx")
    for content, message in (("{", "expected JSON: "), ("[]", "expected a JSON object with metrics")):
        (run / "metrics_epoch_3.json").write_text(content)
        with pytest.raises(RunError, match=f"metrics_epoch_3.json: {message}"):
            read_curves(run)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(RunError, match=r"drawing needs matplotlib: run `pip install 'elmo-tagger\[plot\]'`"):
        draw(curves, tmp_path / "c.png")


def test_lines_of_equal_values_are_all_to_be_seen(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    curves = Curves([0, 1], {"training": [1.0, 1.0]}, "", {}, {f"layer {n}": [0.3, 0.3] for n in range(3)}, None)
    draw(curves, tmp_path / "c.svg")
    drawn = (tmp_path / "c.svg").read_text()
    widths = [float(found) for found in re.findall(r"clip-path[^>]*stroke-width: ([0-9.]+)", drawn)]
    widths = [width for width in widths if width >= 1.5][-3:]
    assert widths == sorted(set(widths), reverse=True)
    assert len(widths) == 3
