"""`--recover`: checkpoints that can be read, are whole, and lead to the result of an uninterrupted training."""

import logging
import random
import zipfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy
import torch
from allennlp.training.checkpointer import Checkpointer
from allennlp.training.gradient_descent_trainer import GradientDescentTrainer
from allennlp.training.trainer import TrainerCheckpoint

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


def skip_torn_checkpoints() -> None:
    """Makes `--recover` go back to the last whole checkpoint when the process died while it wrote one.

    A torch checkpoint is a zip file whose directory comes last, so a torn one is not a zip file. AllenNLP would fail on
    it, and would not overwrite it either.
    """
    find_all = Checkpointer._find_all_checkpoints
    if getattr(find_all, "skips_torn", False):
        return

    def _find_all_checkpoints(self: Checkpointer) -> Any:
        checkpoints = find_all(self)
        for checkpoint in sorted(checkpoints):
            torn = _torn_files(self, checkpoint)
            if torn:
                logger.warning("Checkpoint %s is incomplete and is removed: %s", checkpoint, ", ".join(torn))
                self._remove_checkpoint(*checkpoint)
                checkpoints.discard(checkpoint)
        return checkpoints

    _find_all_checkpoints.skips_torn = True  # type: ignore[attr-defined]
    Checkpointer._find_all_checkpoints = _find_all_checkpoints


def _torn_files(checkpointer: Checkpointer, checkpoint: Tuple[int, int]) -> List[str]:
    files = [checkpointer._model_state_path(*checkpoint), checkpointer._training_state_path(*checkpoint)]
    return [file for file in files if not (Path(file).is_file() and zipfile.is_zipfile(file))]


def write_best_weights_whole() -> None:
    """Writes `best.th` beside its place and moves it there, so that a process that dies leaves the one before."""
    save = GradientDescentTrainer._save_model_state
    if getattr(save, "writes_whole", False):
        return

    def _save_model_state(self: GradientDescentTrainer, path: str) -> None:
        partial = f"{path}.partial"
        save(self, partial)
        Path(partial).replace(path)

    _save_model_state.writes_whole = True  # type: ignore[attr-defined]
    GradientDescentTrainer._save_model_state = _save_model_state
