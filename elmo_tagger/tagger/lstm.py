"""PyTorch's LSTM, with gradients that cost less on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from elmo_tagger.bilm.backward.lstm_steps import LstmSteps

_GATES = (0, 2, 1, 3)  # of PyTorch's input, forget, candidate, output: in the order that `LstmSteps` has them


class Lstm(nn.LSTM):
    """`nn.LSTM`; on a CPU, packed sentences whose gradients are recorded go through `LstmSteps`.

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
                data = nn.functional.dropout(data, self.dropout, self.training)
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
        weights, biases = [], []
        for suffix in suffixes:
            of_input, of_state = (getattr(self, f"weight_{part}_l{layer}{suffix}") for part in ("ih", "hh"))
            weights.append(_by_gate(torch.cat([of_input, of_state], dim=1)))
            if self.bias:
                biases.append(_by_gate(sum(getattr(self, f"bias_{part}_l{layer}{suffix}") for part in ("ih", "hh"))))
        weight = torch.stack(weights).transpose(1, 2)
        bias = torch.stack(biases).unsqueeze(1) if self.bias else weight.new_zeros(len(suffixes), 1, weight.shape[2])
        inputs = torch.stack([data, data.index_select(0, turned)]) if self.bidirectional else data.unsqueeze(0)
        state = data.new_zeros(len(suffixes), sizes[0], self.hidden_size)
        outputs, output, cell = LstmSteps.apply(inputs, weight, bias, None, state, state, sizes, (None, None))  # type: ignore[no-untyped-call]
        if not self.bidirectional:
            return outputs[0], output, cell
        return torch.cat([outputs[0], outputs[1].index_select(0, turned)], dim=1), output, cell


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


def _by_gate(rows: Tensor) -> Tensor:
    """Rows (4H, ...) of PyTorch's gates in the order of `LstmSteps`."""
    gates = rows.chunk(4)
    return torch.cat([gates[number] for number in _GATES])
