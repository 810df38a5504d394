"""What the `allennlp` command shows; that it does, in a process of its own, is in test_command_line."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from allennlp.commands import evaluate, predict, train

from elmo_tagger import startup
from elmo_tagger.plugin import console
from elmo_tagger.plugin.console import summary
from elmo_tagger.plugin.score_table import score_table
from elmo_tagger.text.outputs import OutputError

METRICS = {
    "accuracy": 0.97,
    **{f"{score}-PER": value for score, value in (("precision", 1.0), ("recall", 0.5), ("f1-measure", 2 / 3))},
    **{f"{score}-overall": value for score, value in (("precision", 0.75), ("recall", 0.5), ("f1-measure", 0.6))},
    "mix_layer_0": 0.3,
    "mix_gamma": 1.0,
    "loss": 1.25,
}


def test_scores_stand_in_a_table_a_type_a_line() -> None:
    table = score_table({"development": METRICS, "test": {**METRICS, "f1-measure-PER": 0.1}})
    assert [line.split() for line in table.splitlines()] == [
        ["development", "test"],
        ["precision", "recall", "F1", "precision", "recall", "F1"],
        ["PER", "100.00", "50.00", "66.67", "100.00", "50.00", "10.00"],
        ["overall", "75.00", "50.00", "60.00", "75.00", "50.00", "60.00"],
        ["development", "test"],
        ["accuracy", "0.9700", "0.9700"],
        ["loss", "1.2500", "1.2500"],
    ]


def test_models_without_entities_have_a_table_too() -> None:
    table = score_table({"development": {"accuracy": 0.5}, "test": {}})
    assert [line.split() for line in table.splitlines()] == [["development"], ["accuracy", "0.5000"]]
    assert score_table({"test": {}}) == ""


def test_a_run_ends_with_its_best_scores_and_its_archive(tmp_path: Path) -> None:
    best = {f"best_validation_{name}": value for name, value in METRICS.items()}
    metrics = {"best_epoch": 7, "epoch": 9, "training_loss": 3.0, "validation_loss": 4.0, **best}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    *table, last = summary(tmp_path).splitlines()
    assert "\n".join(table) + "\n" == score_table({"development": METRICS})
    assert last == f"archive: {tmp_path}/model.tar.gz"
    assert summary(tmp_path / "nothing") == ""


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """AllenNLP as the `allennlp` command has it, for one test."""
    monkeypatch.setattr(train, "train_model_from_file", train.train_model_from_file)
    monkeypatch.setattr(evaluate, "evaluate_from_archive", evaluate.evaluate_from_archive)
    for name in ("__init__", "_maybe_print_to_console_and_file"):
        monkeypatch.setattr(predict._PredictManager, name, getattr(predict._PredictManager, name))
    console.print_scores()
    console.print_predictions_alone()


@pytest.mark.parametrize(("on_a_terminal", "asked_for"), [(True, False), (False, False), (True, True), (False, True)])
def test_progress_is_lines_now_and_then_where_nobody_watches(
    on_a_terminal: bool, asked_for: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = []

    def begin(config: str, run: str, file_friendly_logging: bool = False) -> None:
        given.append(file_friendly_logging)

    def assess(archive_file: str, input_file: str, file_friendly_logging: bool = False) -> dict[str, float]:
        given.append(file_friendly_logging)
        return {}

    monkeypatch.setattr(train, "train_model_from_file", begin)
    monkeypatch.setattr(evaluate, "evaluate_from_archive", assess)
    console.print_scores()
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: on_a_terminal))
    train.train_model_from_file("config", str(tmp_path), file_friendly_logging=asked_for)
    evaluate.evaluate_from_archive("archive", "data", file_friendly_logging=asked_for)
    assert given == [asked_for or not on_a_terminal] * 2


@pytest.mark.usefixtures("patched")
def test_what_is_read_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in.jsonl", "data.conll", "more.conll", "model.tar.gz"):
        Path(name).write_text("read")
    Path("link").symlink_to("in.jsonl")
    for output in ("in.jsonl", "./in.jsonl", "link"):
        with pytest.raises(OutputError, match="is an input: expected another name for what is written"):
            predict._PredictManager(None, "in.jsonl", output, 1, False, False)
    for outputs in (
        {"metrics_output_file": "data.conll"},
        {"predictions_output_file": "more.conll"},
        {"metrics_output_file": "model.tar.gz"},
    ):
        with pytest.raises(OutputError, match="is an input: expected another name for what is written"):
            evaluate.evaluate_from_archive("model.tar.gz", "data.conll,more.conll", **outputs)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"read"}


@pytest.mark.parametrize(
    ("program", "arguments", "command"),
    [
        ("/usr/bin/allennlp", ["train", "x"], "train"),
        (r"C:\env\Scripts\allennlp.exe", ["predict"], "predict"),
        ("/lib/allennlp/__main__.py", [], ""),
        ("/usr/bin/pytest", ["train"], None),
        ("/home/me/allennlp/train.py", ["train"], None),
    ],
)
def test_only_the_allennlp_command_is_changed(
    program: str, arguments: list[str], command: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup.sys, "argv", [program, *arguments])
    assert startup.allennlp_command() == command


@pytest.mark.parametrize(("level", "quiet"), [(None, True), ("INFO", False), ("DEBUG", False)])
def test_the_environment_brings_the_log_back_to_the_console(
    level: str | None, quiet: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup.sys, "argv", ["allennlp", "train"])
    monkeypatch.delenv("ALLENNLP_LOG_LEVEL", raising=False)
    if level is not None:
        monkeypatch.setenv("ALLENNLP_LOG_LEVEL", level)
    assert startup.wants_quiet_console() == quiet


def test_a_quiet_console_keeps_warnings_and_the_file_keeps_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    console, file = logging.StreamHandler(), logging.FileHandler(tmp_path / "out.log")
    monkeypatch.setattr(logging.getLogger(), "handlers", [console, file])
    startup.quieten()
    assert (console.level, file.level) == (logging.WARNING, logging.NOTSET)
    file.close()
