"""Steps of packed sentences: which words are one step's, and products of a step's rows with a weight."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from elmo_tagger.bilm.cpu.prepacked_linear import PrepackedLinear

# Laying out a weight takes as long as about ten steps gain by it (512 x 16384, two to thirty rows).
_STEPS_WORTH_A_LAYOUT = 12
_ROWS_WORTH_A_LAYOUT = 64  # of a step; for more rows the plain weight is as fast, and adds in place
_VALUES_WORTH_A_LAYOUT = 2**18  # of a direction's weight; a smaller one stays in the cache, and is as fast as it is
# What lies between two products is computed for so many words at once: few calls, and values that stay in the cache.
_WORDS_OF_CHUNK = 512


def step_slices(sizes: list[int]) -> Iterator[slice]:
    """The words of each step."""
    start = 0
    for size in sizes:
        yield slice(start, start + size)
        start += size


def chunks_of_steps(sizes: list[int]) -> Iterator[list[slice]]:
    """The steps, as many together as have `_WORDS_OF_CHUNK` words, and one at least."""
    chunk: list[slice] = []
    for words in step_slices(sizes):
        if chunk and words.stop - chunk[0].start > _WORDS_OF_CHUNK:
            yield chunk
            chunk = []
        chunk.append(words)
    if chunk:
        yield chunk


def words_before(sizes: list[int]) -> Tensor:
    """For each word the place (N,) int64 of the one before it, on the host; the first states lead the list."""
    starts = torch.tensor([0, sizes[0], *sizes][: len(sizes)], device="cpu").cumsum(0)
    counts = torch.tensor(sizes, device="cpu")
    firsts = counts.cumsum(0) - counts
    return torch.arange(sum(sizes), device="cpu") + (starts - firsts).repeat_interleave(counts)


class StepProducts:
    """`rows @ weight` of each direction, for a number of steps.

    Args:
        weight: (2, M, N).
        sizes: Rows of each step.
    """

    def __init__(self, weight: Tensor, sizes: list[int]) -> None:
        few_rows = len(sizes) >= _STEPS_WORTH_A_LAYOUT and sum(sizes) < _ROWS_WORTH_A_LAYOUT * len(sizes)
        pays = few_rows and weight[0].numel() >= _VALUES_WORTH_A_LAYOUT and weight.device.type == "cpu"
        self._weight = weight
        self._matrices = [PrepackedLinear(each) for each in weight] if pays else []

    def __call__(self, rows: Tensor) -> Tensor:
        """(2, R, M) to (2, R, N)."""
        if not self._matrices:
            return torch.bmm(rows, self._weight)
        return torch.stack([matrix(each) for matrix, each in zip(self._matrices, rows, strict=True)])

    def add_to(self, sums: Tensor, rows: Tensor) -> Tensor:
        """Add the product to `sums` (2, R, N), which is returned."""
        if self._matrices:
            return sums.add_(self(rows))
        for own, factor, weight in zip(sums, rows, self._weight, strict=True):
            own.addmm_(factor, weight)
        return sums
