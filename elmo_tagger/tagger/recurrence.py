"""Recurrent networks of weights that stay as they are, on a CPU: each sentence as if it were alone, to the bit.

What `nn.LSTM` and `nn.GRU` compute, and LSTMs with highways, over sentences packed by PyTorch's
`pack_padded_sequence`: the first words of all sentences, the second words, and so on, longest sentence first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from elmo_tagger.bilm.cpu.threads import WORTH_A_THREAD, run_in_parallel
from elmo_tagger.bilm.parameter_cache import ParameterCache
from elmo_tagger.tagger.linear import RowProduct, is_row_wise, padded


class Cell(Protocol):
    """A recurrent unit in one direction: H outputs, kept in rows of `padded(H)`."""

    hidden: int

    def inputs(self, vectors: Tensor) -> Tensor:
        """What vectors (N, D) add to the gates."""

    def begin(self, size: int) -> tuple[Tensor, ...]:
        """The state before the first word of so many sentences, its first part the output."""

    def step(self, ahead: Tensor, state: tuple[Tensor, ...]) -> None:
        """Change the state of R sentences, given what their words add to the gates."""


class LstmCell:
    """An LSTM unit, with a highway if `input_weight` has 6 parts instead of 4.

    Args:
        input_weight: (4H, D): gate of the input, gate to forget, candidate, gate of the output; then the highway's
            gate, and the highway itself, H each.
        state_weight: (4H, H), with a highway (5H, H).
        bias: (4H,) or (5H,), if there is one.
    """

    def __init__(self, input_weight: Tensor, state_weight: Tensor, bias: Tensor | None) -> None:
        self.hidden = state_weight.shape[1]
        self._width = padded(self.hidden)
        self._gates = len(state_weight) // self.hidden
        groups = len(input_weight) // self.hidden
        # tanh(x) = 2 sigmoid(2 x) - 1; doubling rounds nothing
        scale = torch.ones(len(input_weight))
        scale[2 * self.hidden : 3 * self.hidden] = 2.0
        if bias is not None:
            bias = nn.functional.pad(bias, (0, len(input_weight) - len(bias)))
        self._input = RowProduct(input_weight, bias, groups=groups, scale=scale)
        self._state = RowProduct(
            state_weight, None, groups=self._gates, width=self._width, scale=scale[: len(state_weight)]
        )

    def inputs(self, vectors: Tensor) -> Tensor:
        """As `Cell`."""
        return self._input(vectors)

    def begin(self, size: int) -> tuple[Tensor, ...]:
        """As `Cell`: output and memory."""
        return torch.zeros(size, self._width), torch.zeros(size, self._width)

    def step(self, ahead: Tensor, state: tuple[Tensor, ...]) -> None:
        """As `Cell`."""
        output, memory = state
        size = self._gates * self._width
        gates = self._state(output, ahead[:, :size].contiguous()).sigmoid_()
        enter, forget, candidate, leave, *carry = gates.chunk(self._gates, dim=1)
        memory.mul_(forget).addcmul_(enter, candidate, value=2.0).sub_(enter)
        torch.mul(leave, memory.tanh(), out=output)
        if carry:
            way = ahead[:, size:]
            output.sub_(way).mul_(carry[0]).add_(way)


class GruCell:
    """A GRU unit.

    Args:
        input_weight: (3H, D): gate of the state within the candidate, gate to keep, candidate.
        state_weight: (3H, H).
        input_bias: (3H,), if there is one.
        state_bias: (3H,), if there is one.
    """

    def __init__(
        self, input_weight: Tensor, state_weight: Tensor, input_bias: Tensor | None, state_bias: Tensor | None
    ) -> None:
        self.hidden = state_weight.shape[1]
        self._width = padded(self.hidden)
        self._input = RowProduct(input_weight, input_bias, groups=3)
        self._state = RowProduct(state_weight, state_bias, groups=3, width=self._width)

    def inputs(self, vectors: Tensor) -> Tensor:
        """As `Cell`."""
        return self._input(vectors)

    def begin(self, size: int) -> tuple[Tensor, ...]:
        """As `Cell`: the output."""
        return (torch.zeros(size, self._width),)

    def step(self, ahead: Tensor, state: tuple[Tensor, ...]) -> None:
        """As `Cell`."""
        (output,) = state
        here, before, candidate = ahead.chunk(3, dim=1)
        reset, keep, of_state = self._state(output).chunk(3, dim=1)
        candidate = of_state.mul((reset + here).sigmoid_()).add_(candidate).tanh_()
        output.sub_(candidate).mul_((keep + before).sigmoid_()).add_(candidate)


Layers = Sequence[Sequence[Cell]]
"""For each layer the unit that reads forwards and, if there is one, the unit that reads back."""


def run(layers: Layers, packed: PackedSequence) -> tuple[PackedSequence, tuple[Tensor, ...]]:
    """Run packed sentences of vectors through layers; the two directions of a layer share no thread.

    Returns:
        The last layer's outputs, and the parts of the state that each unit ends with, each of them (layers *
        directions, B, H), in the input's order of sentences: both as from `nn.LSTM`.
    """
    data, sizes = packed.data, packed.batch_sizes.tolist()
    ends: list[tuple[Tensor, ...]] = []
    for cells in layers:
        outputs, states = zip(*_run_layer(cells, data, sizes), strict=True)
        data = torch.cat(outputs, dim=1)
        ends += states
    state = tuple(map(torch.stack, zip(*ends, strict=True)))
    if packed.unsorted_indices is not None:
        state = tuple(each[:, packed.unsorted_indices] for each in state)
    return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices), state


def _run_layer(cells: Sequence[Cell], data: Tensor, sizes: list[int]) -> list[tuple[Tensor, tuple[Tensor, ...]]]:
    """What `_run` gives for each unit of a layer.

    Two directions do not share all threads at each step: a step takes microseconds, and on a busy machine it would wait
    milliseconds for them.
    """
    if len(cells) == 1:
        return [_run(cells[0], data, sizes, back=0)]
    found: dict[int, tuple[Tensor, tuple[Tensor, ...]]] = {}

    def run_unit(back: int) -> None:
        found[back] = _run(cells[back], data, sizes, back=back)

    multiplications = sizes[0] * 4 * cells[0].hidden ** 2
    run_in_parallel(partial(run_unit, 0), partial(run_unit, 1), short=multiplications < WORTH_A_THREAD)
    return [found[0], found[1]]


def _run(cell: Cell, data: Tensor, sizes: list[int], *, back: int) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A unit's outputs (N, H), and the parts of the state that it ends with, (B, H) each."""
    steps = list(zip(torch.split(cell.inputs(data), sizes), sizes, strict=True))
    state = cell.begin(sizes[0])
    outputs = []
    for ahead, size in reversed(steps) if back else steps:
        running = tuple(each[:size] for each in state)
        cell.step(ahead, running)
        outputs.append(running[0][:, : cell.hidden].clone())
    return torch.cat(outputs[::-1] if back else outputs), tuple(each[:, : cell.hidden] for each in state)


class RowWise:
    """What makes `nn.LSTM` or `nn.GRU`, without gradients on a CPU, compute each sentence as if it were alone.

    It has no constructor: a module of PyTorch's is turned into one by its class.
    """

    @cached_property
    def _cells(self) -> ParameterCache[Layers]:
        return ParameterCache()

    def forward(self, input: Any, hx: Any = None) -> Any:
        """As PyTorch's."""
        assert isinstance(self, nn.LSTM | nn.GRU)
        frozen = isinstance(input, PackedSequence) and is_row_wise(input.data) and not self.training
        if not frozen or hx is not None or self.proj_size:
            return super().forward(input, hx)  # type: ignore[misc]
        outputs, state = run(self._cells.of(self.parameters(), lambda: cells_of(self)), input)
        return outputs, state if isinstance(self, nn.LSTM) else state[0]


class Gru(RowWise, nn.GRU):
    """`nn.GRU`; see `RowWise`."""


def cells_of(module: nn.LSTM | nn.GRU) -> Layers:
    """The units of PyTorch's module, layer by layer."""
    suffixes = ("", "_reverse") if module.bidirectional else ("",)
    return [[_cell_of(module, f"_l{layer}{suffix}") for suffix in suffixes] for layer in range(module.num_layers)]


def _cell_of(module: nn.LSTM | nn.GRU, name: str) -> Cell:
    of_input, of_state = (getattr(module, f"weight_{part}{name}") for part in ("ih", "hh"))
    input_bias, state_bias = (getattr(module, f"bias_{part}{name}", None) for part in ("ih", "hh"))
    if isinstance(module, nn.GRU):
        return GruCell(of_input, of_state, input_bias, state_bias)
    return LstmCell(of_input, of_state, None if input_bias is None else input_bias + state_bias)
