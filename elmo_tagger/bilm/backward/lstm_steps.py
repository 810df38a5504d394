"""The steps of an LSTM, forward and back, for training.

What autograd records step by step it also adds up step by step: for each step a product and a sum of the size of all
weights, and often zeros of the size of all words. Here the gates' gradients of all steps lie side by side, so that a
weight's gradient is one product over all words; and no more is kept than gates, cells and outputs. What lies between
the products is computed for as many words at once as the cache holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from elmo_tagger.bilm.backward.steps import StepProducts, chunks_of_steps, words_before
from elmo_tagger.bilm.device import to_device

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
    """

    gates: Tensor
    cells: Tensor
    outputs: Tensor


class StepGradients(NamedTuple):
    """Gradients, and what they are multiplied with for those of the weights.

    Attributes:
        gates: (2, N, 4H), gradients of the gates before their activation.
        projected: (2, N, P), gradients of the outputs before they are clipped.
        output: (2, R, P), gradients of the outputs before the first step.
        cell: (2, R, H), gradients of the cells before the first step.
        previous: (2, N, P), the outputs of the step before, with which the state's weight was multiplied.
        hidden: (2, N, H), with which the projection was multiplied, if there is one.
    """

    gates: Tensor
    projected: Tensor
    output: Tensor
    cell: Tensor
    previous: Tensor
    hidden: Tensor | None


def run_steps(
    inputs: Tensor,
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
        inputs: (2, N, D), of the type in which products are computed, as weights and bias are.
        weights: Of the input, (D, 4H) for each direction; of the state, (2, P, 4H); and (2, H, P) of the projection.
            Without one, P is H and outputs are the hidden values.
        bias: (2, 1, 4H).
        state: Output (2, R, P) and cell (2, R, H) before the first step.
        sizes: Sentences of each step, never increasing; their sum is N.
        clips: Of cells and of outputs.
        order: Of the gates among the 4H columns.

    Returns:
        What backward needs, and the last output (2, R, P) and cell (2, R, H) of each sentence.
    """
    of_input, of_state, of_projection = weights
    narrow, (output, cell), (directions, words_in_all, _) = inputs.dtype, state, inputs.shape
    gates = inputs.new_empty(directions, words_in_all, bias.shape[2])
    cells = cell.new_empty(directions, words_in_all, cell.shape[2])
    outputs = gates.new_empty(directions, words_in_all, output.shape[2])
    last_output, last_cell = output.to(narrow, copy=True), cell.clone()
    from_output = StepProducts(of_state, sizes)
    project = None if of_projection is None else StepProducts(of_projection, sizes)
    for chunk in chunks_of_steps(sizes):
        block = slice(chunk[0].start, chunk[-1].stop)
        for direction in range(directions):
            torch.addmm(bias[direction], inputs[direction, block], of_input[direction], out=gates[direction, block])
        for words in chunk:
            size = words.stop - words.start
            own = from_output.add_to(gates[:, words], last_output[:, :size])
            input_gate, candidate, forget_gate, output_gate = order.parts(own)
            wide_candidate = _tanh_(candidate.to(cell.dtype, copy=True))
            own.sigmoid_()  # of all gates, because one pass over the whole is quicker than three over parts
            candidate.copy_(wide_candidate)
            added = last_cell[:, :size].mul_(forget_gate).addcmul_(input_gate.to(cell.dtype), wide_candidate)
            cells[:, words] = _clip_(added, clips[0])
            hidden = _tanh_(cells[:, words].clone()).mul_(output_gate).to(narrow)
            outputs[:, words] = hidden if project is None else _clip_(project(hidden), clips[1])
            last_output[:, :size] = outputs[:, words]
    return Kept(gates, cells, outputs), last_output, last_cell


def gradients_of_steps(
    kept: Kept,
    of_results: Sequence[Tensor],
    weights: tuple[Tensor, Tensor | None],
    state: tuple[Tensor, Tensor],
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
        state: As for `run_steps`.
        sizes: As for `run_steps`.
        clips: As for `run_steps`.
        order: As for `run_steps`.
    """
    (gates, cells, outputs), (of_outputs, of_last_output, of_last_cell) = kept, of_results
    (of_state, of_projection), (output, cell) = weights, state
    narrow, hidden_width = gates.dtype, cells.shape[2]
    before = to_device(words_before(sizes), gates.device)
    previous_cells = torch.cat([cell[:, : sizes[0]], cells], dim=1)
    of_gates = torch.empty_like(gates)
    of_projected = of_outputs.clone()
    later_output, later_cell = of_last_output.to(narrow, copy=True), of_last_cell.clone()
    to_output = StepProducts(of_state.transpose(1, 2), sizes)
    hidden = to_hidden = None
    if of_projection is not None:
        hidden = torch.empty_like(cells, dtype=narrow)
        to_hidden = StepProducts(of_projection.transpose(1, 2), sizes)
    for chunk in reversed(list(chunks_of_steps(sizes))):
        block = slice(chunk[0].start, chunk[-1].stop)
        of_cells = _slopes(
            order.parts(gates[:, block]),
            cells[:, block],
            previous_cells[:, before[block]],
            order.parts(of_gates[:, block]),
            None if hidden is None else hidden[:, block],
        )
        for words in reversed(chunk):
            size = words.stop - words.start
            own = _unclipped_(of_projected[:, words].add_(later_output[:, :size]), outputs[:, words], clips[1])
            of_hidden = own if to_hidden is None else to_hidden(own)
            in_block = slice(words.start - block.start, words.stop - block.start)
            of_cell = later_cell[:, :size].addcmul_(of_hidden.to(cells.dtype), of_cells[:, in_block])
            _unclipped_(of_cell, cells[:, words], clips[0])
            of_cell_gates, of_output_gate = of_gates[:, words].tensor_split([3 * hidden_width], dim=-1)
            torch.unflatten(of_cell_gates, -1, (3, -1)).mul_(of_cell.to(narrow).unsqueeze(2))
            of_output_gate.mul_(of_hidden)
            of_cell.mul_(order.parts(gates[:, words])[2])
            later_output[:, :size] = to_output(of_gates[:, words])
    previous = torch.cat([output[:, : sizes[0]].to(narrow), outputs], dim=1)[:, before]
    return StepGradients(of_gates, of_projected, later_output, later_cell, previous, hidden)


def _slopes(
    gates: list[Tensor], cells: Tensor, previous_cells: Tensor, of_gates: list[Tensor], hidden: Tensor | None
) -> Tensor:
    """How steeply a word's cell, or for the output gate its hidden value, rises with each gate before its activation.

    Args:
        gates: Input, candidate, forget and output, (2, N, H) each, after their activation.
        cells: (2, N, H).
        previous_cells: (2, N, H), of the step before.
        of_gates: As `gates`, where those slopes are written.
        hidden: (2, N, H), where the hidden values are written, if they are wanted.

    Returns:
        How steeply the hidden value rises with the cell (2, N, H).
    """
    sigmoid_slope, tanh_slope = torch.ops.aten.sigmoid_backward, torch.ops.aten.tanh_backward
    tanh_cells = _tanh_(cells.clone())
    input_gate, candidate, forget_gate, output_gate = gates
    of_input_gate, of_candidate, of_forget_gate, of_output_gate = of_gates
    narrow_tanh_cells = tanh_cells.to(output_gate.dtype)
    sigmoid_slope(candidate, input_gate, grad_input=of_input_gate)
    tanh_slope(input_gate, candidate, grad_input=of_candidate)
    sigmoid_slope(previous_cells.to(forget_gate.dtype), forget_gate, grad_input=of_forget_gate)
    sigmoid_slope(narrow_tanh_cells, output_gate, grad_input=of_output_gate)
    if hidden is not None:
        torch.mul(output_gate, narrow_tanh_cells, out=hidden)
    slope: Tensor = tanh_slope(output_gate.to(cells.dtype), tanh_cells)
    return slope


def _tanh_(values: Tensor) -> Tensor:
    """In place; on a CPU without AVX-512 by the sigmoid, which PyTorch computes several times faster there."""
    loses_digits = values.dtype not in (torch.float32, torch.float64)
    if loses_digits or values.device.type != "cpu" or torch.backends.cpu.get_cpu_capability() == "AVX512":
        return values.tanh_()
    return values.mul_(2.0).sigmoid_().mul_(2.0).sub_(1.0)


def _clip_(values: Tensor, bound: float | None) -> Tensor:
    return values if bound is None else values.clamp_(-bound, bound)


def _unclipped_(gradients: Tensor, values: Tensor, bound: float | None) -> Tensor:
    """Without what belongs to values that were clipped, which do not move."""
    if bound is None:
        return gradients
    unclipped: Tensor = torch.ops.aten.hardtanh_backward(gradients, values, -bound, bound, grad_input=gradients)
    return unclipped
