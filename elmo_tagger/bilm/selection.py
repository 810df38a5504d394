"""Which of a biLM's layers are wanted, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from elmo_tagger.bilm.mixing import ScalarMix

LAYER_CHOICES = ("all", "average", "top", "concat")


class LayerSelection:
    """Layers to compute and how they become one tensor.

    Args:
        choice: `all` (kept apart), `average`, `top`, `concat` (the character CNN's P values once, then 2P an LSTM
            layer) or a layer's number, 0 being the character CNN.
        num_layers: L of the biLM.
        width: 2P of the biLM.
        mix: Mixes the layers instead, whatever `choice` says.

    Raises:
        ValueError: There is no such choice, or the mix is of another number of layers.
    """

    def __init__(self, choice: str | int = "all", *, num_layers: int, width: int, mix: ScalarMix | None = None) -> None:
        every = list(range(num_layers))
        if isinstance(choice, str) and choice.isdecimal():
            choice = int(choice)
        if choice not in (*LAYER_CHOICES, *every):
            raise ValueError(
                f"layers: expected one of {', '.join(LAYER_CHOICES)} or a number from 0 (character CNN) to "
                f"{every[-1]}, received {choice!r}"
            )
        if mix is not None and len(mix.scalar_parameters) != num_layers:
            raise ValueError(f"the mix is of {len(mix.scalar_parameters)} layers, but the biLM has {num_layers}")
        self.mix = mix
        self.choice = "mix" if mix is not None else choice
        self._num_layers = num_layers
        self._width = width

    @property
    def needed(self) -> list[int]:
        """Numbers of the layers to compute."""
        if isinstance(self.choice, int):
            return [self.choice]
        return [self._num_layers - 1] if self.choice == "top" else list(range(self._num_layers))

    @property
    def dim(self) -> int:
        """Width of a word's vector (of one layer's, for `all`)."""
        return self._width // 2 + (self._num_layers - 1) * self._width if self.choice == "concat" else self._width

    @property
    def leading(self) -> tuple[int, ...]:
        """Axes before those of words: (L,) for `all`, else none."""
        return (self._num_layers,) if self.choice == "all" else ()

    def combine(self, layers: Mapping[int, Tensor], mask: Tensor) -> Tensor:
        """Combine the layers needed.

        Args:
            layers: For each of `needed` its vectors (B, T, 2P).
            mask: (B, T) bool.

        Returns:
            (B, T, D), or (B, L, T, 2P) for `all`.
        """
        wanted = [layers[number] for number in self.needed]
        if self.choice == "all":
            return torch.stack(wanted, dim=1)
        if self.mix is not None:
            mixed: Tensor = self.mix(wanted, mask)
            # a layer norm leaves values at padding
            return mixed if self.mix.layer_norm == "none" else mixed * mask.unsqueeze(-1)
        if self.choice == "average":
            return torch.stack(wanted).mean(dim=0)
        if self.choice == "concat":
            return torch.cat([wanted[0][..., : self._width // 2], *wanted[1:]], dim=-1)
        return wanted[0]
