"""In which type of number factors of products are kept and multiplied."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

PRECISIONS = ("float32", "float16", "bfloat16", "int8", "tf32", "auto")
"""Of the factors of products.

| | weights | what they are multiplied by, on a CPU | on CUDA |
|---|---|---|---|
| `float32` | float32 | float32 | float32 |
| `float16` | float16 | float32 | float16 |
| `bfloat16` | bfloat16 | bfloat16 | bfloat16 |
| `int8` | 8 bits, scaled by column; convolutions float16 | 8 bits, scaled by row; 7 without VNNI | float16 |
| `tf32` | float32 | float32 | float32 rounded to 10 bits of mantissa |
| `auto` | the fastest of those whose error is at most that of `float16` | | |

Where a CPU, or a build of PyTorch, has no fast way to multiply weights of a type, the same rounded weights are
multiplied as float32.
"""
TRAINING_PRECISIONS = ("float32", "bfloat16")

_CHANGING = threading.RLock()
_OF_WEIGHTS = {"bfloat16": torch.bfloat16, "float16": torch.float16, "int8": torch.int8}
_OF_FACTORS = {**_OF_WEIGHTS, "int8": torch.float16}
_OF_FACTORS_ON_A_CPU = {"bfloat16": torch.bfloat16}
_NOT_IN_INT8 = ("W_cnn",)


def checked_precision(precision: str, choices: Sequence[str] = PRECISIONS) -> str:
    """The precision, if there is such a one.

    Raises:
        ValueError: There is none.
    """
    if precision not in choices:
        raise ValueError(f"precision: expected one of {', '.join(choices)}, received {precision!r}")
    return precision


def product_dtype(precision: str, parameters: torch.dtype, device: str) -> torch.dtype:
    """The type to which what is multiplied by weights is rounded, and results too.

    Args:
        precision: One of `PRECISIONS` but `auto`.
        parameters: The parameters' type; what is not float32, as in tests of exactness, is left as it is.
        device: The type of a device, as `cpu`.
    """
    if parameters != torch.float32:
        return parameters
    return (_OF_FACTORS if device == "cuda" else _OF_FACTORS_ON_A_CPU).get(precision, parameters)


def weight_dtype(precision: str, name: str, parameters: torch.dtype) -> torch.dtype:
    """The type to which a weight is rounded.

    Args:
        precision: As in `product_dtype`.
        name: Of the parameter in its module. Convolutions are a thousandth of the weights, and everything else of a
            word comes from them.
        parameters: As in `product_dtype`.
    """
    if parameters != torch.float32:
        return parameters
    if precision == "int8" and name in _NOT_IN_INT8:
        return torch.float16
    return _OF_WEIGHTS.get(precision, parameters)


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
