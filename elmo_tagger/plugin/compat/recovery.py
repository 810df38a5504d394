"""Files of a training: whole when they are there, read again by `--recover`, to the result of an uninterrupted one."""

import functools
import logging
import random
import tempfile
from os import PathLike
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Tuple, Union

import numpy
import torch
from allennlp import models
from allennlp.commands import train
from allennlp.models import archival
from allennlp.training.checkpointer import Checkpointer
from allennlp.training.gradient_descent_trainer import GradientDescentTrainer
from allennlp.training.trainer import TrainerCheckpoint

from elmo_tagger.archives import ArchiveError, check_sums

logger = logging.getLogger(__name__)


def numpy_scalar_types() -> List[Any]:
    """The types that a NumPy float64 scalar is pickled as, and no others."""
    scalar = numpy.float64(0).__reduce__()[0]
    return [scalar, numpy.dtype, type(numpy.dtype("float64"))]


def allow_scheduler_states() -> None:
    """Lets `--recover` read the learning rates of schedulers that compute them with NumPy, such as `cosine`.

    torch.load unpickles nothing but tensors and plain Python by default (`weights_only=True`). That default stays; only
    the types of a NumPy scalar are added to what it accepts.
    """
    torch.serialization.add_safe_globals(numpy_scalar_types())


def keep_random_states_in_checkpoints() -> None:
    """Saves the random states with each checkpoint and restores them with it.

    AllenNLP replays the training data of the epochs before a checkpoint, but neither the validation data, which is
    shuffled by the same generator, nor dropout. Order and masks would go other ways than in an uninterrupted training.
    """
    trainer = GradientDescentTrainer
    save, restore, train = trainer.get_checkpoint_state, trainer._maybe_restore_checkpoint, trainer._train_epoch
    load = Checkpointer.load_checkpoint
    if getattr(save, "keeps_random_states", False):
        return

    def get_checkpoint_state(self: GradientDescentTrainer) -> Optional[TrainerCheckpoint]:
        state = save(self)
        if state is not None:
            # The order of an epoch's batches is drawn at its start, dropout masks all along.
            begun = self._batches_in_epoch_completed > 0
            order = self._order_states if begun else _order_states()
            state.trainer_state["random_states"] = {"order": order, "masks": _mask_states()}
        return state

    def load_checkpoint(self: Checkpointer) -> Optional[TrainerCheckpoint]:
        state = load(self)
        self._random_states = None if state is None else state.trainer_state.get("random_states")
        return state

    def _maybe_restore_checkpoint(self: GradientDescentTrainer) -> None:
        restore(self)
        self._random_states = getattr(self._checkpointer, "_random_states", None)

    def _train_epoch(self: GradientDescentTrainer, epoch: int) -> Dict[str, float]:
        if self._random_states is not None and self._epochs_completed == self._start_after_epochs_completed:
            _set_random_states(self._random_states)
        self._order_states = _order_states()
        return train(self, epoch)

    get_checkpoint_state.keeps_random_states = True  # type: ignore[attr-defined]
    trainer.get_checkpoint_state = get_checkpoint_state
    trainer._maybe_restore_checkpoint = _maybe_restore_checkpoint
    trainer._train_epoch = _train_epoch
    Checkpointer.load_checkpoint = load_checkpoint


def _order_states() -> Dict[str, Any]:
    """The generators that data loaders use, as plain Python and tensors."""
    name, keys, *rest = numpy.random.get_state()
    return {"python": random.getstate(), "numpy": (name, keys.tolist(), *rest)}


def _mask_states() -> Dict[str, Any]:
    states: Dict[str, Any] = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def _set_random_states(states: Dict[str, Any]) -> None:
    random.setstate(states["order"]["python"])
    numpy.random.set_state(states["order"]["numpy"])
    masks = states["masks"]
    torch.set_rng_state(masks["cpu"].cpu())
    if torch.cuda.is_available() and len(masks.get("cuda", [])) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in masks["cuda"]])


def skip_damaged_checkpoints() -> None:
    """Makes `--recover` go on from the last checkpoint that is whole, and remove those after it that are damaged.

    The process may have died while it wrote one: a torch checkpoint is a zip file whose directory comes last, so a torn
    one is no zip file. AllenNLP would fail on it, and would not overwrite it either. A flipped bit is only told by the
    checksums, which torch.load does not compare.
    """
    find = Checkpointer.find_latest_checkpoint
    if getattr(find, "skips_damaged", False):
        return

    def find_latest_checkpoint(self: Checkpointer) -> Optional[Tuple[str, str]]:
        for checkpoint in sorted(self._find_all_checkpoints(), reverse=True):
            files = self._model_state_path(*checkpoint), self._training_state_path(*checkpoint)
            damage = _damage(files)
            if damage is None:
                return files
            if self._is_primary:
                logger.warning("Checkpoint %s is damaged and is removed: %s", checkpoint, damage)
                self._remove_checkpoint(*checkpoint)
        return None

    find_latest_checkpoint.skips_damaged = True  # type: ignore[attr-defined]
    Checkpointer.find_latest_checkpoint = find_latest_checkpoint


def _damage(files: Iterable[str]) -> Optional[str]:
    """What is wrong with the first of some files of tensors that is not whole."""
    for file in files:
        try:
            check_sums(file)
        except (ArchiveError, OSError) as error:
            return str(error)
    return None


def write_best_weights_whole() -> None:
    """Writes `best.th` beside its place and moves it there, so that a process that dies leaves the one before.

    When a training ends it reads them again, unless the last epoch was the best; damage is an error then.

    AllenNLP writes an epoch's checkpoint before it writes the best weights and notes where they are. A process that
    dies in between leaves none, or those of an earlier epoch; `--recover` makes them from the checkpoint.
    """
    save, load = GradientDescentTrainer._save_model_state, GradientDescentTrainer._load_model_state
    restore = GradientDescentTrainer._maybe_restore_checkpoint
    if getattr(save, "writes_whole", False):
        return

    def _save_model_state(self: GradientDescentTrainer, path: str) -> None:
        partial = f"{path}.partial"
        save(self, partial)
        Path(partial).replace(path)

    def _load_model_state(self: GradientDescentTrainer, path: str) -> None:
        check_sums(path)
        load(self, path)

    def _maybe_restore_checkpoint(self: GradientDescentTrainer) -> None:
        restore(self)
        sharded = self._ddp_wrapped_model is not None and self._ddp_wrapped_model.is_sharded
        if not self._serialization_dir or sharded or not self._start_after_epochs_completed:
            return
        best = self._best_model_filename = str(Path(self._serialization_dir) / "best.th")
        after_an_epoch = self._start_after_batches_in_epoch_completed == 0
        if not (after_an_epoch and self._metric_tracker.is_best_so_far() and self._primary):
            return
        if self._moving_average is None:
            self._save_model_state(best)
            return
        self._moving_average.assign_average_value()
        self._save_model_state(best)
        self._moving_average.restore()

    _save_model_state.writes_whole = True  # type: ignore[attr-defined]
    GradientDescentTrainer._save_model_state = _save_model_state
    GradientDescentTrainer._load_model_state = _load_model_state
    GradientDescentTrainer._maybe_restore_checkpoint = _maybe_restore_checkpoint


def write_archives_whole() -> None:
    """Writes `model.tar.gz` beside its place and moves it there: none is half-written, whatever ends the process.

    A full disk is an error that names it.
    """
    write = archival.archive_model
    if getattr(write, "writes_whole", False):
        return

    @functools.wraps(write)
    def archive_model(
        serialization_dir: Union[str, PathLike],  # type: ignore[type-arg]
        weights: str = "best.th",
        archive_path: Union[str, PathLike, None] = None,  # type: ignore[type-arg]
        include_in_archive: Optional[List[str]] = None,
    ) -> str:
        target = Path(archive_path or serialization_dir)
        target = target / "model.tar.gz" if target.is_dir() else target
        try:
            with tempfile.TemporaryDirectory(prefix=".archive-", dir=target.parent) as folder:
                partial = Path(folder) / target.name  # the gzip format notes the name
                write(serialization_dir, weights, partial, include_in_archive)
                partial.replace(target)
        except OSError as error:
            error.filename = error.filename or str(target)
            raise
        return str(target)

    archive_model.writes_whole = True  # type: ignore[attr-defined]
    archival.archive_model = train.archive_model = models.archive_model = archive_model
