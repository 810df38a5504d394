"""`--recover` of a biLM's training: the state of its streams, and its place in the text."""

from typing import Any, List, Optional, Tuple

import torch
from allennlp.common.util import is_distributed
from allennlp.training.checkpointer import Checkpointer
from allennlp.training.gradient_descent_trainer import GradientDescentTrainer
from allennlp.training.trainer import TrainerCheckpoint

from elmo_tagger.plugin.lm_loader import LmStreamLoader
from elmo_tagger.plugin.lm_model import ElmoBilm

State = Tuple[torch.Tensor, torch.Tensor]
_KEY = "carried_states"
_STREAMS_AXIS = 1


def keep_streams_in_checkpoints() -> None:
    """Saves the streams' states of all processes with each checkpoint, and restores them with it.

    They are no part of the weights: an archive has no use for them, and each process has its own. Batches from before
    the checkpoint, which AllenNLP draws again only to throw them away, are not made.
    """
    trainer = GradientDescentTrainer
    save, restore, load = trainer.get_checkpoint_state, trainer._maybe_restore_checkpoint, Checkpointer.load_checkpoint
    if getattr(save, "keeps_streams", False):
        return

    def get_checkpoint_state(self: GradientDescentTrainer) -> Optional[TrainerCheckpoint]:
        streams = _gathered(self.model) if isinstance(self.model, ElmoBilm) else None
        state = save(self)
        if state is None:
            # Where nothing is written AllenNLP does not note the time, and asks again after every batch; but states are
            # gathered only if all processes ask at the same time.
            self._checkpointer._last_save_num_epochs_completed = self._epochs_completed
            self._checkpointer._last_save_num_batches_in_epoch_completed = self._batches_in_epoch_completed
        elif streams is not None:
            state.trainer_state[_KEY] = streams
        return state

    def load_checkpoint(self: Checkpointer) -> Optional[TrainerCheckpoint]:
        state = load(self)
        self._carried_states = None if state is None else state.trainer_state.get(_KEY)
        return state

    def _maybe_restore_checkpoint(self: GradientDescentTrainer) -> None:
        restore(self)
        streams = getattr(self._checkpointer, "_carried_states", None)
        if streams is not None and isinstance(self.model, ElmoBilm):
            self.model.language_model.carried = _own(streams)
        if isinstance(self.data_loader, LmStreamLoader):
            batches = self._start_after_batches_in_epoch_completed * self._num_gradient_accumulation_steps
            self.data_loader.skip(self._start_after_epochs_completed, batches)

    get_checkpoint_state.keeps_streams = True  # type: ignore[attr-defined]
    trainer.get_checkpoint_state = get_checkpoint_state
    trainer._maybe_restore_checkpoint = _maybe_restore_checkpoint
    Checkpointer.load_checkpoint = load_checkpoint


def _gathered(model: ElmoBilm) -> Optional[List[State]]:
    """The states of all processes' streams, one process after the other; every process must call this."""
    carried = model.language_model.carried
    if carried is None or not is_distributed():
        return carried
    return [(_all_streams(output), _all_streams(cell)) for output, cell in carried]


def _all_streams(own: torch.Tensor) -> torch.Tensor:
    every = [torch.empty_like(own) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(every, own.contiguous())
    return torch.cat(every, dim=_STREAMS_AXIS)


def _own(streams: List[Any]) -> List[State]:
    if not is_distributed():
        return [(output, cell) for output, cell in streams]
    rank, processes = torch.distributed.get_rank(), torch.distributed.get_world_size()
    return [tuple(part.chunk(processes, dim=_STREAMS_AXIS)[rank].clone() for part in state) for state in streams]


keep_streams_in_checkpoints()
