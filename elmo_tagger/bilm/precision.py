"""In which type of number products are computed, and when they may be computed by the fast paths."""

from __future__ import annotations

import torch
from torch import Tensor, nn

PRECISIONS = ("float32", "bfloat16")


def checked_precision(precision: str) -> str:
    """The precision, if there is such a one.

    Raises:
        ValueError: There is none.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision: expected one of {', '.join(PRECISIONS)}, received {precision!r}")
    return precision


def product_dtype(precision: str, parameters: torch.dtype) -> torch.dtype:
    """The type of a product's factors; what is not float32, as in tests of exactness, is left as it is."""
    return torch.bfloat16 if (precision, parameters) == ("bfloat16", torch.float32) else parameters


def is_frozen(module: nn.Module, inputs: Tensor) -> bool:
    """Whether a module may take its fast path: on a CPU, and no gradients are recorded."""
    if inputs.device.type != "cpu":
        return False
    if not torch.is_grad_enabled():
        return True
    return not (inputs.requires_grad or any(parameter.requires_grad for parameter in module.parameters()))
