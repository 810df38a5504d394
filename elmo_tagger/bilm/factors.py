"""Weights of products, which a module may keep rounded to fewer bytes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from elmo_tagger.bilm.loading.uninitialized import nothing_is_drawn
from elmo_tagger.bilm.precision import weight_dtype

SCALE = "_scale"
"""What the name of a weight of integers is followed by in the name of its scales."""

_LARGEST = 127  # of the integers: -128 is left out, so that a weight and its negative are rounded alike

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Factor:
    """A weight as it is kept.

    Attributes:
        values: (M, N) or (2, M, N), floats or int8; floats may have other shapes.
        scale: (N,) or (2, N) float32, by which integers are multiplied, one for each column; None for floats.
    """

    values: Tensor
    scale: Tensor | None = None

    def __getitem__(self, direction: int) -> Factor:
        """The weight of one direction."""
        return Factor(self.values[direction], None if self.scale is None else self.scale[direction])

    def rows(self, start: int | None, stop: int | None) -> Factor:
        """Some rows of a weight (M, N)."""
        return Factor(self.values[start:stop], self.scale)

    def rounded(self, dtype: torch.dtype) -> Factor:
        """The weight in another type; integers lie evenly between a column's largest value and its negative."""
        if self.values.dtype == dtype:
            return self
        if self.values.dim() == 3:  # one after the other, for what lies in between
            both = [self[direction].rounded(dtype) for direction in range(len(self.values))]
            scales = [each.scale for each in both if each.scale is not None]
            return Factor(torch.stack([each.values for each in both]), torch.stack(scales) if scales else None)
        values = self.widened()
        if dtype != torch.int8:
            return Factor(values.to(dtype))
        scale = values.abs().amax(dim=-2).div_(_LARGEST)
        scale.masked_fill_(scale == 0, 1.0)
        return Factor(values.div(scale.unsqueeze(-2)).round_().to(dtype), scale)

    def in_type(self, dtype: torch.dtype) -> Tensor:
        """The weight as floats of a type; no copy where that is how it is kept."""
        return self.values if self.values.dtype == dtype else self.widened().to(dtype)

    def widened(self) -> Tensor:
        """The weight in float32, or in float64 if it is kept so; no copy where that is how it is kept."""
        if self.scale is not None:
            return self.values * self.scale.unsqueeze(-2)
        return self.values if self.values.dtype == torch.float64 else self.values.float()


class Factors(nn.Module):
    """A module whose parameters `W_...` are weights of products, and which can keep them rounded.

    A weight of integers has a buffer beside it with its scales. A state dict with weights rounded in any way can be
    loaded into a module that keeps them in any other.
    """

    def factor(self, name: str) -> Factor:
        """A weight as it is kept, without gradients."""
        scale = getattr(self, name + SCALE, None)
        return Factor(getattr(self, name).detach(), scale)

    def rounded(self, name: str, precision: str, *, direction: int | None = None) -> Factor:
        """A weight, or one direction of it, as a precision rounds it, without gradients."""
        factor = self.factor(name) if direction is None else self.factor(name)[direction]
        base = torch.float64 if factor.values.dtype == torch.float64 else torch.float32
        return factor.rounded(weight_dtype(precision, name, base))

    def keep(self, name: str, factor: Factor) -> None:
        """Make a factor the weight, which is not trained from then on."""
        setattr(self, name, nn.Parameter(factor.values, requires_grad=False))
        if factor.scale is not None:
            self.register_buffer(name + SCALE, factor.scale)
        elif hasattr(self, name + SCALE):
            delattr(self, name + SCALE)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        _fit(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def keep_rounded(module: nn.Module, precision: str) -> None:
    """Keep all weights of products in a module only as a precision rounds them."""
    for part, name in _weights(module):
        values = part.factor(name).values
        dtype = weight_dtype(precision, name, values.dtype)
        if nothing_is_drawn():  # nor read: memory that was never touched is not taken
            scale = torch.empty_like(values[..., 0, :]) if dtype == torch.int8 else None
            part.keep(name, Factor(torch.empty_like(values, dtype=dtype), scale))
        else:
            part.keep(name, Factor(values).rounded(dtype))


def rounded_copy(module: M, precision: str, dtype: torch.dtype) -> M:
    """A copy whose weights of products are rounded as a precision says, and then have a type like all else."""
    copied = copy.deepcopy(module)
    for part, name in _weights(copied):
        part.keep(name, Factor(part.rounded(name, precision).widened()))
    return copied.to(dtype)


def keeps_rounded(module: nn.Module) -> bool:
    """Whether weights of products are kept in fewer bytes than float32's."""
    return any(part.factor(name).values.itemsize < torch.float32.itemsize for part, name in _weights(module))


def fit(module: nn.Module, weights: dict[str, Any]) -> None:
    """Change tensors of a state dict, in place, into those that a module keeps, integers into floats and back.

    Args:
        module: It, or parts of it, have weights of products.
        weights: By their names in the module.
    """
    for path, part in module.named_modules():
        if isinstance(part, Factors):
            _fit(part, weights, f"{path}." if path else "")


def _fit(part: Factors, weights: dict[str, Any], prefix: str) -> None:
    for _, name in _weights(part, recurse=False):
        key = prefix + name
        received = Factor(weights[key], weights.get(key + SCALE)) if key in weights else None
        if received is None or (received.scale is None) == (part.factor(name).scale is None):
            continue  # missing, or floats for floats, or integers for integers
        weights.pop(key + SCALE, None)
        fitting = Factor(received.widened()) if received.scale is not None else received.rounded(torch.int8)
        weights[key] = fitting.values
        if fitting.scale is not None:
            weights[key + SCALE] = fitting.scale


def _weights(module: nn.Module, *, recurse: bool = True) -> Iterator[tuple[Factors, str]]:
    for part in module.modules() if recurse else (module,):
        if isinstance(part, Factors):
            for name in [name for name, _ in part.named_parameters(recurse=False) if name.startswith("W_")]:
                yield part, name
