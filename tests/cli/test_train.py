"""`elmo-tagger train`, in this process."""

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from elmo_tagger.cli import run_config
from elmo_tagger.cli.app import app

SENTENCES = "Emma B-PER\nStone I-PER\nflew O\nto O\nOslo B-LOC\n. O\n\nOslo B-LOC\nlikes O\nEmma B-PER\n. O\n\n"
VECTORS = "emma 1 2\noslo 3 4\n"


def run(*arguments: object) -> Any:
    result = CliRunner().invoke(app, ["train", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("train.conll", "dev.conll", "test.conll"):
        Path(name).write_text(SENTENCES)
    Path("vectors.txt").write_text(VECTORS)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at first must not wait for AllenNLP."""
    pytest.importorskip("allennlp")
    from elmo_tagger.plugin import training

    monkeypatch.setattr(training, "train_seeds", lambda *_, **__: pytest.fail("it was begun"))


FILES = ("--train", "train.conll", "--dev", "dev.conll")


def test_several_seeds_end_with_their_mean_and_the_best_archive() -> None:
    pytest.importorskip("allennlp")
    from allennlp.common import Params

    files = (*FILES, "--test", "test.conll", "--vectors", "vectors.txt")
    result = run(*files, "--seeds", 2, "--epochs", 2, "-o", "runs/mine")
    assert result.exit_code == 0, result.output
    scores = [json.loads(Path(f"runs/mine/seed_{seed}/metrics.json").read_text()) for seed in (1, 2)]
    f1 = [100 * each["best_validation_f1-measure-overall"] for each in scores]
    rows = {line.split("  ")[0]: line.split() for line in result.output.splitlines()}
    assert [float(rows[seed][1]) for seed in "12"] == pytest.approx(f1, abs=0.006)
    assert float(rows["mean"][1]) == pytest.approx(sum(f1) / 2, abs=0.006)
    assert float(rows["standard deviation"][2]) == pytest.approx(abs(f1[0] - f1[1]) / 2**0.5, abs=0.006)
    best = 1 if f1[0] >= f1[1] else 2
    assert f"best archive (seed {best}): runs/mine/model.tar.gz" in result.output
    assert Path("runs/mine/model.tar.gz").read_bytes() == Path(f"runs/mine/seed_{best}/model.tar.gz").read_bytes()

    # the next step is editing: the config that was used stands alone, elsewhere too
    config = Params.from_file("runs/mine/train.jsonnet").as_dict(quiet=True)
    assert config["train_data_path"] == str(Path("train.conll").absolute())
    assert config["trainer"]["num_epochs"] == 2
    used = json.loads(Path("runs/mine/seed_2/config.json").read_text())
    assert (used["random_seed"], used["model"]) == (2, config["model"])

    # what is finished is not trained again
    before = Path("runs/mine/seed_1/model.tar.gz").stat().st_mtime_ns
    assert run(*files, "--seeds", 2, "--epochs", 2, "-o", "runs/mine", "--recover").exit_code == 0
    assert Path("runs/mine/seed_1/model.tar.gz").stat().st_mtime_ns == before
    # and nothing is trained over it by chance
    refused = run(*files, "--epochs", 2, "-o", "runs/mine")
    assert refused.exit_code == 2
    assert "runs/mine holds a run already: --recover goes on with it, --force replaces it" in refused.output
    other = run(*files, "--epochs", 3, "-o", "runs/mine", "--recover")
    assert "runs/mine/train.jsonnet: expected the config of the same command, this one differs" in other.output


def test_an_interrupted_training_goes_on_though_it_has_left_an_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    """AllenNLP makes one of the best weights so far when it is interrupted."""
    pytest.importorskip("allennlp")
    from allennlp.commands import train

    calls = []

    def train_model(params: object, folder: str, recover: bool, **_: object) -> None:
        calls.append(recover)
        Path(folder).mkdir(exist_ok=True)
        if recover:
            Path(folder, "metrics.json").write_text('{"best_validation_f1-measure-overall": 0.5}')
        Path(folder, "model.tar.gz").write_text(f"archive {len(calls)}")
        if not recover:
            raise KeyboardInterrupt

    monkeypatch.setattr(train, "train_model", train_model)
    interrupted = run(*FILES, "-o", "run")
    line = "interrupted; it goes on with the same command and --recover"
    assert (interrupted.exit_code, interrupted.output.splitlines()[-1]) == (130, line)
    for number, calls_expected in ((2, [False, True]), (2, [False, True])):
        assert run(*FILES, "-o", "run", "--recover").exit_code == 0
        assert (calls, Path("run/model.tar.gz").read_text()) == (calls_expected, f"archive {number}")
    # one that was killed between its last scores and its archive
    os.utime("run/seed_1/model.tar.gz", (0, 0))
    assert run(*FILES, "-o", "run", "--recover").exit_code == 0
    assert (calls, Path("run/model.tar.gz").read_text()) == ([False, True, True], "archive 3")


def test_a_training_that_was_killed_before_it_saved_anything_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("allennlp")
    from allennlp.commands import train

    def train_model(params: object, folder: str, recover: bool, **_: object) -> None:
        assert not recover
        assert not Path(folder).exists()
        Path(folder).mkdir()
        Path(folder, "metrics.json").write_text('{"best_validation_f1-measure-overall": 0.5}')
        Path(folder, "model.tar.gz").touch()

    monkeypatch.setattr(train, "train_model", train_model)
    Path("run/seed_1").mkdir(parents=True)
    Path("run/seed_1/config.json").write_text('{"dataset_r')
    assert run(*FILES, "-o", "run", "--recover").exit_code == 0
    assert Path("run/model.tar.gz").exists()


@pytest.mark.parametrize("named", [True, False])
def test_force_replaces_no_folder_but_that_of_a_training(named: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("allennlp")
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years of work")
    data = "mine/train.conll" if named else "train.conll"
    if named:
        for name in ("lib/tagger.libsonnet", "train.jsonnet"):
            Path("mine", name).parent.mkdir(exist_ok=True)
            Path("mine", name).touch()
        Path("train.conll").rename(data)
    result = run("--train", data, "--dev", "dev.conll", "-o", "mine", "--force")
    reason = (
        f"would replace {data}, which the training reads" if named else "replaces the folder of a training, and this"
    )
    assert (result.exit_code, f"mine: --force {reason}" in result.output) == (2, True), result.output
    assert Path("mine/thesis.txt").read_text() == "years of work"
    assert Path(data).read_text() == SENTENCES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--vectors", "nothing.txt"), "error: --vectors: nothing.txt: no such file"),
        (("--weights", "startr"), "error: startr: no such file or directory: expected a directory with options.json"),
        (("--weights", "."), "error: .: expected options.json and weights.hdf5 in it"),
        (("--train", "more.conll"), "error: --train: expected one file, received train.conll, more.conll: join them"),
        (("--test", "bad.conll"), "error: training would fail: bad.conll: 1 ill-formed line"),
        (("--test", "prose.txt"), "error: training would fail: prose.txt: no tags: its last column begins with 'Rome"),
        (("--test", "nothing.conll"), "error: nothing.conll: No such file or directory"),
    ],
)
@pytest.mark.usefixtures("no_training")
def test_what_would_fail_is_said_before_the_training(arguments: tuple[str, ...], message: str) -> None:
    Path("bad.conll").write_text(SENTENCES + "x\n")
    Path("prose.txt").write_text("Ada met Bob in Rome.\nShe went home.\n")
    result = run(*FILES, *arguments, "-o", "run")
    assert (result.exit_code, message in result.output) == (2, True), result.output
    assert "prose.txt" not in arguments or "--skip-bad-lines" not in result.output
    assert not Path("run").exists()


def test_without_allennlp_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = run(*FILES, "-o", "run")
    assert result.exit_code == 2
    (line,) = result.output.splitlines()
    assert line.startswith("error: training needs AllenNLP: run `uv add 'elmo-tagger[allennlp]'`")


def test_a_config_is_filled_in_and_changed() -> None:
    rjsonnet = pytest.importorskip("_jsonnet")
    variables = dict.fromkeys(("TRAIN", "DEV", "TEST", "VECTORS", "ELMO_OPTIONS", "ELMO_WEIGHTS"), 'a "b"\\c\'d/é')
    changes = {"dataset_reader": {"separator": "\t", "skip_bad_lines": True}, "test_data_path": None}
    text = run_config.run_config("elmo_and_vectors.jsonnet", variables, changes, title="Written for a test")
    for name, content in run_config.files_of_run(text).items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(content, encoding="utf-8")
    config = json.loads(rjsonnet.evaluate_file("train.jsonnet"))
    assert config["train_data_path"] == variables["TRAIN"]
    assert config["test_data_path"] is None
    assert config["dataset_reader"]["separator"] == "\t"
    assert config["dataset_reader"]["type"] == "conll_columns", "the rest of the reader stays"
    assert text.startswith("// Written for a test\nlocal lib = ")


def test_columns_that_were_found_are_told_to_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("allennlp")
    from elmo_tagger.plugin import training

    swapped = "".join(f"{' '.join(reversed(line.split()))}\n" for line in SENTENCES.split("\n"))
    for name in ("train.conll", "dev.conll"):
        Path(name).write_text(swapped)
    written: dict[str, str] = {}

    def stop(files: dict[str, str], *_: object, **__: object) -> None:
        written.update(files)
        raise ValueError("far enough")

    monkeypatch.setattr(training, "train_seeds", stop)
    result = run(*FILES, "--no-calibrate", "-o", "run")
    assert "far enough" in result.output
    assert "calibrate: false," in written["train.jsonnet"]
    assert "token_column: 1," in written["train.jsonnet"]
    assert "tag_column: 0," in written["train.jsonnet"]
