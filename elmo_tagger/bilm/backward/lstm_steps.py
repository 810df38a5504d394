"""The LSTM's steps with a backward of their own, for training.

What autograd records step by step it also adds up step by step: for each step a product and a sum of the size of all
weights, and often zeros of the size of all words. Here the gates' gradients of all steps lie side by side, so that a
weight's gradient is one product over all words; and no more is kept than gates, cells and outputs. Under autocast,
gates, outputs and the factors of products have its type; states keep theirs. On a CPU, if there are many steps of few
rows, the weights of the steps' own products are laid out anew in each call; and what lies between the products is
computed for as many words at once as the cache holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from elmo_tagger.bilm.cpu.prepacked_linear import PrepackedLinear
from elmo_tagger.bilm.device import to_device

# Laying out a weight takes as long as about ten steps gain by it (512 x 16384, two to thirty rows).
_STEPS_WORTH_A_LAYOUT = 12
_ROWS_WORTH_A_LAYOUT = 64  # of a step; for more rows the plain weight is as fast, and adds in place
_VALUES_WORTH_A_LAYOUT = 2**18  # of a direction's weight; a smaller one stays in the cache, and is as fast as it is
# What lies between two products is computed for so many words at once: few calls, and values that stay in the cache.
_WORDS_OF_CHUNK = 512


class LstmSteps(torch.autograd.Function):
    """A chunk of steps of one layer, its directions side by side: what `ProjectedLstm` computes.

    Without a projection it is the LSTM of PyTorch's `nn.LSTM`, whose outputs are the hidden values.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor,
        projection: Tensor | None,
        output: Tensor,
        cell: Tensor,
        sizes: list[int],
        clips: tuple[float | None, float | None],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run the steps of one direction or two, on the first axis; P is H without a projection.

        Args:
            ctx: Where autograd keeps what backward needs.
            inputs: (2, N, D).
            weight: (2, D + P, 4H), `W_0`.
            bias: (2, 1, 4H), with what TensorFlow adds.
            projection: (2, H, P), `W_P_0`, or None.
            output: (2, R, P), before the first step.
            cell: (2, R, H), before the first step.
            sizes: Sentences of each step, never increasing; their sum is N.
            clips: Of cells and of outputs.

        Returns:
            Outputs (2, N, P), and the last output (2, R, P) and cell (2, R, H) of each sentence.
        """
        device = inputs.device.type
        narrow = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else inputs.dtype
        with torch.autocast(device, enabled=False):
            outputs, last_output, last_cell, gates, cells = _forward(
                inputs,
                weight.to(narrow),
                bias.to(narrow),
                None if projection is None else projection.to(narrow),
                output,
                cell,
                sizes,
                clips,
            )
        ctx.save_for_backward(inputs, weight, projection, output, cell, gates, cells, outputs)
        ctx.sizes, ctx.clips = sizes, clips
        return outputs, last_output.to(output.dtype), last_cell

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_outputs: Tensor, of_last_output: Tensor, of_last_cell: Tensor) -> Any:
        """Gradients of the tensors among forward's arguments."""
        inputs, weight, projection, _, cell, gates, cells, outputs = ctx.saved_tensors
        narrow, width, hidden_width = gates.dtype, inputs.shape[2], cells.shape[2]
        before = to_device(words_before(ctx.sizes), inputs.device)
        previous_cells = torch.cat([cell[:, : ctx.sizes[0]], cells], dim=1)
        of_gates = torch.empty_like(gates)
        hidden = outputs if projection is None else torch.empty_like(cells, dtype=narrow)
        of_projected = of_outputs.clone()
        later_output, later_cell = of_last_output.to(narrow, copy=True), of_last_cell.clone()
        to_output = _Products(weight[:, width:].to(narrow).transpose(1, 2), ctx.sizes)
        to_hidden = None
        if projection is not None:
            to_hidden = _Products(projection.to(narrow).transpose(1, 2), ctx.sizes)
        for chunk in reversed(list(_chunks(ctx.sizes))):
            block = slice(chunk[0].start, chunk[-1].stop)
            previous = previous_cells[:, before[block]]
            own_hidden = None if projection is None else hidden[:, block]
            of_cells = _slopes(gates[:, block], cells[:, block], previous, of_gates[:, block], own_hidden)
            for words in reversed(chunk):
                size = words.stop - words.start
                own = _unclipped_(of_projected[:, words].add_(later_output[:, :size]), outputs[:, words], ctx.clips[1])
                of_hidden = own if to_hidden is None else to_hidden(own)
                in_block = slice(words.start - block.start, words.stop - block.start)
                of_cell = later_cell[:, :size].addcmul_(of_hidden.to(cells.dtype), of_cells[:, in_block])
                _unclipped_(of_cell, cells[:, words], ctx.clips[0])
                of_cell_gates, of_output_gate = of_gates[:, words].tensor_split([3 * hidden_width], dim=-1)
                torch.unflatten(of_cell_gates, -1, (3, -1)).mul_(of_cell.to(narrow).unsqueeze(2))
                of_output_gate.mul_(of_hidden)
                of_cell.mul_(gates[:, words].chunk(4, dim=-1)[2])
                later_output[:, :size] = to_output(of_gates[:, words])
        return gradients_of_arguments(ctx, before, hidden, of_gates, of_projected, later_output, later_cell)


def gradients_of_arguments(
    ctx: Any,
    before: Tensor,
    hidden: Tensor,
    of_gates: Tensor,
    of_projected: Tensor,
    of_output: Tensor,
    of_cell: Tensor,
) -> Any:
    """What backward returns when it has gone through the steps: one product for each weight.

    Args:
        ctx: With what forward saved.
        before: (N,) int64, see `words_before`.
        hidden: (2, N, H), what the projection, if there is one, was multiplied with, of the gates' type.
        of_gates: (2, N, 4H), gradients of the gates before their activation.
        of_projected: (2, N, P), gradients of the outputs before they are clipped.
        of_output: (2, R, P), gradients of the outputs before the first step.
        of_cell: (2, R, H), gradients of the cells before the first step.
    """
    inputs, weight, projection, output, _, gates, _, outputs = ctx.saved_tensors
    narrow, width = gates.dtype, inputs.shape[2]
    previous = torch.cat([output[:, : ctx.sizes[0]].to(narrow), outputs], dim=1)[:, before]
    # transposed ahead of the product, because oneDNN multiplies a transposed bfloat16 factor at half the speed
    factors = torch.cat([inputs.to(narrow).transpose(1, 2), previous.transpose(1, 2)], dim=1)
    of_inputs = of_projection = None
    if ctx.needs_input_grad[0]:
        of_inputs = torch.bmm(of_gates, weight[:, :width].to(narrow).transpose(1, 2)).to(inputs.dtype)
    if projection is not None:
        of_projection = torch.bmm(of_projected.transpose(1, 2).contiguous(), hidden).transpose(1, 2)
        of_projection = of_projection.to(projection.dtype)
    return (
        of_inputs,
        torch.bmm(factors, of_gates).to(weight.dtype),
        of_gates.sum(dim=1, keepdim=True).to(weight.dtype),
        of_projection,
        of_output.to(output.dtype),
        of_cell,
        None,
        None,
    )


def _forward(
    inputs: Tensor,
    weight: Tensor,
    bias: Tensor,
    projection: Tensor | None,
    output: Tensor,
    cell: Tensor,
    sizes: list[int],
    clips: tuple[float | None, float | None],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What `LstmSteps.forward` returns, and gates (2, N, 4H), after their activation, and cells (2, N, H)."""
    narrow, (directions, words_in_all, width) = weight.dtype, inputs.shape
    gates = weight.new_empty(directions, words_in_all, weight.shape[2])
    cells = cell.new_empty(directions, words_in_all, cell.shape[2])
    outputs = gates.new_empty(directions, words_in_all, output.shape[2])
    last_output, last_cell = output.to(narrow, copy=True), cell.clone()
    from_output = _Products(weight[:, width:], sizes)
    project = None if projection is None else _Products(projection, sizes)
    inputs = inputs.to(narrow)
    for chunk in _chunks(sizes):
        block = slice(chunk[0].start, chunk[-1].stop)
        for direction in range(directions):
            own = inputs[direction, block]
            torch.addmm(bias[direction], own, weight[direction, :width], out=gates[direction, block])
        for words in chunk:
            size = words.stop - words.start
            own = from_output.add_to(gates[:, words], last_output[:, :size])
            input_gate, candidate, forget_gate, output_gate = own.chunk(4, dim=-1)
            input_gate.sigmoid_()
            wide_candidate = _tanh_(candidate.to(cell.dtype))
            candidate.copy_(wide_candidate)
            own[..., 2 * cells.shape[2] :].sigmoid_()
            added = last_cell[:, :size].mul_(forget_gate).addcmul_(input_gate.to(cell.dtype), wide_candidate)
            cells[:, words] = _clip_(added, clips[0])
            hidden = _tanh_(cells[:, words].clone()).mul_(output_gate).to(narrow)
            outputs[:, words] = hidden if project is None else _clip_(project(hidden), clips[1])
            last_output[:, :size] = outputs[:, words]
    return outputs, last_output, last_cell, gates, cells


class _Products:
    """`rows @ weight` of each direction, for a number of steps.

    Args:
        weight: (2, M, N).
        sizes: Rows of each step.
    """

    def __init__(self, weight: Tensor, sizes: list[int]) -> None:
        few_rows = len(sizes) >= _STEPS_WORTH_A_LAYOUT and sum(sizes) < _ROWS_WORTH_A_LAYOUT * len(sizes)
        pays = few_rows and weight[0].numel() >= _VALUES_WORTH_A_LAYOUT and weight.device.type == "cpu"
        self._weight = weight
        self._matrices = [PrepackedLinear(each) for each in weight] if pays else []

    def __call__(self, rows: Tensor) -> Tensor:
        """(2, R, M) to (2, R, N)."""
        if not self._matrices:
            return torch.bmm(rows, self._weight)
        return torch.stack([matrix(each) for matrix, each in zip(self._matrices, rows, strict=True)])

    def add_to(self, sums: Tensor, rows: Tensor) -> Tensor:
        """Add the product to `sums` (2, R, N), which is returned."""
        if self._matrices:
            return sums.add_(self(rows))
        for own, factor, weight in zip(sums, rows, self._weight, strict=True):
            own.addmm_(factor, weight)
        return sums


def step_slices(sizes: list[int]) -> Iterator[slice]:
    """The words of each step."""
    start = 0
    for size in sizes:
        yield slice(start, start + size)
        start += size


def _chunks(sizes: list[int]) -> Iterator[list[slice]]:
    """The steps, as many together as have `_WORDS_OF_CHUNK` words, and one at least."""
    chunk: list[slice] = []
    for words in step_slices(sizes):
        if chunk and words.stop - chunk[0].start > _WORDS_OF_CHUNK:
            yield chunk
            chunk = []
        chunk.append(words)
    if chunk:
        yield chunk


def words_before(sizes: list[int]) -> Tensor:
    """For each word the place (N,) int64 of the one before it, on the host; the first states lead the list."""
    starts = torch.tensor([0, sizes[0], *sizes][: len(sizes)], device="cpu").cumsum(0)
    counts = torch.tensor(sizes, device="cpu")
    firsts = counts.cumsum(0) - counts
    return torch.arange(sum(sizes), device="cpu") + (starts - firsts).repeat_interleave(counts)


def _slopes(gates: Tensor, cells: Tensor, previous_cells: Tensor, of_gates: Tensor, hidden: Tensor | None) -> Tensor:
    """How steeply a word's cell, or for the output gate its hidden value, rises with each gate before its activation.

    Args:
        gates: (2, N, 4H), after their activation.
        cells: (2, N, H).
        previous_cells: (2, N, H), of the step before.
        of_gates: (2, N, 4H), where those slopes are written.
        hidden: (2, N, H), where the hidden values are written, if they are wanted.

    Returns:
        How steeply the hidden value rises with the cell (2, N, H).
    """
    sigmoid_slope, tanh_slope = torch.ops.aten.sigmoid_backward, torch.ops.aten.tanh_backward
    tanh_cells = _tanh_(cells.clone())
    narrow_tanh_cells = tanh_cells.to(gates.dtype)
    input_gate, candidate, forget_gate, output_gate = gates.chunk(4, dim=-1)
    of_input_gate, of_candidate, of_forget_gate, of_output_gate = of_gates.chunk(4, dim=-1)
    sigmoid_slope(candidate, input_gate, grad_input=of_input_gate)
    tanh_slope(input_gate, candidate, grad_input=of_candidate)
    sigmoid_slope(previous_cells.to(gates.dtype), forget_gate, grad_input=of_forget_gate)
    sigmoid_slope(narrow_tanh_cells, output_gate, grad_input=of_output_gate)
    if hidden is not None:
        torch.mul(output_gate, narrow_tanh_cells, out=hidden)
    slope: Tensor = tanh_slope(output_gate.to(cells.dtype), tanh_cells)
    return slope


def _tanh_(values: Tensor) -> Tensor:
    """In place; on a CPU by the sigmoid, which PyTorch computes several times faster there."""
    if values.device.type != "cpu" or values.dtype not in (torch.float32, torch.float64):  # others would lose digits
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
