"""Products of float32 with weights of one or two bytes, on processors of the x86 family.

A step of an LSTM of few sentences reads its weights from memory for hardly any arithmetic, so half of the bytes is
twice the speed. The operators are those of PyTorch that need no quantized tensors around them:

- float16: FBGEMM's, which widens weights in registers and adds up in float32.
- int8: oneDNN's, where the processor has instructions for it (AVX-512), and FBGEMM's elsewhere. Each row of what is
  multiplied is rounded to integers with a scale of its own, and sums of integers are exact: a row's result is the same
  to the last bit whatever rows are beside it, and whichever of the two multiplies. Processors without such instructions
  (VNNI) add products in pairs of 16 bits, for which rows get one bit less.

Where an operator is missing from a build of PyTorch, or does not work here, weights are multiplied as float32.
"""

from __future__ import annotations

import logging
import platform
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial

import torch
from torch import Tensor

from elmo_tagger.bilm.factors import Factor

logger = logging.getLogger(__name__)

Product = Callable[[Tensor, "Tensor | None"], Tensor]
Maker = Callable[[Factor], Product]

_COLUMNS = 2048  # of a packed float16 weight; many rows of more columns fall on the same places of the cache
_ROWS_HINT = 32  # for oneDNN's blocks
_LEVELS = (127, 63)  # of a row's integers, on either side of 0
_LEAST = 1e-30  # of a row's largest value: a row of zeros has no scale of its own

_choosing_engine = threading.Lock()


def maker(dtype: torch.dtype) -> Maker | None:
    """What makes products with weights of a type here; None, and said once, if they are best multiplied as float32."""
    found = _MAKERS[dtype]() if dtype in _MAKERS else None
    if found is None:
        tell_once(str(dtype).removeprefix("torch."))
    return found


@cache
def tell_once(name: str) -> None:
    """Say that a type of weight is multiplied as float32."""
    logger.warning(
        "precision %s: this processor, or this build of PyTorch, has no fast way to multiply such weights; they are "
        "rounded alike, and multiplied as float32, no faster and no slower",
        name,
    )


@cache
def float16_maker() -> Maker | None:
    """What makes products with float16 weights; None if there is no fast way here."""
    return _float16 if _has_fbgemm() and _works(_float16, Factor(torch.eye(8).half())) else None


@cache
def int8_maker() -> Maker | None:
    """What makes products with int8 weights; None if there is no fast way here."""
    if not _is_x86():
        return None
    makers: list[Maker] = []
    if torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        makers.append(partial(_int8_of_onednn, levels=_LEVELS[0]))
    if _has_fbgemm():
        makers += [partial(_int8_of_fbgemm, levels=levels) for levels in _LEVELS]
    # the largest sums that there can be, which fewer bits than the result's would cut off
    weight = Factor(torch.full((64, 32), 127, dtype=torch.int8), torch.ones(32))
    return next((each for each in makers if _works(each, weight)), None)


_MAKERS = {torch.float16: float16_maker, torch.int8: int8_maker}


def _works(make: Maker, weight: Factor) -> bool:
    rows = torch.ones(3, len(weight.values))
    rows[1] = -1.0
    try:
        product = make(weight)
        return all(torch.allclose(product(some, None), some @ weight.widened(), rtol=1e-5) for some in (rows, rows[:1]))
    except (RuntimeError, AttributeError, TypeError):  # not built in, not for this processor, or of another version
        return False


def _is_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64")


def _has_fbgemm() -> bool:
    return _is_x86() and "fbgemm" in torch.backends.quantized.supported_engines


@contextmanager
def _fbgemm() -> Iterator[None]:
    """Within, weights are packed for FBGEMM: a setting of the whole process, put back at once."""
    with _choosing_engine, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quantized tensors will go; then int8 does without this operator
        before = torch.backends.quantized.engine
        torch.backends.quantized.engine = "fbgemm"
        try:
            yield
        finally:
            torch.backends.quantized.engine = before


def _float16(weight: Factor) -> Product:
    with _fbgemm():
        packed = [
            torch.ops.quantized.linear_prepack_fp16(columns.float().t().contiguous(), None)
            for columns in torch.split(weight.values, _COLUMNS, dim=1)
        ]
    multiply = torch.ops.quantized.linear_dynamic_fp16

    def whole(rows: Tensor, addend: Tensor | None) -> Tensor:
        result: Tensor = multiply(rows, packed[0])
        return result if addend is None else result.add_(addend)

    def in_blocks(rows: Tensor, addend: Tensor | None) -> Tensor:
        results = [multiply(rows, each) for each in packed]
        if addend is None or addend.dim() == 1:
            result = torch.cat(results, dim=1)
            return result if addend is None else result.add_(addend)
        for columns, each in zip(torch.split(addend, _COLUMNS, dim=1), results, strict=True):
            columns.add_(each)
        return addend

    return whole if len(packed) == 1 else in_blocks


def _int8_of_onednn(weight: Factor, *, levels: int) -> Product:
    assert weight.scale is not None
    scale = weight.scale
    zeros = torch.zeros(len(scale), dtype=torch.int64)
    packed = torch.ops.onednn.qlinear_prepack(weight.values.t().contiguous(), [_ROWS_HINT, len(weight.values)])
    multiply = torch.ops.onednn.qlinear_pointwise.default

    def product(rows: Tensor, addend: Tensor | None) -> Tensor:
        if rows.shape[0] == 1:  # for which there is no good kernel of some shapes
            return product(rows.expand(2, -1), addend)[:1]
        size = rows.abs().amax(dim=1, keepdim=True).clamp_(min=_LEAST).div_(levels)
        integers = (rows / size).round_().to(torch.int8)
        result: Tensor = multiply(integers, 1.0, 0, packed, scale, zeros, None, 1.0, 0, torch.float32, "none", [], "")
        return _times(result, size, addend)

    return product


def _int8_of_fbgemm(weight: Factor, *, levels: int) -> Product:
    assert weight.scale is not None
    columns, scale = weight.values.t().contiguous(), weight.scale.double()
    with _fbgemm():
        quantized = torch._make_per_channel_quantized_tensor(columns, scale, torch.zeros_like(scale).long(), 0)
        packed = torch.ops.quantized.linear_prepack(quantized, None)
    multiply = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
    one, zero = torch.tensor(1.0), torch.tensor(levels + 1)

    def product(rows: Tensor, addend: Tensor | None) -> Tensor:
        size = rows.abs().amax(dim=1, keepdim=True).clamp_(min=_LEAST).div_(levels)
        result: Tensor = multiply(rows / size, one, zero, packed)
        return _times(result, size, addend)

    return product


def _times(result: Tensor, size: Tensor, addend: Tensor | None) -> Tensor:
    # in two operations: one for both may round once or twice, and differently at the end of a row
    result.mul_(size)
    return result if addend is None else result.add_(addend)
