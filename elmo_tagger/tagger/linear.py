"""Products whose rows do not know of each other: a sentence gets the same bits alone and in any company.

A general product of matrices groups its sums by the number of rows, and PyTorch's elementwise functions round the last
few numbers of a tensor otherwise than the rest. So on a CPU products go through `PrepackedLinear`, and widths are
padded so that a row is a whole number of a processor's registers.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor, nn

from elmo_tagger.bilm.cpu.prepacked_linear import PrepackedLinear
from elmo_tagger.bilm.parameter_cache import ParameterCache

_ALIGNED = 32  # numbers: two registers of AVX-512, the most that a step of PyTorch's loops takes


def padded(width: int) -> int:
    """The width of a row that ends with a register."""
    return -(-width // _ALIGNED) * _ALIGNED


def is_row_wise(inputs: Tensor) -> bool:
    """Whether products of this tensor are computed so; elsewhere they are PyTorch's own."""
    return inputs.device.type == "cpu" and inputs.dtype == torch.float32 and not torch.is_grad_enabled()


class RowProduct:
    """`rows @ weight.T + bias` for a weight that stays as it is.

    Args:
        weight: (N, M), as in `nn.Linear`.
        bias: (N,), if there is one.
        groups: Of this many equal parts of the N columns, each is padded on its own.
        width: To which the M columns of the rows are padded.
        scale: (N,), by which columns are multiplied.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        *,
        groups: int = 1,
        width: int | None = None,
        scale: Tensor | None = None,
    ) -> None:
        size = len(weight) // groups
        more_rows, more_columns = padded(size) - size, (width or weight.shape[1]) - weight.shape[1]
        if scale is not None:
            weight = weight * scale.unsqueeze(1)
            bias = None if bias is None else bias * scale
        wide = nn.functional.pad(weight.view(groups, size, -1), (0, more_columns, 0, more_rows)).flatten(0, 1)
        if bias is not None:
            bias = nn.functional.pad(bias.view(groups, size), (0, more_rows)).flatten()
        self._product = PrepackedLinear(wide.t(), bias)

    def __call__(self, rows: Tensor, addend: Tensor | None = None) -> Tensor:
        """(R, M) to (R, groups * padded width); an addend of that shape replaces the bias and may be overwritten."""
        return self._product(rows.contiguous(), addend)


class Linear(nn.Linear):
    """PyTorch's `nn.Linear`; without gradients on a CPU each row is computed as if it were alone."""

    @cached_property
    def _product(self) -> ParameterCache[RowProduct]:
        return ParameterCache()

    def forward(self, input: Tensor) -> Tensor:
        """(..., M) to (..., N), a view of padded rows where N is no multiple of a register."""
        if not is_row_wise(input) or not input.numel():
            return super().forward(input)
        parameters = [self.weight] if self.bias is None else [self.weight, self.bias]
        product = self._product.of(parameters, lambda: RowProduct(self.weight, self.bias))
        rows = product(input.flatten(0, -2))
        return rows.view(*input.shape[:-1], -1)[..., : self.out_features]
