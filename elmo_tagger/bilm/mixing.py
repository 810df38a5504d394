"""The learnt mix of a biLM's layers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYER_NORMS = ("none", "token", "batch")
_TINY = 1e-13  # added to the variance by AllenNLP's tiny_value_of_dtype for float32


class ScalarMix(nn.Module):
    """gamma * sum over layers of softmax(w)_l * layer_l.

    Parameters have the names and shapes of AllenNLP's ScalarMix (`scalar_parameters.0`, ..., `gamma`), so that archives
    and regularisers written for it fit.

    Args:
        mixture_size: L, the number of layers.
        initial: L values of w, numbers before the softmax: [.2, .3, .5] gives the shares .289, .320, .391. None for
            zeros, an even mix.
        initial_weights: L shares, in place of `initial`: positive numbers, of which [.2, .3, .5] gives just these
            shares. What does not add up to 1 is scaled.
        gamma: Initial value of the factor.
        trainable: Whether training changes w.
        trainable_gamma: Whether it changes gamma; None for the same as `trainable`.
        layer_norm: `none`; `token`: each vector on its own; `batch`: one mean and variance for all real tokens of the
            batch, as AllenNLP and bilm-tf do, so that a sentence's mix depends on its batch.

    Raises:
        ValueError: `initial` or `initial_weights` has another length than L, both are given, a weight is not a positive
            number, or there is no such layer norm.

    Source: Peters et al. 2018 (arXiv:1802.05365), equation 1.
    """

    def __init__(
        self,
        mixture_size: int,
        *,
        initial: Sequence[float] | None = None,
        initial_weights: Sequence[float] | None = None,
        gamma: float = 1.0,
        trainable: bool = True,
        trainable_gamma: bool | None = None,
        layer_norm: str = "none",
    ) -> None:
        super().__init__()
        if initial_weights is not None:
            if initial is not None:
                raise ValueError("expected initial or initial_weights, received both")
            initial = _before_softmax(initial_weights)
        given = "initial" if initial_weights is None else "initial_weights"
        initial = [0.0] * mixture_size if initial is None else list(initial)
        if len(initial) != mixture_size:
            raise ValueError(
                f"{given}: expected {mixture_size} values, one a layer, received {len(initial)}: {initial}"
            )
        if layer_norm not in LAYER_NORMS:
            raise ValueError(f"layer_norm: expected one of {', '.join(LAYER_NORMS)}, received {layer_norm!r}")
        self.layer_norm = layer_norm
        self.scalar_parameters = nn.ParameterList(
            nn.Parameter(torch.tensor([float(value)]), requires_grad=trainable) for value in initial
        )
        trainable_gamma = trainable if trainable_gamma is None else trainable_gamma
        self.gamma = nn.Parameter(torch.tensor([float(gamma)]), requires_grad=trainable_gamma)

    def forward(self, layers: Sequence[Tensor], mask: Tensor | None = None) -> Tensor:
        """Mix layers.

        Args:
            layers: L tensors (B, T, D).
            mask: (B, T) bool; needed for the layer norm `batch`.

        Returns:
            (B, T, D). With a layer norm, padding is not 0 in general.

        Raises:
            ValueError: Another number of layers, or no mask where one is needed.
        """
        if len(layers) != len(self.scalar_parameters):
            raise ValueError(f"expected {len(self.scalar_parameters)} layers to mix, received {len(layers)}")
        first, *others = torch.split(self.gamma * self.weights(), 1)
        mixed: Tensor = first * self._normed(layers[0], mask)
        for weight, layer in zip(others, layers[1:], strict=True):
            mixed = torch.addcmul(mixed, weight, self._normed(layer, mask))
        return mixed

    def weights(self) -> Tensor:
        """The shares (L,) of the layers, which add up to 1."""
        return torch.cat(list(self.scalar_parameters)).softmax(dim=0)

    def _normed(self, layer: Tensor, mask: Tensor | None) -> Tensor:
        if self.layer_norm == "none":
            return layer
        if self.layer_norm == "token":
            return F.layer_norm(layer, layer.shape[-1:])
        if mask is None:
            raise ValueError("layer_norm batch needs the mask: expected (B, T) bool, received None")
        real = mask.unsqueeze(-1)
        count = mask.sum() * layer.shape[-1]
        mean = (layer * real).sum() / count
        variance = ((layer - mean) * real).square().sum() / count
        return (layer - mean) / (variance + _TINY).sqrt()


def _before_softmax(weights: Sequence[float]) -> list[float]:
    """Numbers whose softmax gives these shares; of all such the ones that add up to 0, as regularisers like them."""
    if not all(0 < weight < math.inf for weight in weights):
        raise ValueError(f"initial_weights: expected positive numbers, one a layer, received {list(weights)}")
    logs = [math.log(weight) for weight in weights]
    return [log - sum(logs) / len(logs) for log in logs]
