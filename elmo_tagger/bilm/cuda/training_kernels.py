"""`slopes` as Triton kernels, one launch each; see `kernels`."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from elmo_tagger.bilm.cuda.kernels import _clipped, _sigmoid, _tanh

_BLOCK = 512


@triton.jit
def _place(rows, width, BLOCK: tl.constexpr):
    # of one program: its direction, its row, and BLOCK of its columns
    direction = tl.program_id(0).to(tl.int64) // rows
    row = tl.program_id(0).to(tl.int64) % rows
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    return direction, row, column, column < width


@triton.jit
def _open(
    gates,
    bias,
    previous,
    cell,
    hidden,
    clip,
    rows,
    width,
    gates_direction,
    previous_direction,
    cell_direction,
    HAS_CLIP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    direction, row, column, inside = _place(rows, width, BLOCK)
    own = gates + direction * gates_direction + row * 4 * width + column
    own_bias = bias + direction * 4 * width + column
    before = tl.load(previous + direction * previous_direction + row * width + column, mask=inside, other=0.0)
    kind = before.dtype
    narrow = gates.dtype.element_ty
    input_gate = tl.load(own, mask=inside, other=0.0).to(kind) + tl.load(own_bias, mask=inside, other=0.0)
    candidate = tl.load(own + width, mask=inside, other=0.0).to(kind)
    candidate += tl.load(own_bias + width, mask=inside, other=0.0)
    forget_gate = tl.load(own + 2 * width, mask=inside, other=0.0).to(kind)
    forget_gate += tl.load(own_bias + 2 * width, mask=inside, other=0.0)
    output_gate = tl.load(own + 3 * width, mask=inside, other=0.0).to(kind)
    output_gate += tl.load(own_bias + 3 * width, mask=inside, other=0.0)
    input_gate, candidate, forget_gate, output_gate = (
        _sigmoid(input_gate),
        _tanh(candidate),
        _sigmoid(forget_gate),
        _sigmoid(output_gate),
    )
    tl.store(own, input_gate.to(narrow), mask=inside)
    tl.store(own + width, candidate.to(narrow), mask=inside)
    tl.store(own + 2 * width, forget_gate.to(narrow), mask=inside)
    tl.store(own + 3 * width, output_gate.to(narrow), mask=inside)
    new = forget_gate * before + input_gate * candidate
    if HAS_CLIP:
        new = _clipped(new, clip)
    tl.store(cell + direction * cell_direction + row * width + column, new, mask=inside)
    tl.store(hidden + (direction * rows + row) * width + column, (output_gate * _tanh(new)).to(narrow), mask=inside)


@triton.jit
def _add(
    gradients,
    later,
    outputs,
    clip,
    rows,
    width,
    gradients_direction,
    later_direction,
    outputs_direction,
    HAS_CLIP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    direction, row, column, inside = _place(rows, width, BLOCK)
    own = gradients + direction * gradients_direction + row * width + column
    total = tl.load(own, mask=inside, other=0.0).to(tl.float32)
    total += tl.load(later + direction * later_direction + row * width + column, mask=inside, other=0.0).to(tl.float32)
    if HAS_CLIP:
        place = outputs + direction * outputs_direction + row * width + column
        values = tl.load(place, mask=inside, other=0.0).to(tl.float32)
        total = tl.where(tl.abs(values) >= clip, 0.0, total)
    tl.store(own, total.to(gradients.dtype.element_ty), mask=inside)


@triton.jit
def _close(
    gates,
    cell,
    previous,
    of_hidden,
    of_cell,
    of_gates,
    clip,
    rows,
    width,
    gates_direction,
    cell_direction,
    previous_direction,
    of_cell_direction,
    of_gates_direction,
    HAS_CLIP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    direction, row, column, inside = _place(rows, width, BLOCK)
    own = gates + direction * gates_direction + row * 4 * width + column
    value = tl.load(cell + direction * cell_direction + row * width + column, mask=inside, other=0.0)
    kind = value.dtype
    before = tl.load(previous + direction * previous_direction + row * width + column, mask=inside, other=0.0)
    input_gate = tl.load(own, mask=inside, other=0.0).to(kind)
    candidate = tl.load(own + width, mask=inside, other=0.0).to(kind)
    forget_gate = tl.load(own + 2 * width, mask=inside, other=0.0).to(kind)
    output_gate = tl.load(own + 3 * width, mask=inside, other=0.0).to(kind)
    by_hidden = tl.load(of_hidden + (direction * rows + row) * width + column, mask=inside, other=0.0).to(kind)
    later = of_cell + direction * of_cell_direction + row * width + column
    squashed = _tanh(value)
    total = tl.load(later, mask=inside, other=0.0) + by_hidden * output_gate * (1.0 - squashed * squashed)
    if HAS_CLIP:
        total = tl.where(tl.abs(value) >= clip, 0.0, total)
    into = of_gates + direction * of_gates_direction + row * 4 * width + column
    narrow = of_gates.dtype.element_ty
    tl.store(into, (total * candidate * input_gate * (1.0 - input_gate)).to(narrow), mask=inside)
    tl.store(into + width, (total * input_gate * (1.0 - candidate * candidate)).to(narrow), mask=inside)
    tl.store(into + 2 * width, (total * before * forget_gate * (1.0 - forget_gate)).to(narrow), mask=inside)
    tl.store(into + 3 * width, (by_hidden * squashed * output_gate * (1.0 - output_gate)).to(narrow), mask=inside)
    tl.store(later, total * forget_gate, mask=inside)


def open_gates(gates: Tensor, bias: Tensor, previous: Tensor, cell: Tensor, clip: float | None) -> Tensor:
    """See `slopes.open_gates`; the last axis of each tensor, and rows within a direction, lie side by side."""
    hidden = torch.empty(cell.shape, dtype=gates.dtype, device=gates.device)
    _, rows, width = cell.shape
    _open[(2 * rows, triton.cdiv(width, _BLOCK))](
        gates,
        bias,
        previous,
        cell,
        hidden,
        0.0 if clip is None else float(clip),
        rows,
        width,
        gates.stride(0),
        previous.stride(0),
        cell.stride(0),
        HAS_CLIP=clip is not None,
        BLOCK=_BLOCK,
    )
    return hidden


def add_to_outputs(gradients: Tensor, later: Tensor, outputs: Tensor, clip: float | None) -> None:
    """See `slopes.add_to_outputs`; laid out as above."""
    _, rows, width = gradients.shape
    # what was clipped has the bound as it is in the outputs' type
    bound = 0.0 if clip is None else torch.tensor(clip, dtype=outputs.dtype, device="cpu").item()
    _add[(2 * rows, triton.cdiv(width, _BLOCK))](
        gradients,
        later,
        outputs,
        bound,
        rows,
        width,
        gradients.stride(0),
        later.stride(0),
        outputs.stride(0),
        HAS_CLIP=clip is not None,
        BLOCK=_BLOCK,
    )


def close_gates(
    gates: Tensor,
    cell: Tensor,
    previous: Tensor,
    of_hidden: Tensor,
    of_cell: Tensor,
    of_gates: Tensor,
    clip: float | None,
) -> None:
    """See `slopes.close_gates`; laid out as above, `of_hidden` without gaps."""
    _, rows, width = cell.shape
    _close[(2 * rows, triton.cdiv(width, _BLOCK))](
        gates,
        cell,
        previous,
        of_hidden.contiguous(),
        of_cell,
        of_gates,
        0.0 if clip is None else float(clip),
        rows,
        width,
        gates.stride(0),
        cell.stride(0),
        previous.stride(0),
        of_cell.stride(0),
        of_gates.stride(0),
        HAS_CLIP=clip is not None,
        BLOCK=_BLOCK,
    )
