"""Products with weights that stay as they are, in the memory layout that is fastest on this machine.

How fast BLAS multiplies depends on how the weight lies in memory, on processor, library, type and number of rows, by
factors of up to three (benchmarks/results/bilm.md). So each shape of weight is tried once a process.
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
# A tie must not be decided by noise, since layouts differ in the last bit: the one that usually wins has to be beaten
# by this factor.
_CLEARLY = 2.0

Product = Callable[[Tensor, Tensor | None], Tensor]


class Matrix:
    """A weight, ready for `rows @ weight + bias`, without gradients.

    Args:
        weight: (M, N), on a CPU. Whether later changes of it are seen is not defined.
        bias: (N,).
        dtype: Of the product's factors; the weight's by default.
        layout: `plain` (as it is, no copy), `packed` (a copy in oneDNN's blocks), or None for what the environment
            variable `ELMO_TAGGER_LAYOUT` says, and without it for each number of rows the fastest.
        steady: Whether a row's result must be the same to the last bit whatever rows are beside it, which oneDNN's
            blocks give from two rows up and BLAS does not; then `packed` where there is such a layout. (Without one,
            the results differ by rounding.)

    Raises:
        ValueError: There is no such layout, or not for this type of number on this machine.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None = None,
        *,
        dtype: torch.dtype | None = None,
        layout: str | None = None,
        steady: bool = False,
    ) -> None:
        self.dtype = dtype or weight.dtype
        weight = weight.detach().to(self.dtype)
        self._bias = None if bias is None else bias.detach().to(self.dtype)
        layout = layout or os.environ.get(LAYOUT_VARIABLE) or None
        choices = available_layouts(self.dtype)
        if layout is None and steady:
            layout = choices[-1]
        self._fewest = 2 if steady and layout == "packed" else 1
        if layout is None:
            self.layouts = _fastest(*weight.shape, self.dtype, torch.get_num_threads())
        elif layout in choices:
            self.layouts = (layout,) * len(_TRIED_ROWS)
        else:
            raise ValueError(f"layout: expected one of {', '.join(choices)} for {self.dtype}, received {layout!r}")
        products = {name: _PRODUCTS[name](weight) for name in set(self.layouts)}
        self._one, self._few, self._many = (products[name] for name in self.layouts)

    def __call__(self, rows: Tensor, addend: Tensor | None = None) -> Tensor:
        """The product, `rows @ weight + addend`.

        Args:
            rows: (R, M).
            addend: (R, N) of the matrix's type, which may be overwritten; None for the bias, if there is one.

        Returns:
            (R, N), of the type of `rows`.
        """
        return self.narrow(rows, addend).to(rows.dtype)

    def narrow(self, rows: Tensor, addend: Tensor | None = None) -> Tensor:
        """The same in the matrix's own type."""
        count = len(rows)
        if count < self._fewest and addend is None:
            return self.narrow(rows.repeat(self._fewest, 1))[:count]
        product = self._many if count >= _TRIED_ROWS[-1] // 2 else self._few if count > 1 else self._one
        return product(rows.to(self.dtype), self._bias if addend is None else addend)


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
def _fastest(inner: int, outer: int, dtype: torch.dtype, threads: int) -> tuple[str, ...]:
    """The fastest layout for one row, for few and for many; `threads` is there to be part of the cache's key."""
    choices = available_layouts(dtype)
    if len(choices) == 1:
        return choices * len(_TRIED_ROWS)
    weight = torch.full((inner, outer), 0.01, dtype=dtype)
    plain, packed = (_PRODUCTS[name](weight) for name in LAYOUTS)
    layouts = []
    for count in _TRIED_ROWS:
        rows = torch.full((count, inner), 0.01, dtype=dtype)
        ratio = _seconds(plain, rows) / _seconds(packed, rows)
        # one row by a wide weight is added up along the weight's own rows as they lie
        usual = count > 1 or dtype != torch.float32 or inner > outer
        layouts.append("packed" if ratio > (1 / _CLEARLY if usual else _CLEARLY) else "plain")
    return tuple(layouts)


def _seconds(product: Product, rows: Tensor) -> float:
    """The shortest time of some; what disturbs a run can only make it longer."""
    times = []
    for _ in range(_ROUNDS + 1):  # the first one warms up
        begin = time.perf_counter()
        product(rows, None)
        times.append(time.perf_counter() - begin)
    return min(times)


def _plain(weight: Tensor) -> Product:
    def product(rows: Tensor, addend: Tensor | None) -> Tensor:
        return rows @ weight if addend is None else torch.addmm(addend, rows, weight)

    return product


def _packed(weight: Tensor) -> Product:
    # Operators that PyTorch's own compiler uses for constant weights. The number of rows is a hint, good from 2 up.
    blocked = torch.ops.mkldnn._reorder_linear_weight(weight.t().contiguous(), _TRIED_ROWS[-1])
    multiply = torch.ops.mkldnn._linear_pointwise

    def product(rows: Tensor, addend: Tensor | None) -> Tensor:
        result: Tensor
        if addend is None or addend.dim() == 1:
            result = multiply.default(rows, blocked, addend, "none", [], "")
        else:
            result = multiply.binary(rows, addend, blocked, None, "add")
        return result

    return product


_PRODUCTS: dict[str, Callable[[Tensor], Product]] = {"plain": _plain, "packed": _packed}
