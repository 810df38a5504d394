"""The steps of an LSTM, forward and back, for training.

What autograd records step by step it also adds up step by step: for each step a product and a sum of the size of all
weights, and often zeros of the size of all words. Here the gates' gradients of all steps lie side by side, so that a
weight's gradient is one product over all words; and no more is kept than gates, cells and outputs. Values are written
where they stay: a step reads the rows of the step before, and adds to their gradients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from elmo_tagger.bilm.backward.steps import StepProducts, last_words

Clips = tuple[float | None, float | None]
"""Bounds of cells and of outputs."""
NO_CLIPS: Clips = (None, None)


class GateOrder(NamedTuple):
    """Where the gates are among the four parts of 4H columns; the output gate is always the last one."""

    input: int
    candidate: int
    forget: int

    def parts(self, gates: Tensor) -> list[Tensor]:
        """Gates (..., 4H) as input, candidate, forget and output, (..., H) each."""
        parts = gates.chunk(4, dim=-1)
        return [*(parts[place] for place in self), parts[3]]


TENSORFLOWS_ORDER = GateOrder(input=0, candidate=1, forget=2)
PYTORCHS_ORDER = GateOrder(input=0, forget=1, candidate=2)


class Kept(NamedTuple):
    """What backward needs of the steps.

    Attributes:
        gates: (2, N, 4H), after their activation.
        cells: (2, N, H).
        outputs: (2, N, P).
        previous: (2, N, P), the outputs of the step before, with which the state's weight was multiplied.
    """

    gates: Tensor
    cells: Tensor
    outputs: Tensor
    previous: Tensor

    def steps(self, sizes: list[int]) -> Iterator[Kept]:
        """The same of each step."""
        return map(Kept._make, zip(*(torch.split(each, sizes, dim=1) for each in self), strict=True))


class StepGradients(NamedTuple):
    """Gradients, and what one of them is multiplied with for that of the projection.

    Attributes:
        gates: (2, N, 4H), gradients of the gates before their activation.
        projected: (2, N, P), gradients of the outputs before they are clipped.
        output: (2, R, P), gradients of the outputs before the first step.
        cell: (2, R, H), gradients of the cells before the first step.
        hidden: (2, N, H), with which the projection was multiplied, if there is one.
    """

    gates: Tensor
    projected: Tensor
    output: Tensor
    cell: Tensor
    hidden: Tensor | None


def run_steps(
    inputs: Sequence[Tensor] | Tensor,
    weights: tuple[Sequence[Tensor] | Tensor, Tensor, Tensor | None],
    bias: Tensor,
    state: tuple[Tensor, Tensor],
    *,
    sizes: list[int],
    clips: Clips = NO_CLIPS,
    order: GateOrder = TENSORFLOWS_ORDER,
) -> tuple[Kept, Tensor, Tensor]:
    """Run the steps of one direction or two, which lie on the first axis.

    Args:
        inputs: (N, D) for each direction, of the type in which products are computed, as weights and bias are.
        weights: Of the input, (D, 4H) for each direction; of the state, (2, P, 4H); and (2, H, P) of the projection.
            Without one, P is H, outputs are the hidden values, and all is of one type.
        bias: (2, 1, 4H).
        state: Output (2, R, P) and cell (2, R, H) before the first step.
        sizes: Sentences of each step, never increasing; their sum is N.
        clips: Of cells and of outputs.
        order: Of the gates among the 4H columns.

    Returns:
        What backward needs, and the last output (2, R, P) and cell (2, R, H) of each sentence.
    """
    of_input, of_state, of_projection = weights
    (output, cell), directions, words = state, len(inputs), sum(sizes)
    gates = bias.new_empty(directions, words, bias.shape[2])
    outputs, previous = (gates.new_empty(directions, words, output.shape[2]) for _ in range(2))
    kept = Kept(gates, cell.new_empty(directions, words, cell.shape[2]), outputs, previous)
    for direction in range(directions):
        torch.addmm(bias[direction], inputs[direction], of_input[direction], out=gates[direction])
    from_output = StepProducts(of_state, sizes)
    project = None if of_projection is None else StepProducts(of_projection, sizes)
    output_before, cell_before = output, cell
    for size, step in zip(sizes, kept.steps(sizes), strict=True):
        step.previous.copy_(output_before[:, :size])
        from_output.add_to(step.gates, step.previous)
        input_gate, candidate, forget_gate, output_gate = order.parts(step.gates)
        wide_candidate = _tanh(candidate.to(cell.dtype))
        step.gates.sigmoid_()  # of all gates, because one pass over the whole is quicker than three over parts
        candidate.copy_(wide_candidate)
        torch.mul(cell_before[:, :size], forget_gate, out=step.cells)
        _clip_(step.cells.addcmul_(input_gate.to(cell.dtype), wide_candidate), clips[0])
        if project is None:
            _tanh(step.cells, out=step.outputs).mul_(output_gate)
        else:
            hidden = _tanh(step.cells).mul_(output_gate).to(outputs.dtype)
            step.outputs.copy_(_clip_(project(hidden), clips[1]))
        output_before, cell_before = step.outputs, step.cells
    last, last_output, last_cell = last_words(sizes), output.to(outputs.dtype, copy=True), cell.clone()
    last_output[:, : sizes[0]] = outputs.index_select(1, last)
    last_cell[:, : sizes[0]] = kept.cells.index_select(1, last)
    return kept, last_output, last_cell


def gradients_of_steps(
    kept: Kept,
    of_results: Sequence[Tensor],
    weights: tuple[Tensor, Tensor | None],
    cell: Tensor,
    *,
    sizes: list[int],
    clips: Clips = NO_CLIPS,
    order: GateOrder = TENSORFLOWS_ORDER,
) -> StepGradients:
    """Go back through the steps.

    Args:
        kept: By `run_steps`.
        of_results: Gradients of the outputs (2, N, P), and of the last output (2, R, P) and cell (2, R, H).
        weights: Of the state and of the projection, as for `run_steps`.
        cell: (2, R, H), before the first step.
        sizes: As for `run_steps`.
        clips: As for `run_steps`.
        order: As for `run_steps`.
    """
    (of_outputs, of_last_output, of_last_cell), (of_state, of_projection) = of_results, weights
    narrow, started = kept.gates.dtype, sizes[0]
    of_first_output, of_first_cell = of_last_output.to(narrow, copy=True), of_last_cell.clone()
    of_projected = of_outputs.index_add(1, last_words(sizes), of_first_output[:, :started])
    of_first_output[:, :started] = 0
    of_gates = torch.empty_like(kept.gates)
    to_output = StepProducts(of_state.transpose(1, 2), sizes)
    hidden = to_hidden = None
    if of_projection is not None:
        hidden = torch.empty_like(kept.cells, dtype=narrow)
        to_hidden = StepProducts(of_projection.transpose(1, 2), sizes)
    hidden_of_steps = [None] * len(sizes) if hidden is None else torch.split(hidden, sizes, dim=1)
    of_gates_of_steps, of_outputs_of_steps = (torch.split(each, sizes, dim=1) for each in (of_gates, of_projected))
    steps = list(kept.steps(sizes))
    for number in reversed(range(len(sizes))):
        size, step, of_own = sizes[number], steps[number], of_outputs_of_steps[number]
        of_output = _unclipped_(of_own, step.outputs, clips[1])
        of_hidden = of_output if to_hidden is None else to_hidden(of_output)
        cell_before = steps[number - 1].cells if number else cell
        of_cell, of_step = of_first_cell[:, :size], of_gates_of_steps[number]
        slope = _slopes(
            order.parts(step.gates), step.cells, cell_before[:, :size], order.parts(of_step), hidden_of_steps[number]
        )
        of_cell.addcmul_(of_hidden.to(cell.dtype), slope)
        _unclipped_(of_cell, step.cells, clips[0])
        of_cell_gates, of_output_gate = of_step.tensor_split([3 * cell.shape[2]], dim=-1)
        torch.unflatten(of_cell_gates, -1, (3, -1)).mul_(of_cell.to(narrow).unsqueeze(2))
        of_output_gate.mul_(of_hidden)
        of_cell.mul_(order.parts(step.gates)[2])
        of_output_before = of_outputs_of_steps[number - 1] if number else of_first_output
        to_output.add_to(of_output_before[:, :size], of_step)
    return StepGradients(of_gates, of_projected, of_first_output, of_first_cell, hidden)


def _slopes(
    gates: list[Tensor], cells: Tensor, cells_before: Tensor, of_gates: list[Tensor], hidden: Tensor | None
) -> Tensor:
    """How steeply a word's cell, or for the output gate its hidden value, rises with each gate before its activation.

    Args:
        gates: Input, candidate, forget and output, (2, R, H) each, after their activation.
        cells: (2, R, H).
        cells_before: (2, R, H), of the step before.
        of_gates: As `gates`, where those slopes are written.
        hidden: (2, R, H), where the hidden values are written, if they are wanted.

    Returns:
        How steeply the hidden value rises with the cell (2, R, H).
    """
    sigmoid_slope, tanh_slope = torch.ops.aten.sigmoid_backward, torch.ops.aten.tanh_backward
    tanh_cells = _tanh(cells)
    input_gate, candidate, forget_gate, output_gate = gates
    of_input_gate, of_candidate, of_forget_gate, of_output_gate = of_gates
    narrow_tanh_cells = tanh_cells.to(output_gate.dtype)
    sigmoid_slope(candidate, input_gate, grad_input=of_input_gate)
    tanh_slope(input_gate, candidate, grad_input=of_candidate)
    sigmoid_slope(cells_before.to(forget_gate.dtype), forget_gate, grad_input=of_forget_gate)
    sigmoid_slope(narrow_tanh_cells, output_gate, grad_input=of_output_gate)
    if hidden is not None:
        torch.mul(output_gate, narrow_tanh_cells, out=hidden)
    slope: Tensor = tanh_slope(output_gate.to(cells.dtype), tanh_cells)
    return slope


def _tanh(values: Tensor, out: Tensor | None = None) -> Tensor:
    """On a CPU without AVX-512 by the sigmoid, which PyTorch computes several times faster there."""
    loses_digits = values.dtype not in (torch.float32, torch.float64)
    if loses_digits or values.device.type != "cpu" or torch.backends.cpu.get_cpu_capability() == "AVX512":
        return torch.tanh(values, out=out)
    return torch.mul(values, 2.0, out=out).sigmoid_().mul_(2.0).sub_(1.0)


def _clip_(values: Tensor, bound: float | None) -> Tensor:
    return values if bound is None else values.clamp_(-bound, bound)


def _unclipped_(gradients: Tensor, values: Tensor, bound: float | None) -> Tensor:
    """Without what belongs to values that were clipped, which do not move."""
    if bound is None:
        return gradients
    unclipped: Tensor = torch.ops.aten.hardtanh_backward(gradients, values, -bound, bound, grad_input=gradients)
    return unclipped
