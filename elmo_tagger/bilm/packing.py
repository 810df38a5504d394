"""The order in which the LSTM visits the words of a batch, so that it does no work on padding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

NO_WORD = -1
"""In a grid (B, T) of word numbers: no word here."""


@dataclass(frozen=True)
class Packing:
    """Words of some sentences, step by step, the longest sentence first within a step.

    In step t the forward direction reads word t of each sentence that has one, the backward direction the word t
    from the end. Both take the same number of sentences, so that one batch serves both directions, and the order is the
    same in every layer.

    Attributes:
        sentences: (R,) int64, indices of the sentences in the batch, longest first; none is empty.
        sizes: Sentences of each step, never increasing; their sum is N, the number of words.
        indices: (2, N) int64, where the word lies in the flattened grid: forward, backward.
    """

    sentences: Tensor
    sizes: list[int]
    indices: Tensor

    def chunks(self, max_words: int | None) -> list[tuple[list[int], Tensor]]:
        """Cut into chunks of whole steps with at most `max_words` words each (one step at least).

        Returns:
            For each chunk its sizes and its columns of `indices`.
        """
        chunks: list[tuple[list[int], Tensor]] = []
        first = 0
        offset = 0
        while first < len(self.sizes):
            words = self.sizes[first]
            last = first + 1
            while last < len(self.sizes) and (max_words is None or words + self.sizes[last] <= max_words):
                words += self.sizes[last]
                last += 1
            chunks.append((self.sizes[first:last], self.indices[:, offset : offset + words]))
            first, offset = last, offset + words
        return chunks


def pack(words: Tensor, *, max_sentences: int | None = None) -> list[Packing]:
    """Pack a batch.

    Args:
        words: (B, T) int64, `NO_WORD` where there is no word; gaps within a sentence are skipped.
        max_sentences: The batch is cut into packings of at most so many sentences of similar length.

    Returns:
        Packings that together hold every word once.
    """
    mask = words != NO_WORD
    lengths = mask.sum(dim=1)
    flat = mask.flatten().nonzero().squeeze(1)  # indices of words, sentence by sentence
    starts = lengths.cumsum(0) - lengths  # where a sentence's words start in `flat`
    order = lengths.argsort(descending=True, stable=True)
    order = order[: int((lengths > 0).sum())]
    groups = torch.split(order, max_sentences or len(order)) if len(order) else ()
    return [_pack(group, lengths[group], starts[group], flat) for group in groups]


def _pack(sentences: Tensor, lengths: Tensor, starts: Tensor, flat: Tensor) -> Packing:
    # sentences that have a word t, for t = 0, 1, ...: those longer than t
    counts = torch.bincount(lengths)
    sizes = len(sentences) - counts.cumsum(0)[:-1]
    steps = torch.arange(len(sizes), device=flat.device).repeat_interleave(sizes)
    first_of_step = (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    rows = torch.arange(len(steps), device=flat.device) - first_of_step
    forward = starts[rows] + steps
    backward = starts[rows] + lengths[rows] - 1 - steps
    return Packing(sentences=sentences, sizes=sizes.tolist(), indices=flat[torch.stack([forward, backward])])
