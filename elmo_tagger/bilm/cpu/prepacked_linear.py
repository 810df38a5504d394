"""Products with weights that stay as they are, in the memory layout that suits this machine.

How fast BLAS multiplies depends on how the weight lies in memory, on processor, library, type and number of rows; and
whether a row's result depends, in its last bits, on the rows beside it. oneDNN's blocks are as fast or faster for all
but few shapes, and their results do not depend on that; so they are taken unless a trial, once a process for each
shape of weight, finds them clearly slower.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

LAYOUTS = ("plain", "packed")
LAYOUT_VARIABLE = "ELMO_TAGGER_LAYOUT"

_TRIED_ROWS = (1, 4, 32)
_ROUNDS = 3
# Noise must not decide, since layouts differ in the last bits: another than the usual one has to be faster by this,
# and smaller weights, whose products are mostly the call, are not tried.
_CLEARLY = 2.0
_VALUES_TRIED = 2**18
_COMPARED_ROWS = 4

Product = Callable[[Tensor, Tensor | None], Tensor]


class PrepackedLinear:
    """A weight, ready for `rows @ weight + bias`, without gradients.

    A packed weight gives a row the same result, to the last bit, whatever rows are beside it.

    Args:
        weight: (M, N), on a CPU. Whether later changes of it are seen is not defined.
        bias: (N,).
        dtype: Of the product's factors; the weight's by default.
        scale: (N,), by which the columns of weight and bias are multiplied; powers of two, which round nothing.
        layout: `plain` (as it is, no copy), `packed` (a copy in oneDNN's blocks), or None for what the environment
            variable `ELMO_TAGGER_LAYOUT` says, and without it for what suits this shape on this machine.

    Raises:
        ValueError: There is no such layout, or not for this type of number on this machine.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None = None,
        *,
        dtype: torch.dtype | None = None,
        scale: Tensor | None = None,
        layout: str | None = None,
    ) -> None:
        self.dtype = dtype or weight.dtype
        weight = weight.detach().to(self.dtype)
        if bias is not None:
            bias = (bias.detach() if scale is None else bias.detach() * scale).to(self.dtype)
        self._bias = bias
        choices = available_layouts(self.dtype)
        self.layout = layout or os.environ.get(LAYOUT_VARIABLE) or _suitable(*weight.shape, self.dtype)
        if self.layout not in choices:
            expected = f"expected one of {', '.join(choices)} for {self.dtype}"
            raise ValueError(f"layout: {expected}, received {self.layout!r}")
        self._product = _PRODUCTS[self.layout](weight, None if scale is None else scale.to(self.dtype))
        self._shape = weight.shape
        self._single: dict[tuple[int, bool], bool] = {}

    def __call__(self, rows: Tensor, addend: Tensor | None = None) -> Tensor:
        """The product, `rows @ weight + addend`.

        Args:
            rows: (R, M).
            addend: (R, N) of the matrix's type, which may be overwritten; None for the bias, if there is one.

        Returns:
            (R, N), of the type of `rows`.
        """
        result = self.multiply(rows, addend)
        return result if result.dtype == rows.dtype else result.to(rows.dtype)

    def multiply(self, rows: Tensor, addend: Tensor | None = None) -> Tensor:
        """The same in the matrix's own type."""
        # these lines run some thousand times a sentence: each call less is seen
        if rows.shape[0] == 1 and self.layout == "packed" and self._needs_company(addend is not None):
            repeated = None if addend is None else addend.repeat(2, 1)
            return self.multiply(rows.repeat(2, 1), repeated)[:1]
        rows = rows if rows.dtype == self.dtype else rows.to(self.dtype)
        return self._product(rows, self._bias if addend is None else addend)

    def _needs_company(self, added: bool) -> bool:
        """Whether oneDNN computes a single row otherwise than several, as for some shapes and threads: tried."""
        key = torch.get_num_threads(), added
        if key not in self._single:
            rows = torch.randn(_COMPARED_ROWS, self._shape[0], generator=torch.Generator().manual_seed(0)).to(
                self.dtype
            )
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
def _suitable(inner: int, outer: int, dtype: torch.dtype) -> str:
    """The layout for a shape: the last of those available, unless it is large and the first is clearly faster."""
    choices = available_layouts(dtype)
    if len(choices) == 1 or inner * outer < _VALUES_TRIED:
        return choices[-1]
    weight = torch.full((inner, outer), 0.01, dtype=dtype)
    tried = [torch.full((count, inner), 0.01, dtype=dtype) for count in _TRIED_ROWS]
    products = (_PRODUCTS[layout](weight) for layout in LAYOUTS)
    plain, packed = (sum(_seconds(product, rows) for rows in tried) for product in products)
    return "plain" if plain * _CLEARLY < packed else "packed"


def _seconds(product: Product, rows: Tensor) -> float:
    """The shortest time of some; what disturbs a run can only make it longer."""
    times = []
    for _ in range(_ROUNDS + 1):  # the first one warms up
        begin = time.perf_counter()
        product(rows, None)
        times.append(time.perf_counter() - begin)
    return min(times)


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
    # Operators that PyTorch's own compiler uses for constant weights. The number of rows is a hint, good from 2 up.
    blocked = torch.ops.mkldnn._reorder_linear_weight(columns, _TRIED_ROWS[-1])
    multiply = torch.ops.mkldnn._linear_pointwise

    def product(rows: Tensor, addend: Tensor | None) -> Tensor:
        result: Tensor
        if addend is None or addend.dim() == 1:
            result = multiply.default(rows, blocked, addend, "none", [], "")
        else:
            result = multiply.binary(rows, addend, blocked, None, "add")
        return result

    return product


_PRODUCTS: dict[str, Callable[..., Product]] = {"plain": _plain, "packed": _packed}
