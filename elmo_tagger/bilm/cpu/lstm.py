"""The LSTM layers of weights that stay as they are, on a CPU: what `ProjectedLstm` computes, several times faster.

Nothing is kept for gradients, so steps work in place; each weight lies as its products are fastest (see
`PrepackedLinear`); what a word adds to the gates of the first layer is computed once for each distinct word. The two
directions run at the same time; each goes through the layers on its own, so that one weight after the other stays in
its core's cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from elmo_tagger.bilm.cpu.prepacked_linear import PrepackedLinear
from elmo_tagger.bilm.cpu.threads import WORTH_A_THREAD, run_in_parallel
from elmo_tagger.bilm.lstm import ProjectedLstm, State
from elmo_tagger.bilm.packing import Packing
from elmo_tagger.bilm.precision import product_dtype

DirectionState = tuple[Tensor, Tensor]
"""Output (R, P) and cell (R, H) of R sentences after a step, of one direction."""

# Values that the gates ahead of the loop may hold: more would fall out of the processor's cache before they are used.
_VALUES_AHEAD = 2**22
# Cells are held times this factor during the steps, whose calls are as long as their arithmetic: with few sentences the
# next weight has just driven all else out of the cache. It spares two calls a step, and a power of two rounds nothing.
_CELL = -2.0
# Values that the table of distinct words' gates may hold (256 MiB in float32).
_VALUES_OF_TABLE = 2**26


class FrozenLstm:
    """One layer in one direction.

    `gates` gives what inputs (N, P) add to the gates, (N, 4H), bias included; twice that for the candidate.

    Args:
        layer: The layer with both directions.
        direction: 0 forward, 1 backward.
        precision: One of `PRECISIONS` but `auto`; cells have the parameters' type.
    """

    def __init__(self, layer: ProjectedLstm, direction: int, *, precision: str) -> None:
        self.options = layer.options
        self.direction = direction
        width = self.options.projection_dim
        # tanh(x) = 2 sigmoid(2 x) - 1, which PyTorch computes five times faster on a CPU; doubling rounds nothing
        scale = torch.ones_like(layer.B[direction])
        scale[self.options.dim : 2 * self.options.dim] = 2.0
        dtype = product_dtype(precision, scale.dtype, "cpu")
        weight = layer.rounded("W_0", precision, direction=direction)
        bias = layer.gate_bias()[direction, 0]
        self.gates = PrepackedLinear(weight.rows(None, width), bias, dtype=dtype, scale=scale)
        self._from_output = PrepackedLinear(weight.rows(width, None), dtype=dtype, scale=scale)
        self._project = PrepackedLinear(layer.rounded("W_P_0", precision, direction=direction), dtype=dtype)

    def run(self, ahead: Iterable[Tensor], sizes: list[int], state: DirectionState, outputs: Tensor) -> DirectionState:
        """Run some steps.

        Args:
            ahead: For each step what its inputs add to the gates, (R, 4H); overwritten.
            sizes: Sentences of each step, never increasing; their sum is N.
            state: Before the first step, of at least as many sentences.
            outputs: (N, P), to fill step by step.

        Returns:
            The state afterwards; a sentence that ended keeps that of its last step.
        """
        output, last_output, rows = state[0], state[0].clone(), len(state[0])
        every = cell = state[1].mul(_CELL)
        for addend, size, place in zip(ahead, sizes, torch.split(outputs, sizes), strict=True):
            if size < rows:
                last_output[size:rows] = output[size:]
                output, cell, rows = output[:size], cell[:size], size
            output = self._step(self._from_output(output, addend), cell, place)
        last_output[:rows] = output
        return last_output, every.div_(_CELL)

    def _step(self, gates: Tensor, cell: Tensor, output: Tensor) -> Tensor:
        # gates: (R, 4H), cell: (R, H) times _CELL, both overwritten; output: (R, P), filled and returned
        input_gate, candidate, forget_gate, output_gate = gates.sigmoid_().chunk(4, dim=1)
        # a cell is cell * forget_gate + input_gate * tanh
        cell.mul_(forget_gate).addcmul_(input_gate, candidate, value=2 * _CELL).add_(input_gate, alpha=-_CELL)
        if self.options.cell_clip is not None:
            bound = abs(_CELL) * self.options.cell_clip
            cell.clamp_(-bound, bound)
        # output_gate * tanh(cell), since tanh(x) = 1 - 2 sigmoid(-2 x)
        projected = self._project(torch.addcmul(output_gate, output_gate, cell.sigmoid(), value=-2.0))
        if self.options.proj_clip is None:
            return output.copy_(projected)
        bound = self.options.proj_clip
        return torch.clamp(projected, -bound, bound, out=output)


class FrozenStack:
    """The layers of both directions.

    Args:
        layers: The layers, in order.
        precision: As in `FrozenLstm`.
    """

    def __init__(self, layers: Sequence[ProjectedLstm], *, precision: str) -> None:
        self.options = layers[0].options
        self._directions = [
            [FrozenLstm(layer, direction, precision=precision) for layer in layers] for direction in (0, 1)
        ]

    def run(
        self,
        packing: Packing,
        vectors: Tensor,
        words: Tensor,
        states: list[State],
        outputs: dict[int, Tensor],
        max_words: int | None,
    ) -> None:
        """Run one packing through the first `len(states)` layers.

        Args:
            packing: The sentences.
            vectors: (W, P), character-CNN vectors of words.
            words: (B * T,) int64, rows of `vectors`.
            states: For each layer the state of the packing's R sentences; becomes that afterwards.
            outputs: For some layers, counted from 1, (B * T, 2, P); the packing's indices are overwritten.
            max_words: Bound on the words whose gates are held at once.
        """
        one, other = (
            partial(self._run_direction, direction, packing, vectors, words, states, outputs, max_words)
            for direction in (0, 1)
        )
        multiplications = packing.sizes[0] * self.options.projection_dim * 4 * self.options.dim
        run_in_parallel(one, other, short=multiplications < WORTH_A_THREAD)

    def _run_direction(
        self,
        direction: int,
        packing: Packing,
        vectors: Tensor,
        words: Tensor,
        states: list[State],
        outputs: dict[int, Tensor],
        max_words: int | None,
    ) -> None:
        """`run` for one direction, which writes nothing that belongs to the other."""
        indices = packing.indices[direction]
        below = vectors
        layers = self._directions[direction]
        for depth, (layer, (output, cell)) in enumerate(zip(layers, states, strict=False), start=1):
            rows = words[indices] if depth == 1 else None
            values = vectors.new_empty(len(indices), vectors.shape[1])
            state = output[direction], cell[direction]
            output[direction], cell[direction] = self._run_layer(layer, packing, below, rows, state, values, max_words)
            if depth > 1 and self.options.use_skip_connections:
                values.add_(below)
            if depth in outputs:
                outputs[depth][indices, direction] = values
            below = values

    def _run_layer(
        self,
        layer: FrozenLstm,
        packing: Packing,
        below: Tensor,
        rows: Tensor | None,
        state: DirectionState,
        values: Tensor,
        max_words: int | None,
    ) -> DirectionState:
        """Run a layer; fills `values` (N, P). Its input is `below` (N, P), or `below[rows]`."""
        values_ahead = _VALUES_AHEAD if rows is None else _VALUES_OF_TABLE
        size = max(1, values_ahead // (4 * self.options.dim))
        place = 0
        for sizes, columns in packing.chunks(min(size, max_words or size)):
            chunk = slice(place, place + columns.shape[1])
            if rows is None:
                ahead: Iterable[Tensor] = torch.split(layer.gates.multiply(below[chunk]), sizes)
            else:
                ahead = _of_distinct(layer, below, rows[chunk], sizes)
            state = layer.run(ahead, sizes, state, values[chunk])
            place = chunk.stop
        return state


def _of_distinct(layer: FrozenLstm, vectors: Tensor, rows: Tensor, sizes: list[int]) -> Iterator[Tensor]:
    """What words (rows of `vectors`) add to the gates, step by step; computed once for each distinct one."""
    distinct, indices = torch.unique(rows, return_inverse=True)
    table = layer.gates.multiply(vectors[distinct])
    # a step at a time: the rows of all steps would drive the weights out of the processor's cache
    for step in indices.split(sizes):
        yield table.index_select(0, step)
