"""PyTorch's LSTM, with gradients that cost less on a CPU, and without them each sentence as if it were alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils.rnn import PackedSequence

from elmo_tagger.bilm.backward.lstm_steps import PYTORCHS_ORDER, Kept, gradients_of_steps, run_steps
from elmo_tagger.tagger.dropout import dropout
from elmo_tagger.tagger.recurrence import RowWise


class Lstm(RowWise, nn.LSTM):
    """`nn.LSTM`; on a CPU, packed sentences are computed as `RowWise` says or, to record gradients, as told here.

    PyTorch's own records each step: backward then makes, for each step, zeros of the size of all words and adds them
    up. Parameters are the same, dropout draws the same numbers, and values and gradients are equal up to rounding;
    gradients of gradients are not to be had.
    """

    def forward(self, input: Any, hx: Any = None) -> Any:
        """As `nn.LSTM.forward`."""
        if not isinstance(input, PackedSequence) or hx is not None or not self._has_own_backward(input.data):
            return super().forward(input, hx)
        data, sizes = input.data, input.batch_sizes.tolist()
        turned = turned_places(input.batch_sizes)
        last_outputs, last_cells = [], []
        for layer in range(self.num_layers):
            if layer:
                data = dropout(data, self.dropout, self.training)
            data, output, cell = self._run_layer(layer, data, sizes, turned)
            last_outputs.append(output)
            last_cells.append(cell)
        last = self.permute_hidden((torch.cat(last_outputs), torch.cat(last_cells)), input.unsorted_indices)
        return PackedSequence(data, input.batch_sizes, input.sorted_indices, input.unsorted_indices), last

    def _has_own_backward(self, data: Tensor) -> bool:
        on_cpu = data.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
        return on_cpu and torch.is_grad_enabled() and not self.proj_size

    def _run_layer(self, layer: int, data: Tensor, sizes: list[int], turned: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Packed outputs (N, H * directions), and last outputs and cells (directions, B, H)."""
        suffixes = ("", "_reverse") if self.bidirectional else ("",)
        names = [f"l{layer}{suffix}" for suffix in suffixes]
        weights = [getattr(self, f"weight_{part}_{name}") for part in ("ih", "hh") for name in names]
        if self.bias:
            bias = torch.stack([getattr(self, f"bias_ih_{name}") + getattr(self, f"bias_hh_{name}") for name in names])
        else:
            bias = data.new_zeros(len(names), 4 * self.hidden_size)
        outputs, output, cell = _Layer.apply(data, turned, sizes, bias, *weights)  # type: ignore[no-untyped-call]
        return outputs, output, cell


class _Layer(torch.autograd.Function):
    """A layer of one direction or two, over packed sentences."""

    @staticmethod
    def forward(
        ctx: Any, data: Tensor, turned: Tensor, sizes: list[int], bias: Tensor, *weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run it.

        Args:
            ctx: Where autograd keeps what backward needs.
            data: (N, D), packed.
            turned: (N,) int64, see `turned_places`.
            sizes: Sentences of each step.
            bias: (directions, 4H).
            weights: (4H, D) of the input for each direction, then (4H, H) of the state for each.

        Returns:
            As `Lstm._run_layer`.
        """
        directions = len(bias)
        of_input, of_state = weights[:directions], torch.stack(weights[directions:]).transpose(1, 2).contiguous()
        inputs = [data, data.index_select(0, turned)][:directions]
        state = data.new_zeros(directions, sizes[0], of_state.shape[1])
        kept, output, cell = run_steps(
            inputs,
            ([each.t() for each in of_input], of_state, None),
            bias.unsqueeze(1),
            (state, state),
            sizes=sizes,
            order=PYTORCHS_ORDER,
        )
        ctx.save_for_backward(turned, *inputs, *weights, *kept)
        ctx.directions, ctx.sizes = directions, sizes
        forwards, *backwards = kept.outputs
        return torch.cat([forwards, *(each.index_select(0, turned) for each in backwards)], dim=1), output, cell

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_outputs: Tensor, of_output: Tensor, of_cell: Tensor) -> Any:
        """Gradients of data, bias and weights; one product for each of the weights."""
        directions, (turned, *saved) = ctx.directions, ctx.saved_tensors
        inputs, of_input, of_state = (
            saved[start : start + directions] for start in range(0, 3 * directions, directions)
        )
        kept = Kept(*saved[3 * directions :])
        forwards, *backwards = of_outputs.chunk(directions, dim=1)
        of_results = torch.stack([forwards, *(each.index_select(0, turned) for each in backwards)]), of_output, of_cell
        found = gradients_of_steps(
            kept,
            of_results,
            (torch.stack(of_state).transpose(1, 2), None),
            torch.zeros_like(of_cell),
            sizes=ctx.sizes,
            order=PYTORCHS_ORDER,
        )
        of_data = None
        if ctx.needs_input_grad[0]:
            of_data = found.gates[0] @ of_input[0]
            if directions == 2:
                of_data += (found.gates[1] @ of_input[1]).index_select(0, turned)
        of_gates = found.gates.transpose(1, 2)
        factors = [*inputs, *kept.previous]
        of_weights = [of_gates[number % directions] @ factor for number, factor in enumerate(factors)]
        return of_data, None, None, found.gates.sum(dim=1), *of_weights


def turned_places(batch_sizes: Tensor) -> Tensor:
    """For each packed word the place (N,) int64 of that which stands there when its sentence is read from its end.

    Args:
        batch_sizes: (T,) int64, as in a `PackedSequence`: sentences of each step, never increasing.
    """
    starts = batch_sizes.cumsum(0) - batch_sizes
    steps = torch.arange(len(batch_sizes)).repeat_interleave(batch_sizes)
    sentences = torch.arange(len(steps)) - starts[steps]
    lengths = (batch_sizes.unsqueeze(1) > torch.arange(int(batch_sizes[0]))).sum(0)
    return starts[lengths[sentences] - 1 - steps] + sentences
