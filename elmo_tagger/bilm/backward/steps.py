"""Steps of packed sentences: where each sentence ends, and products of a step's rows with a weight."""

from __future__ import annotations

import torch
from torch import Tensor

from elmo_tagger.bilm.cpu.prepacked_linear import PrepackedLinear

# Laying out a weight takes as long as about ten steps gain by it (512 x 16384, two to thirty rows).
_STEPS_WORTH_A_LAYOUT = 12
_ROWS_WORTH_A_LAYOUT = 64  # of a step; for more rows the plain weight is as fast, and adds in place
_VALUES_WORTH_A_LAYOUT = 2**18  # of a direction's weight; a smaller one stays in the cache, and is as fast as it is


def last_words(sizes: list[int]) -> Tensor:
    """The place of each sentence's last word (R,) int64, on the host.

    Args:
        sizes: Sentences of each step, never increasing; R in the first.
    """
    counts = torch.tensor(sizes, device="cpu")
    sentences = torch.arange(sizes[0], device="cpu")
    last_steps = (counts.unsqueeze(1) > sentences).sum(dim=0) - 1
    return (counts.cumsum(0) - counts)[last_steps] + sentences


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
        return sums.baddbmm_(rows, self._weight)
