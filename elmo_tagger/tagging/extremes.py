"""Numbers out of the ordinary: how a batch of them is noticed late, and how its results come back into range.

Nothing is checked before a batch is computed, because each check is a pass over memory and a wait for the device.
Instead, one number is made of everything that should be finite, and looked at once, when the results are there. Only
if it is not finite, the batch is computed again with every check, and in float64 where it needs the range.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from elmo_tagger.tagging.chain import Chain
from elmo_tagger.tagging.devices import on_host, to_host
from elmo_tagger.tagging.packing import Packing

WIDE = 1e18
"""Emissions beyond it are computed in float64: their squares, and their sums over a sentence, leave float32."""


def is_unusual(chain: Chain, packing: Packing, *numbers: Tensor) -> Tensor:
    """() bool, whether a batch needs a closer look: its emissions, some numbers or its mask."""
    # One pass over memory, finite unless an emission is not, or so large that float32 may be too narrow.
    flat = chain.emissions.detach().flatten()
    proof = torch.dot(flat, flat)
    for number in numbers:
        proof = proof + number
    unusual = ~proof.isfinite()
    return unusual if packing.gaps is None else unusual | packing.gaps


@np.errstate(over="ignore", invalid="ignore")  # which is what is looked for
def decoded_unusually(chain: Chain, packing: Packing, score: Tensor) -> bool:
    """`is_unusual`, looked at; `score` is (B,)."""
    if not on_host(score):
        return bool(to_host(is_unusual(chain, packing, score.sum())).item())
    flat = chain.emissions.numpy().ravel()  # NumPy's calls cost a third of PyTorch's, which one short sentence feels
    return not math.isfinite(float(flat @ flat) + float(score.numpy().sum()))


def beyond_float32(emissions: Tensor) -> bool:
    """Whether emissions need float64's range."""
    return bool(emissions.numel() and emissions.abs().max() > WIDE)


def computed_in(dtype: torch.dtype) -> torch.dtype:
    """What emissions of a dtype are computed, and their results given, in."""
    return torch.promote_types(dtype, torch.float32)


def full_precision(emissions: Tensor) -> torch.autocast:
    """Autocast, switched off."""
    return torch.autocast(emissions.device.type, enabled=False)


def clamped(values: Tensor, dtype: torch.dtype) -> Tensor:
    """(B,) float64 to a dtype; what is too large for it becomes the largest number whose B-fold it can hold."""
    limit = torch.finfo(dtype).max / max(len(values), 1)
    return values.clamp(-limit, limit).to(dtype)


def narrowed(values: Tensor, dtype: torch.dtype) -> Tensor:
    """`clamped`, with the gradient of the values themselves: a loss that went off the scale must still lead back."""
    limit = torch.finfo(dtype).max / max(len(values), 1)
    return (values + (values.clamp(-limit, limit) - values).detach()).to(dtype)
