"""`reference_ops` as Triton kernels, one launch each.

With `TRITON_INTERPRET=1` in the environment they run on a CPU, for tests.
"""

# Triton reads what annotates a kernel's arguments as a part of the kernel.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

# Columns that one program handles. Small, so that a batch of one sentence keeps many processors busy.
_BLOCK = 512


@triton.jit
def _sigmoid(x):
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def _tanh(x):
    return 2.0 * _sigmoid(2.0 * x) - 1.0


@triton.jit
def _clipped(x, bound):
    # comparisons let NaN through, which a damaged weight must not be able to hide behind
    return tl.where(x > bound, bound, tl.where(x < -bound, -bound, x))


@triton.jit(do_not_specialize=["step"])
def _cells(
    gates,
    bias,
    cell,
    hidden,
    left,
    step,
    clip,
    rows,
    width,
    gates_direction,
    cell_direction,
    HAS_CLIP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    # one program: BLOCK columns of one row of one direction; int64, since a chunk's gates may be 2**31 bytes and more
    direction = tl.program_id(0).to(tl.int64) // rows
    row = tl.program_id(0).to(tl.int64) % rows
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < width
    own_gates = gates + direction * gates_direction + row * 4 * width + column
    own_bias = bias + direction * 4 * width + column
    own_cell = cell + direction * cell_direction + row * width + column
    old = tl.load(own_cell, mask=inside, other=0.0)
    kind = old.dtype
    input_gate = tl.load(own_gates, mask=inside, other=0.0).to(kind) + tl.load(own_bias, mask=inside, other=0.0)
    candidate = tl.load(own_gates + width, mask=inside, other=0.0).to(kind)
    candidate += tl.load(own_bias + width, mask=inside, other=0.0)
    forget_gate = tl.load(own_gates + 2 * width, mask=inside, other=0.0).to(kind)
    forget_gate += tl.load(own_bias + 2 * width, mask=inside, other=0.0)
    output_gate = tl.load(own_gates + 3 * width, mask=inside, other=0.0).to(kind)
    output_gate += tl.load(own_bias + 3 * width, mask=inside, other=0.0)
    new = _sigmoid(forget_gate) * old + _sigmoid(input_gate) * _tanh(candidate)
    if HAS_CLIP:
        new = _clipped(new, clip)
    goes_on = tl.load(left + row) > step
    tl.store(own_cell, new, mask=inside & goes_on)
    own_hidden = hidden + (direction * rows + row) * width + column
    tl.store(own_hidden, (_sigmoid(output_gate) * _tanh(new)).to(hidden.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["step"])
def _outputs(
    projected,
    output,
    left,
    step,
    clip,
    rows,
    width,
    projected_direction,
    output_direction,
    HAS_CLIP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    direction = tl.program_id(0).to(tl.int64) // rows
    row = tl.program_id(0).to(tl.int64) % rows
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < width
    own = projected + direction * projected_direction + row * width + column
    values = tl.load(own, mask=inside, other=0.0)
    if HAS_CLIP:
        values = _clipped(values.to(tl.float32), clip).to(projected.dtype.element_ty)
        tl.store(own, values, mask=inside)
    goes_on = tl.load(left + row) > step
    tl.store(output + direction * output_direction + row * width + column, values, mask=inside & goes_on)


def update_cells(gates: Tensor, bias: Tensor, cell: Tensor, left: Tensor, step: int, clip: float | None) -> Tensor:
    """See `reference_ops.update_cells`; the last axis of each tensor, and rows within a direction, lie side by side."""
    hidden = torch.empty(cell.shape, dtype=gates.dtype, device=gates.device)
    _, rows, width = cell.shape
    _cells[(2 * rows, triton.cdiv(width, _BLOCK))](
        gates,
        bias,
        cell,
        hidden,
        left,
        step,
        0.0 if clip is None else float(clip),
        rows,
        width,
        gates.stride(0),
        cell.stride(0),
        HAS_CLIP=clip is not None,
        BLOCK=_BLOCK,
    )
    return hidden


def update_outputs(projected: Tensor, output: Tensor, left: Tensor, step: int, clip: float | None) -> None:
    """See `reference_ops.update_outputs`; laid out as above."""
    _, rows, width = projected.shape
    _outputs[(2 * rows, triton.cdiv(width, _BLOCK))](
        projected,
        output,
        left,
        step,
        0.0 if clip is None else float(clip),
        rows,
        width,
        projected.stride(0),
        output.stride(0),
        HAS_CLIP=clip is not None,
        BLOCK=_BLOCK,
    )
