"""Where a padded batch's words lie, in the order in which chunks visit them; nothing here waits for the device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from elmo_tagger.bilm.cuda.schedule import Chunk
from elmo_tagger.bilm.packing import NO_WORD


@dataclass(frozen=True)
class Grid:
    """A batch of rows of word vectors.

    Attributes:
        words: (B * T + 1,) int64, row of each word; any row where there is none, and at the end.
        columns: (B, T) int64, for word 0, 1, ... of a sentence its column; any column beyond its end.
        lengths: (B,) int64, words of each sentence.
        order: (B,) int64, the longest sentence first.
    """

    words: Tensor
    columns: Tensor
    lengths: Tensor
    order: Tensor

    @classmethod
    def of(cls, words: Tensor) -> Grid:
        """From rows (B, T) int64, `NO_WORD` where there is no word; gaps within a sentence are skipped."""
        mask = words != NO_WORD
        lengths = mask.sum(dim=1)
        width = words.shape[1]
        # what is no word goes to a column behind the last
        numbers = torch.where(mask, mask.cumsum(dim=1) - 1, width)
        columns = words.new_zeros(len(words), width + 1)
        columns.scatter_(1, numbers, torch.arange(width, device=words.device).expand_as(words).contiguous())
        return cls(
            words=F.pad(words.clamp(min=0).flatten(), (0, 1)),
            columns=columns[:, :width],
            lengths=lengths,
            order=lengths.argsort(descending=True, stable=True),
        )

    def indices(self, sentences: Tensor, steps: int, rows: int) -> Tensor:
        """Where each step of some sentences finds its word.

        Args:
            sentences: (R,) int64.
            steps: Of the longest of them.
            rows: At least R.

        Returns:
            (2, steps, rows) int64, indices in `words`, forward and backward; the last one where there is no word.
        """
        lengths = self.lengths[sentences]
        columns = self.columns[sentences]
        forward = torch.arange(steps, device=lengths.device).unsqueeze(1)
        backward = (lengths - 1 - forward).clamp(min=0)
        starts = sentences * self.columns.shape[1]
        inside = forward < lengths
        found = torch.stack([columns[:, :steps].T, columns.gather(1, backward.T).T]) + starts
        nowhere = len(self.words) - 1
        return F.pad(torch.where(inside, found, nowhere), (0, rows - len(sentences)), value=nowhere)


def of_chunk(values: Tensor, chunk: Chunk) -> Tensor:
    """A chunk's share of (2, steps, rows), flattened."""
    return values[:, chunk.first : chunk.first + chunk.steps, : chunk.rows].reshape(-1)
