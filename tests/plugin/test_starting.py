"""How a training begins, and what one that fails leaves behind."""

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


def test_a_folder_that_is_in_use_is_refused_with_the_ways_on(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("")
    with pytest.raises(ConfigurationError, match=r"--recover goes on with it, --force replaces it"):
        with run_folder(tmp_path, recover=False, force=False):
            pytest.fail("it was begun")
    assert content(tmp_path) == ["old"]


def begin(folder: Path, *files: str, recover: bool = False, force: bool = False) -> None:
    """A training that writes these files and fails."""
    with run_folder(folder, recover=recover, force=force):
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
    run = tmp_path / "run"
    run.mkdir()
    (run / "best.th").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        begin(run, "out.log", force=True)
    assert (content(tmp_path), (run / "best.th").read_text()) == (["run", "run/best.th"], "old")
    with pytest.raises(KeyboardInterrupt):
        begin(run, "best.th", force=True)
    assert (content(tmp_path), (run / "best.th").read_text()) == (["run", "run/best.th"], "new")


def test_a_recovered_training_that_fails_keeps_everything(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("old")
    with pytest.raises(KeyboardInterrupt):
        begin(tmp_path, "out.log", recover=True)
    assert content(tmp_path) == ["config.json", "out.log"]
