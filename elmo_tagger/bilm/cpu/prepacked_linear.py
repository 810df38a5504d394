"""Products with weights that stay as they are, in the memory layout that suits this processor.

How fast BLAS multiplies depends on how the weight lies in memory; and whether a row's result depends, in its last bits,
on the rows beside it. oneDNN's blocks are as fast or faster for all but few shapes, and in float32 their results do not
depend on it, so they are taken wherever this build of PyTorch has them for this processor. No clock decides: the same
machine gives the same bits in every run.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from elmo_tagger.bilm.cpu.narrow_products import Product, maker, tell_once
from elmo_tagger.bilm.factors import Factor

LAYOUTS = ("plain", "packed")
LAYOUT_VARIABLE = "ELMO_TAGGER_LAYOUT"

_ROWS_HINT = 32  # for oneDNN's blocks; good from 2 rows up
_COMPARED_ROWS = 4
_NARROW = (torch.bfloat16, torch.float16)

# Values of a weight, below which it stays in a processor's cache whatever its type.
_WORTH_ROUNDING = 2**17


class PrepackedLinear:
    """A weight, ready for `rows @ weight + bias`, without gradients.

    A packed weight whose factors are multiplied as float32 (`computed_in`) gives a row the same result, to the last
    bit, whatever rows are beside it. Processors that multiply bfloat16 themselves may group a sum by the number of
    rows, as those with matrix units do, so nothing is promised for bfloat16 there.

    Weights of float16 and int8 are multiplied by float32; see `narrow_products`. In int8 too a row's result does not
    depend on the others; in float16 it may in its last bits, on processors without AVX-512.

    A processor that cannot multiply bfloat16 gets the same factors, rounded, as float32: its products are then as fast
    as those of float32, where its own way to multiply bfloat16 is some twenty times slower.

    Args:
        weight: (M, N), on a CPU. Whether later changes of it are seen is not defined.
        bias: (N,).
        dtype: Of what is multiplied and of results; by default the weight's, float32 for one of float16 or int8.
        scale: (N,), by which the columns of weight and bias are multiplied; powers of two, which round nothing.
        layout: `plain` (as it is, no copy), `packed` (a copy in oneDNN's blocks), or None for what the environment
            variable `ELMO_TAGGER_LAYOUT` says, and without it for what suits this processor. Weights of float16 and
            int8 are multiplied as float32 if a layout is given.

    Raises:
        ValueError: There is no such layout, or not for this type of number on this machine.
    """

    def __init__(
        self,
        weight: Tensor | Factor,
        bias: Tensor | None = None,
        *,
        dtype: torch.dtype | None = None,
        scale: Tensor | None = None,
        layout: str | None = None,
    ) -> None:
        factor = Factor(weight.detach()) if isinstance(weight, Tensor) else weight
        kept = factor.values.dtype
        self.dtype = dtype or (torch.float32 if kept in (torch.float16, torch.int8) else kept)
        self._shape = factor.values.shape
        if bias is not None:
            bias = (bias.detach() if scale is None else bias.detach() * scale).to(self.dtype)
        self.computed_in = _computed_in(self.dtype)
        self._bias = None if bias is None else bias.to(self.computed_in)
        self._single: dict[tuple[int, bool], bool] = {}
        make = None
        if layout is None and self.dtype == torch.float32 and kept in (torch.float16, torch.int8):
            make = maker(kept) if factor.values.numel() >= _WORTH_ROUNDING else None
        if make is not None:
            self.layout = str(kept).removeprefix("torch.")
            self._product = make(factor if scale is None else _scaled(factor, scale))
            return
        choices = available_layouts(self.computed_in)
        self.layout = layout or os.environ.get(LAYOUT_VARIABLE) or choices[-1]
        if self.layout not in choices:
            expected = f"expected one of {', '.join(choices)} for {self.dtype}"
            raise ValueError(f"layout: {expected}, received {self.layout!r}")
        scale = None if scale is None else scale.to(self.computed_in)
        self._product = _PRODUCTS[self.layout](factor.in_type(self.dtype).to(self.computed_in), scale)

    def __call__(self, rows: Tensor, addend: Tensor | None = None) -> Tensor:
        """The product, `rows @ weight + addend`.

        Args:
            rows: (R, M).
            addend: (R, N) of the weight's type, which may be overwritten; None for the bias, if there is one.

        Returns:
            (R, N), of the type of `rows`.
        """
        result = self.multiply(rows, addend)
        return result if result.dtype == rows.dtype else result.to(rows.dtype)

    def multiply(self, rows: Tensor, addend: Tensor | None = None) -> Tensor:
        """The same in the weight's own type."""
        # these lines run some thousand times a sentence: each call less is seen
        if rows.shape[0] == 1 and self.layout == "packed" and self._needs_company(addend is not None):
            repeated = None if addend is None else addend.repeat(2, 1)
            return self.multiply(rows.repeat(2, 1), repeated)[:1]
        rows = rows if rows.dtype == self.dtype else rows.to(self.dtype)
        if self.computed_in != self.dtype:
            wide = self._bias if addend is None else addend.to(self.computed_in)
            return self._product(rows.to(self.computed_in), wide).to(self.dtype)
        return self._product(rows, self._bias if addend is None else addend)

    def _needs_company(self, added: bool) -> bool:
        """Whether oneDNN computes a single row otherwise than several, as for some shapes and threads: tried."""
        key = torch.get_num_threads(), added
        if key not in self._single:
            rows = torch.randn(_COMPARED_ROWS, self._shape[0], generator=torch.Generator().manual_seed(0))
            rows = rows.to(self.dtype).to(self.computed_in)
            addend = rows.new_zeros(_COMPARED_ROWS, self._shape[1]) if added else None
            together = self._product(rows, addend)
            alone = [self._product(rows[i : i + 1], None if addend is None else addend[:1]) for i in range(len(rows))]
            self._single[key] = not torch.equal(torch.cat(alone), together)
        return self._single[key]


@cache
def available_layouts(dtype: torch.dtype) -> tuple[str, ...]:
    """The layouts that this build of PyTorch has for a type of number."""
    if dtype not in (torch.float32, torch.bfloat16) or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return LAYOUTS[:1]
    identity = torch.eye(8, dtype=dtype)
    try:
        works = torch.equal(_packed(identity)(identity, identity.clone()), 2 * identity)
    except (RuntimeError, AttributeError):  # not built in, or not for this processor
        works = False
    return LAYOUTS if works else LAYOUTS[:1]


@cache
def _computed_in(dtype: torch.dtype) -> torch.dtype:
    """The type in which factors of a type are multiplied on this processor."""
    if dtype not in _NARROW or available_layouts(dtype) != LAYOUTS[:1]:
        return dtype
    tell_once(str(dtype).removeprefix("torch."))
    return torch.float32


def _scaled(factor: Factor, scale: Tensor) -> Factor:
    if factor.scale is not None:
        return Factor(factor.values, factor.scale * scale)
    return Factor(factor.values * scale.to(factor.values.dtype))


def _plain(weight: Tensor, scale: Tensor | None = None) -> Product:
    def product(rows: Tensor, addend: Tensor | None) -> Tensor:
        if scale is None:
            return rows @ weight if addend is None else torch.addmm(addend, rows, weight)
        result = rows @ weight  # scaled here, so that the weight need not be copied
        return result.mul_(scale) if addend is None else torch.addcmul(addend, result, scale)

    return product


def _packed(weight: Tensor, scale: Tensor | None = None) -> Product:
    columns = weight.t().clone(memory_format=torch.contiguous_format)
    if scale is not None:
        columns.mul_(scale.unsqueeze(1))
    # Operators that PyTorch's own compiler uses for constant weights.
    blocked = torch.ops.mkldnn._reorder_linear_weight(columns, _ROWS_HINT)
    multiply = torch.ops.mkldnn._linear_pointwise
    in_float32 = weight.dtype == torch.float32

    def product(rows: Tensor, addend: Tensor | None) -> Tensor:
        result: Tensor
        count = rows.shape[0]  # sooner than `len`, which is Python
        if in_float32 and (padding := _rounded(count) - count):
            rows = pad(rows, (0, 0, 0, padding))
            if addend is None or addend.dim() == 1:
                result = multiply.default(rows, blocked, addend, "none", [], "")[:count]
            else:
                result = multiply.default(rows, blocked, None, "none", [], "")[:count].add_(addend)
            return result
        if addend is None or addend.dim() == 1:
            result = multiply.default(rows, blocked, addend, "none", [], "")
        else:
            result = multiply.binary(rows, addend, blocked, None, "add")
        return result

    return product


def _rounded(rows: int) -> int:
    """The next number of rows that oneDNN is given: any up to 16, then one of 8 between a power of 2 and the next.

    For each number it compiles and keeps a program, of half a MiB and in half a millisecond.
    """
    step = 1 << max(rows.bit_length() - 4, 0)
    return -(-rows // step) * step


_PRODUCTS: dict[str, Callable[..., Product]] = {"plain": _plain, "packed": _packed}
