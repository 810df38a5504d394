"""In which type of number products are computed."""

from __future__ import annotations

import torch

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
