"""In which type of number products are computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

PRECISIONS = ("float32", "bfloat16", "float16", "tf32")
"""Of the factors of products. `tf32`: float32 that CUDA rounds to 10 bits of mantissa; elsewhere plain float32."""
TRAINING_PRECISIONS = PRECISIONS[:2]

_NARROW = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def checked_precision(precision: str, choices: Sequence[str] = PRECISIONS) -> str:
    """The precision, if there is such a one.

    Raises:
        ValueError: There is none.
    """
    if precision not in choices:
        raise ValueError(f"precision: expected one of {', '.join(choices)}, received {precision!r}")
    return precision


def product_dtype(precision: str, parameters: torch.dtype) -> torch.dtype:
    """The type of a product's factors; what is not float32, as in tests of exactness, is left as it is."""
    return _NARROW.get(precision, parameters) if parameters == torch.float32 else parameters


@contextmanager
def tf32(rounds: bool) -> Iterator[None]:
    """Within, if `rounds`, CUDA's products of float32 have TF32 factors."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = before or rounds
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
