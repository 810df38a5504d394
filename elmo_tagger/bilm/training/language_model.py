"""The biLM as what it is trained as: two language models that share a character CNN and a softmax."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elmo_tagger.bilm.loading import checkpoint
from elmo_tagger.bilm.lstm import State, initial_state
from elmo_tagger.bilm.model import Bilm
from elmo_tagger.bilm.options import Options
from elmo_tagger.bilm.precision import TRAINING_PRECISIONS, checked_precision
from elmo_tagger.bilm.training.batches import LmBatch
from elmo_tagger.bilm.training.softmax import LmSoftmax

# Words of a chunk outside of training, where nothing is kept for gradients: bounds the memory of long sentences.
_WORDS_AT_ONCE = 2**14
# What an embedder describes besides (see `checkpoint`).
_NOT_HERE = ("options_file", "weight_file", "static", "layer_norm")


class BilmLanguageModel(nn.Module):
    """Predicts the next word, forward and backward.

    Args:
        options: The biLM's.
        words: V, the size of the vocabulary.
        samples: See `LmSoftmax`.
        dropout: Of the input of each LSTM layer and of what the softmax reads, while training.
        precision: `bfloat16` for matrix products in that type while training; parameters, cells and the softmax's sums
            stay float32.

    Source: https://github.com/allenai/bilm-tf, bilm/training.py, LanguageModel.
    """

    def __init__(
        self,
        options: Options,
        words: int,
        *,
        samples: int | None = None,
        dropout: float = 0.1,
        precision: str = "float32",
    ) -> None:
        super().__init__()
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout: expected a probability below 1, received {dropout}")
        self.dropout = dropout
        self.precision = checked_precision(precision, TRAINING_PRECISIONS)
        self.bilm = Bilm(options)
        self.softmax = LmSoftmax(words, options.lstm.projection_dim, samples=samples)
        self.carried: list[State] | None = None
        """State of the streams after the last batch: for each layer output (2, streams, P) and cell (2, streams, H)."""

    def forward(self, batch: LmBatch) -> tuple[Tensor, Tensor]:
        """The losses of a batch.

        A batch of streams goes on with the state that the streams were left in; no gradient flows back beyond it.

        Returns:
            The sum of all losses, in nats, which has gradients; and the sums of each direction (2,), which have none.
        """
        # a held-out perplexity must not depend on how the model was trained
        rounds = self.training and self.precision == "bfloat16"
        with torch.autocast(batch.rows.device.type, torch.bfloat16, enabled=rounds):
            # the character CNN sees each word but once
            return self._losses(batch, self.bilm.embed_words(batch.character_ids))

    def get_extra_state(self) -> Tensor:
        """What lets the biLM be taken from the weights alone; see `checkpoint`."""
        description = {"options": self.bilm.options.to_dict(), "layers": "language model"}
        return checkpoint.encode({**dict.fromkeys(_NOT_HERE), **description})

    def set_extra_state(self, state: Any) -> None:
        """Refuses weights of a biLM of another shape.

        Raises:
            RuntimeError: The options differ.
        """
        description = checkpoint.decode(state)
        if description is not None and description["options"] != self.bilm.options.to_dict():
            raise RuntimeError(
                f"the weights hold a biLM with the options {description['options']}, "
                f"but the model was built with {self.bilm.options.to_dict()}"
            )

    def _losses(self, batch: LmBatch, vectors: Tensor) -> tuple[Tensor, Tensor]:
        states = self._states(batch, like=vectors)
        total, sums = vectors.new_zeros(()), vectors.new_zeros(2)
        for sizes, steps in _chunks(batch.sizes, None if self.training else _WORDS_AT_ONCE):
            hidden, states = self._contextualise(F.embedding(batch.rows[:, steps], vectors), sizes, states)
            own, losses = self.softmax(hidden.flatten(0, 1), batch.targets[:, steps].flatten())
            total, sums = total + own, sums + losses.view(2, -1).sum(1)
        if batch.carried:
            # float32 under autocast too, so that a checkpoint has one type whatever the precision
            self.carried = [(output.detach().to(vectors.dtype), cell.detach()) for output, cell in states]
        return total, sums

    def _states(self, batch: LmBatch, *, like: Tensor) -> list[State]:
        streams = batch.sizes[0] if batch.sizes else 0
        if batch.carried and self.carried is not None and self.carried[0][0].shape[1] == streams:
            return [(output.to(like.device), cell.to(like.device)) for output, cell in self.carried]
        return [initial_state(self.bilm.options.lstm, streams, like=like) for _ in self.bilm.lstm.layers]

    def _contextualise(self, values: Tensor, sizes: list[int], states: list[State]) -> tuple[Tensor, list[State]]:
        """Top layer of some steps: (2, N, P) -> (2, N, P), and the states afterwards."""
        after: list[State] = []
        for depth, state in enumerate(states):
            below = F.dropout(values, self.dropout, self.training)
            values, left = self.bilm.run_layer(depth, below, sizes, state)
            if depth and self.bilm.options.lstm.use_skip_connections:
                values = values + below
            after.append(left)
        return F.dropout(values, self.dropout, self.training), after


def _chunks(sizes: list[int], most: int | None) -> list[tuple[list[int], slice]]:
    """Steps in chunks of at most `most` words, one step at least; each with the words that it holds."""
    chunks: list[tuple[list[int], slice]] = []
    first = words = 0
    for step, size in enumerate(sizes):
        if most is not None and step > first and words + size > most:
            start = chunks[-1][1].stop if chunks else 0
            chunks.append((sizes[first:step], slice(start, start + words)))
            first, words = step, 0
        words += size
    if words:
        start = chunks[-1][1].stop if chunks else 0
        chunks.append((sizes[first:], slice(start, start + words)))
    return chunks
