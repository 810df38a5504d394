"""The character CNN's largest value over a word's windows, for training.

`amax` shares a gradient among all windows that have the largest value, for which it compares and counts every window
again. The first of them may as well have all of it: windows are mostly equal because their characters are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from elmo_tagger.bilm.char_cnn import CharacterCnn


class LargestWindow(torch.autograd.Function):
    """`values.amax(dim=1)`."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """(W, windows, F) to (W, F)."""
        largest, window = values.max(dim=1)
        ctx.save_for_backward(window)
        ctx.shape = values.shape
        return largest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_largest: Tensor) -> Tensor:
        """The gradient (W, windows, F), 0 for all windows but one a word and filter."""
        (window,) = ctx.saved_tensors
        return of_largest.new_zeros(ctx.shape).scatter_(1, window.unsqueeze(1), of_largest.unsqueeze(1))


class TrainedCnn:
    """The stages of a character CNN (see `char_cnn.Stages`) while it is trained.

    Args:
        cnn: Whose parameters they have.
    """

    def __init__(self, cnn: CharacterCnn) -> None:
        self._cnn = cnn
        self.transform = cnn.transform

    @property
    def char_embed(self) -> Tensor:
        """See `Stages.char_embed`."""
        return self._cnn.char_embed

    def pool(self, characters: Tensor) -> Tensor:
        """See `Stages.pool`."""
        return self._cnn.pool(characters, largest=LargestWindow.apply)
