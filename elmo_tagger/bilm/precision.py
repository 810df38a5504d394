"""In which type of number products are computed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

PRECISIONS = ("float32", "bfloat16", "float16", "tf32")
"""Of the factors of products. `tf32`: float32 that CUDA rounds to 10 bits of mantissa; elsewhere plain float32."""
TRAINING_PRECISIONS = PRECISIONS[:2]

_CHANGING = threading.RLock()
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


def float32_products() -> object:
    """PyTorch's setting, one for the whole process, of how CUDA multiplies float32: a value to compare, no more."""
    return getattr(torch.backends.cuda.matmul, _setting()[0])


@contextmanager
def tf32(rounds: bool) -> Iterator[None]:
    """Within, if `rounds`, CUDA's products of float32 have TF32 factors.

    The setting is one for the whole process, so threads that change it take turns.
    """
    if not rounds:
        yield
        return
    with _CHANGING:
        before = float32_products()
        _set_float32_products(_setting()[1])
        try:
            yield
        finally:
            _set_float32_products(before)


def _set_float32_products(value: object) -> None:
    # what is written no longer follows torch.backends.fp32_precision, so nothing is that need not be
    if value != float32_products():
        setattr(torch.backends.cuda.matmul, _setting()[0], value)


def _setting() -> tuple[str, object]:
    """The setting's name and its value for TF32.

    PyTorch 2.9 has a new name; there the old one cannot be read once the new one was written.
    """
    new = "fp32_precision"
    return (new, "tf32") if hasattr(torch.backends.cuda.matmul, new) else ("allow_tf32", True)
