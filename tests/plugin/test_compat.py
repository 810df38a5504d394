"""What current torch broke in AllenNLP, and `--recover`. Each test fails without its mend."""

import io
import json
import random
import resource
import shutil
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Optional

import numpy
import pytest
import torch
from allennlp.commands import train
from allennlp.commands.train import train_model
from allennlp.common import Params, util
from allennlp.data import DataLoader, DatasetReader, Vocabulary
from allennlp.models import archival, load_archive
from allennlp.training import gradient_descent_trainer
from allennlp.training.callbacks import TrainerCallback
from allennlp.training.checkpointer import Checkpointer
from allennlp.training.learning_rate_schedulers import LearningRateScheduler
from allennlp.training.optimizers import Optimizer

from elmo_tagger.archives import ArchiveError
from elmo_tagger.bilm.loading import checkpoint
from elmo_tagger.plugin.compat.extras import NEEDED
from tests.plugin.conftest import tagger_config


def test_reduce_on_plateau_is_built_and_reduces() -> None:
    weights = [["w", torch.nn.Parameter(torch.ones(1))]]
    optimizer = Optimizer.from_params(Params({"type": "sgd", "lr": 1.0}), model_parameters=weights)
    config = {"type": "reduce_on_plateau", "mode": "max", "factor": 0.5, "patience": 1, "verbose": True}
    scheduler = LearningRateScheduler.from_params(Params(config), optimizer=optimizer)
    rates = []
    for score in (0.3, 0.2, 0.2, 0.2):
        scheduler.step(score)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == [1.0, 1.0, 0.5, 0.5]


def test_numpy_scalars_load_and_other_classes_do_not() -> None:
    def round_trip(value: object) -> object:
        buffer = io.BytesIO()
        torch.save({"value": value}, buffer)
        buffer.seek(0)
        return torch.load(buffer)["value"]

    assert round_trip(numpy.float64(0.25)) == 0.25
    with pytest.raises(Exception, match="Weights only load failed"):
        round_trip(Path("x"))


class Interrupted(Exception):
    """Stands for a killed process."""


@TrainerCallback.register("test_interruption")
class Interruption(TrainerCallback):
    """Ends a training after some batches, if `at` is set."""

    at: ClassVar[Optional[tuple[int, int]]] = None

    def on_batch(self, trainer: Any, *args: Any, is_training: bool, **kwargs: Any) -> None:
        place = (trainer._epochs_completed, trainer._batches_in_epoch_completed)
        if is_training and place == self.at:
            raise Interrupted


SCHEDULERS = [
    {"type": "reduce_on_plateau", "patience": 0, "mode": "max"},
    {"type": "cosine", "t_initial": 3},
]


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda s: s["type"])
def test_recovered_training_equals_an_uninterrupted_one(
    scheduler: dict,
    bilm_files: dict[str, str],
    training_file: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Interrupted in the middle of the fourth epoch, after a checkpoint in the middle of it."""

    def config() -> Params:
        trainer = {
            "learning_rate_scheduler": dict(scheduler),
            "callbacks": ["test_interruption"],
            "checkpointer": {"save_every_num_batches": 2},
            "num_epochs": 6,
            "patience": 5,
        }
        return Params(tagger_config(bilm_files, training_file, **trainer))

    train_model(config(), str(tmp_path / "whole"))
    monkeypatch.setattr(Interruption, "at", (3, 3))
    with pytest.raises(Interrupted):
        train_model(config(), str(tmp_path / "parts"))
    monkeypatch.setattr(Interruption, "at", None)
    assert not (tmp_path / "parts" / "metrics.json").exists()
    # What a process leaves that dies while it writes: half a file.
    newest = max((tmp_path / "parts").glob("training_state_e3*"))
    torn = tmp_path / "parts" / "model_state_e3_b4.th"
    torn.write_bytes(newest.read_bytes()[:2000])

    train_model(config(), str(tmp_path / "parts"), recover=True)
    whole, parts = (torch.load(tmp_path / name / "best.th") for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    for name in whole:
        torch.testing.assert_close(parts[name], whole[name], atol=0, rtol=0, msg=name)
    scores = [Params.from_file(tmp_path / name / "metrics.json") for name in ("whole", "parts")]
    for key in ("best_epoch", "best_validation_f1-measure-overall", "best_validation_loss", "validation_loss"):
        assert scores[0][key] == scores[1][key], key


@pytest.mark.parametrize("left", ["none", "older"])
def test_a_process_that_died_before_it_wrote_the_best_weights_ends_with_them(
    left: str, bilm_files: dict[str, str], training_file: str, tmp_path: Path
) -> None:
    """A checkpoint is written before the best weights of its epoch."""
    run = tmp_path / "run"
    config = {"num_epochs": 2, "validation_metric": "-loss", "checkpointer": {"keep_most_recent_by_count": 2}}
    train_model(Params(tagger_config(bilm_files, training_file, **config)), str(run))
    expected = torch.load(run / "best.th")
    assert json.loads((run / "metrics.json").read_text())["best_epoch"] == 1
    for name in ("best.th", "metrics.json", "model.tar.gz"):
        (run / name).unlink()
    if left == "older":
        shutil.copy(run / "model_state_e1_b0.th", run / "best.th")
    train_model(Params(tagger_config(bilm_files, training_file, **config)), str(run), recover=True)
    found = torch.load(run / "best.th")
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_recovered_training_that_finds_nothing_better_ends_with_the_weights_of_before(
    bilm_files: dict[str, str], training_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the first epoch stays the best
    trainer = {"num_epochs": 2, "validation_metric": "+loss", "callbacks": ["test_interruption"]}
    monkeypatch.setattr(Interruption, "at", (1, 1))
    with pytest.raises(Interrupted):
        train_model(Params(tagger_config(bilm_files, training_file, **trainer)), str(tmp_path / "run"))
    monkeypatch.setattr(Interruption, "at", None)
    config = Params(tagger_config(bilm_files, training_file, **trainer))
    model = train_model(config, str(tmp_path / "run"), recover=True)
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["best_epoch"] == 0
    best = torch.load(tmp_path / "run" / "best.th")
    assert model.crf.temperature != 1
    assert torch.equal(best["crf.temperature"], model.crf.temperature)
    assert torch.equal(best["crf.transitions"], model.crf.transitions)


def flip_a_bit(path: Path) -> None:
    """In the middle of a file's largest record."""
    with zipfile.ZipFile(path) as file:
        largest = max(file.infolist(), key=lambda member: member.file_size)
        with file.open(largest) as record:
            value = record.read()
    content = bytearray(path.read_bytes())
    content[content.index(value) + len(value) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["model_state", "training_state"])
def test_a_checkpoint_with_a_flipped_bit_is_removed_and_the_one_before_is_used(kind: str, tmp_path: Path) -> None:
    for epoch in (1, 2):
        for each in ("model_state", "training_state"):
            torch.save({"weights": torch.full((1000,), float(epoch))}, tmp_path / f"{each}_e{epoch}_b0.th")
    flip_a_bit(tmp_path / f"{kind}_e2_b0.th")
    state = Checkpointer(tmp_path).load_checkpoint()
    assert state is not None
    assert state.model_state["weights"].unique().tolist() == [1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model_state_e1_b0.th", "training_state_e1_b0.th"]


class DamageToTheBest(TrainerCallback):
    """Flips a bit of the best weights while another epoch goes on."""

    def on_epoch(self, trainer: Any, *args: Any, **kwargs: Any) -> None:
        best = Path(self.serialization_dir) / "best.th"
        if best.exists() and not trainer._metric_tracker.is_best_so_far():
            flip_a_bit(best)


def test_best_weights_that_were_damaged_are_not_taken(
    bilm_files: dict[str, str], training_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradient_descent_trainer, "DEFAULT_CALLBACKS", (DamageToTheBest,))
    # the first epoch stays the best
    trainer = {"num_epochs": 2, "validation_metric": "+loss", "optimizer": {"type": "sgd", "lr": 0.1}}
    with pytest.raises(ArchiveError, match=r"best\.th: damaged: the checksum of '.*' is wrong"):
        train_model(Params(tagger_config(bilm_files, training_file, **trainer)), str(tmp_path / "run"))
    assert not (tmp_path / "run" / "model.tar.gz").exists()


def test_an_archive_is_written_whole_or_not_at_all(archive: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(archive, run)
    before = (run / "model.tar.gz").read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    # files that end after 1,000 bytes: the error of a full disk, but for its number
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(OSError, match=rf"File too large: '{run}/model\.tar\.gz'"):
            train.archive_model(str(run))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert (run / "model.tar.gz").read_bytes() == before
    assert archival.archive_model(str(run)) == str(run / "model.tar.gz")
    assert sorted(path.name for path in run.iterdir()) == sorted(path.name for path in archive.iterdir())
    assert load_archive(run / "model.tar.gz").model.state_dict().keys()
    assert archival.archive_model(str(run), archive_path=tmp_path) == str(tmp_path / "model.tar.gz")


def test_a_torn_checkpoint_is_removed_and_the_one_before_is_used(tmp_path: Path) -> None:
    for epoch in (1, 2):
        for kind in ("model", "training"):
            torch.save({"epoch": epoch}, tmp_path / f"{kind}_state_e{epoch}_b0.th")
    whole = (tmp_path / "model_state_e2_b0.th").read_bytes()
    (tmp_path / "model_state_e2_b0.th").write_bytes(whole[: len(whole) // 2])
    state = Checkpointer(tmp_path).load_checkpoint()
    assert state is not None
    assert state.model_state == {"epoch": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model_state_e1_b0.th", "training_state_e1_b0.th"]


def test_a_torn_best_model_is_passed_over(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "best.th").write_bytes((archive / "best.th").read_bytes()[:3000])
    assert checkpoint.find(str(tmp_path), None, None) == []
    (tmp_path / "weights.th").write_bytes((archive / "best.th").read_bytes()[:3000])
    with pytest.raises(ArchiveError, match=r"weights\.th"):
        checkpoint.find(str(tmp_path), None, None)


def test_training_sentences_are_shuffled_unless_told_otherwise(training_file: str) -> None:
    def orders(reader: str, **options: object) -> list[list[str]]:
        config = {"type": "multiprocess", "batch_size": 1, **options}
        source = DatasetReader.by_name(reader)()
        loader = DataLoader.from_params(Params(config), reader=source, data_path=training_file)
        loader.index_with(Vocabulary.from_instances(loader.iter_instances()))
        random.seed(0)
        return [[" ".join(batch["metadata"][0]["words"]) for batch in loader] for _ in range(2)]

    first, second = orders("conll_columns")
    assert first != second
    assert sorted(first) == sorted(second)
    first, second = orders("conll_columns", shuffle=False)
    assert first == second


def test_including_a_package_leaves_out_what_lacks_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, needed in NEEDED.items():
        assert find_spec(module), "a name in the table that is none"
        assert find_spec(needed), "a name in the table that is none"
    monkeypatch.setitem(NEEDED, "elmo_tagger.unknown", "no_such_library")
    util.import_module_and_submodules("elmo_tagger.unknown")  # not even looked for
    with pytest.raises(ModuleNotFoundError):
        util.import_module_and_submodules("elmo_tagger.other_unknown")
