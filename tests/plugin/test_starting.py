"""How a training begins, and what one that fails leaves behind."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from allennlp.commands import train
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError

from elmo_tagger.plugin.compat.starting import check_files, run_folder
from elmo_tagger.text.files import DataError
from tests.plugin.conftest import tagger_config


def content(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_missing_files_are_named_before_anything_is_read_or_written(
    bilm_files: dict[str, str], training_file: str, tmp_path: Path
) -> None:
    missing = tmp_path / "nothing.hdf5"
    config = tagger_config({**bilm_files, "weight_file": str(missing)}, training_file)
    # would fail first if it were read
    config["train_data_path"] = str(tmp_path / "bad.conll")
    (tmp_path / "bad.conll").write_text("a O\nb\n")
    message = f"^model.text_field_embedder.token_embedders.elmo.weight_file: {missing}: no such file$"
    with pytest.raises(ConfigurationError, match=message):
        train.train_model(Params(config), str(tmp_path / "run"))
    assert content(tmp_path) == ["bad.conll"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"validation_data_path": "no/dev.conll"}, "^validation_data_path: no/dev.conll: no such file$"),
        ({"test_data_path": "tests"}, "^test_data_path: tests: is a directory, expected a file$"),
        ({"model": {"a": [{"pretrained_file": "v.txt"}]}}, "^model.a.0.pretrained_file: v.txt: no such file$"),
    ],
)
def test_every_file_of_a_config_is_looked_for(config: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        check_files({"dataset_reader": {"type": "conll_columns"}, **config})


def test_what_may_be_no_file_here_is_left_alone() -> None:
    check_files(
        {
            "dataset_reader": {"type": "sharded"},
            "train_data_path": "parts/*.conll",
            "validation_data_path": "anything",
            "model": {"weight_file": "https://example.org/weights.hdf5", "options_file": "starter"},
            "other": {"pretrained_file": "(https://example.org/v.zip)#v.txt", "weight_file": None},
        }
    )


def test_data_that_cannot_be_read_leave_no_folder(bilm_files: dict[str, str], tmp_path: Path) -> None:
    data = tmp_path / "bad.conll"
    data.write_text("a O\nb\n")
    run = tmp_path / "run"
    with pytest.raises(DataError, match=r"bad\.conll:2: 1 column, expected 2"):
        train.train_model(Params(tagger_config(bilm_files, str(data))), str(run))
    assert not run.exists()


def test_a_config_that_would_fail_after_its_first_epoch_fails_before(
    bilm_files: dict[str, str], training_file: str, tmp_path: Path
) -> None:
    config = tagger_config(bilm_files, training_file)
    del config["model"]["label_encoding"]
    message = r"validation_metric '\+f1-measure-overall': entities are counted if the model has a \"label_encoding\""
    with pytest.raises(ConfigurationError, match=message):
        train.train_model(Params(config), str(tmp_path / "run"))
    config = tagger_config(bilm_files, training_file, validation_metric=["+accuracy", "+f1-measure-overal"])
    with pytest.raises(ConfigurationError, match=r"'\+f1-measure-overal': expected one of accuracy, accuracy3, "):
        train.train_model(Params(config), str(tmp_path / "run"))
    assert content(tmp_path) == []


def made_run(folder: Path) -> Path:
    """The folder of a training, with nothing in it but what tells that it is one."""
    folder.mkdir()
    (folder / "config.json").write_text('{"dataset_reader": {}}')
    (folder / "best.th").write_text("old")
    return folder


def test_a_folder_that_is_in_use_is_refused_with_the_ways_on(tmp_path: Path) -> None:
    run, other = made_run(tmp_path / "run"), tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("")
    (tmp_path / "file").write_text("")
    for folder, message in (
        (run, "run holds a run already: --recover goes on with it, --force replaces it; or give another folder"),
        (other, "other holds files already: give another folder"),
        (tmp_path / "file", "file: is a file, expected the name of a folder"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            with run_folder(folder, recover=False, force=False):
                pytest.fail("it was begun")
    assert content(tmp_path) == ["file", "other", "other/notes.txt", "run", "run/best.th", "run/config.json"]


def test_force_replaces_runs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of documents, a downloaded model, a config without a training: none of them is one."""
    for name, files in {
        "documents": {"notes.txt": ""},
        "downloads": {"model.tar.gz": "", "best.th": ""},
        "project": {"config.json": '{"dataset_reader": {}}', "train.jsonnet": "{}"},
        "settings": {"config.json": "[]", "debug.log": ""},
        "model": {"config.json": '{"dataset_reader": {}}', "model.safetensors": ""},
    }.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
    before = content(tmp_path)
    for folder in tmp_path.iterdir():
        with pytest.raises(ConfigurationError, match=f"{folder}: --force replaces the folder of a training, and this"):
            begin(folder, "best.th", force=True)
    run = made_run(tmp_path / "run")
    (run / "data").mkdir()
    monkeypatch.chdir(run / "data")
    with pytest.raises(ConfigurationError, match=f"would replace {run}/data, which this is run in"):
        begin(run, "best.th", force=True)
    monkeypatch.chdir(tmp_path)
    (run / "data" / "train.conll").write_text("")
    with pytest.raises(ConfigurationError, match=r"replace run/data/train\.conll, which the training reads"):
        begin(Path("run"), "best.th", force=True, inputs=[Path("run/data/train.conll")])
    assert content(tmp_path) == sorted([*before, *(f"run/{each}" for each in content(run)), "run"])
    assert content(run) == ["best.th", "config.json", "data", "data/train.conll"]


def test_force_looks_where_the_data_of_the_config_lie(
    bilm_files: dict[str, str], training_file: str, tmp_path: Path
) -> None:
    run = made_run(tmp_path / "run")
    shutil.copy(training_file, run / "train.conll")
    config = tagger_config(bilm_files, str(run / "train.conll"))
    with pytest.raises(ConfigurationError, match=r"would replace .*train\.conll, which the training reads"):
        train.train_model(Params(config), str(run), force=True)
    assert (run / "train.conll").read_text() == Path(training_file).read_text()


@pytest.mark.parametrize("linked", [False, True])
def test_force_trains_in_the_place_of_the_old_run(
    linked: bool, bilm_files: dict[str, str], training_file: str, tmp_path: Path
) -> None:
    old, name = made_run(tmp_path / "old"), tmp_path / ("link" if linked else "old")
    if linked:
        name.symlink_to("old")
    config = tagger_config(bilm_files, training_file, num_epochs=1)
    train.train_model(Params(config), str(name), force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({"old", name.name})
    assert (name / "model.tar.gz").is_file()
    assert (old / "best.th").read_bytes() != b"old"
    assert name.is_symlink() == linked


def begin(folder: Path, *files: str, recover: bool = False, force: bool = False, inputs: Iterable[Path] = ()) -> None:
    """A training that writes these files and fails."""
    with run_folder(folder, recover=recover, force=force, inputs=inputs):
        folder.mkdir(exist_ok=True)
        for name in files:
            (folder / name).write_text("new")
        raise KeyboardInterrupt


def test_a_failed_training_with_results_stays_and_one_without_goes(tmp_path: Path) -> None:
    for name, files, left in (
        ("a", ["out.log", "config.json"], []),
        ("b", ["out.log", "metrics_epoch_0.json"], ["b", "b/metrics_epoch_0.json", "b/out.log"]),
        ("c", ["model_state_e0_b5.th"], ["c", "c/model_state_e0_b5.th"]),
    ):
        with pytest.raises(KeyboardInterrupt):
            begin(tmp_path / name, *files)
        assert [each for each in content(tmp_path) if each.startswith(name)] == left
    # an empty folder of the user's stays one
    (tmp_path / "d").mkdir()
    with pytest.raises(KeyboardInterrupt):
        begin(tmp_path / "d", "out.log")
    assert content(tmp_path / "d") == []


def test_force_loses_the_old_run_only_to_a_new_one(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    (tmp_path / "link").symlink_to("run")
    for name in (run, tmp_path / "link"):
        with pytest.raises(KeyboardInterrupt):
            begin(name, "out.log", force=True)
        assert (content(run), (run / "best.th").read_text()) == (["best.th", "config.json"], "old")
    with pytest.raises(KeyboardInterrupt):
        begin(tmp_path / "link", "best.th", force=True)
    assert (content(run), (run / "best.th").read_text()) == (["best.th"], "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "run"]


def test_a_recovered_training_that_fails_keeps_everything(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        begin(tmp_path, "out.log", recover=True)
    assert content(tmp_path) == ["config.json", "out.log"]
