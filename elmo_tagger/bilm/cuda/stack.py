"""The LSTM layers on a CUDA GPU: all layers over a chunk of fixed shape are one recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from elmo_tagger.bilm.cuda.graph_cache import CudaGraphs, GraphCache, Unrecorded
from elmo_tagger.bilm.cuda.indices import Grid, of_chunk
from elmo_tagger.bilm.cuda.ops import StepOps, best_ops
from elmo_tagger.bilm.cuda.schedule import WORDS, bucket, chunks, most_rows
from elmo_tagger.bilm.lstm import ProjectedLstm, State
from elmo_tagger.bilm.precision import float32_products

RECORDINGS = 64
"""Recorded chunk shapes at most; a graph is a list of launches and a share of memory common to all."""


@dataclass(frozen=True)
class _Weights:
    """Of one layer, both directions: factors of products in their type, the bias in that of the cells."""

    from_input: Tensor  # (2, P, 4H)
    from_output: Tensor  # (2, P, 4H)
    bias: Tensor  # (2, 4H)
    projection: Tensor  # (2, H, P)

    @classmethod
    def of(cls, layer: ProjectedLstm, precision: str, dtype: torch.dtype) -> _Weights:
        width = layer.options.projection_dim
        # no copy where the type is the same
        weight, projection = (layer.rounded(name, precision).in_type(dtype) for name in ("W_0", "W_P_0"))
        bias = layer.gate_bias().detach().squeeze(1)
        return cls(weight[:, :width], weight[:, width:], bias, projection)


class _Buffers:
    """What recordings read and write, at indices that never change."""

    def __init__(self, layers: Sequence[ProjectedLstm], *, dtype: torch.dtype, rows: int) -> None:
        bias, options = layers[0].B, layers[0].options
        width, words = options.projection_dim, max(WORDS, rows)
        self.left = torch.zeros(rows, dtype=torch.int32, device=bias.device)
        """Steps that the sentence of each row has left."""
        self.inputs = bias.new_empty(2 * words, width, dtype=dtype)
        self.outputs = [bias.new_empty(2 * words, width) for _ in layers]
        self.states: list[State] = [
            (bias.new_zeros(2, rows, width, dtype=dtype), bias.new_zeros(2, rows, options.dim)) for _ in layers
        ]


class RecordedStack:
    """The layers of both directions.

    Args:
        layers: The layers, in order.
        precision: One of `PRECISIONS` but `auto`.
        dtype: Of the products' factors; all else has the biases' type.
        rows: Sentences that are computed side by side at most, one of `BUCKETS`.
        recordings: Chunk shapes that are recorded at most.
        ops: The small operations of a step; by default the fastest that work on the layers' device.
    """

    def __init__(
        self,
        layers: Sequence[ProjectedLstm],
        *,
        dtype: torch.dtype,
        precision: str = "float32",
        rows: int = most_rows(None),
        recordings: int = RECORDINGS,
        ops: StepOps | None = None,
    ) -> None:
        self.options = layers[0].options
        self.rows = rows
        device = layers[0].B.device
        self.graphs = GraphCache(CudaGraphs(device) if device.type == "cuda" else Unrecorded(), capacity=recordings)
        self._dtype = dtype
        self._weights = [_Weights.of(layer, precision, dtype) for layer in layers]
        self._buffers = _Buffers(layers, dtype=dtype, rows=rows)
        self._ops = ops or best_ops(device, layers[0].B.dtype)

    @torch.no_grad()
    def run(
        self,
        vectors: Tensor,
        words: Tensor,
        lengths: Sequence[int],
        states: list[State] | None,
        *,
        depths: Sequence[int],
        max_words: int | None,
    ) -> dict[int, Tensor]:
        """Run the layers; does not wait for the device.

        Args:
            vectors: (W, P), character-CNN vectors of words.
            words: (B, T) int64, rows of `vectors`, `NO_WORD` where there is none.
            lengths: Words of each sentence, known beforehand.
            states: For each layer that is to run the state of all B sentences, overwritten. None for zeros that nobody
                needs afterwards; then as many layers run as `depths` asks for.
            depths: The layers wanted, counted from 1.
            max_words: Bound on the words whose gates are held at once.

        Returns:
            For each layer wanted (B * T, 2, P), 0 where there is no word.
        """
        # one place more than the words, for what is computed where a sentence has ended
        outputs = {depth: vectors.new_zeros(2 * words.numel() + 2, vectors.shape[1]) for depth in depths}
        layers = len(states) if states is not None else max(depths, default=0)
        ordered = sorted((length for length in lengths if length), reverse=True)
        if ordered and layers:
            grid, narrow = Grid.of(words), vectors.to(self._dtype)
            most = min(self.rows, most_rows(max_words))
            with self.graphs.exclusive():
                for first in range(0, len(ordered), most):
                    group = slice(first, first + most)
                    sentences = grid.order[group][: len(ordered) - first]
                    self._load_states(grid, sentences, states)
                    self._run(grid, sentences, ordered[group], narrow, outputs, layers, max_words)
                    self._store_states(sentences, states)
        return {depth: values[:-2].view(words.numel(), 2, -1) for depth, values in outputs.items()}

    def _load_states(self, grid: Grid, sentences: Tensor, states: list[State] | None) -> None:
        """Put the sentences' states, and how long they are, where recordings read them."""
        rows = len(sentences)
        self._buffers.left.zero_()
        self._buffers.left[:rows].copy_(grid.lengths[sentences])
        for depth, (output, cell) in enumerate(self._buffers.states):
            if states is None:
                output.zero_()
                cell.zero_()
            elif depth < len(states):
                output[:, :rows].copy_(states[depth][0][:, sentences])
                cell[:, :rows].copy_(states[depth][1][:, sentences])

    def _store_states(self, sentences: Tensor, states: list[State] | None) -> None:
        rows = len(sentences)
        for (output, cell), (own_output, own_cell) in zip(states or [], self._buffers.states, strict=False):
            output[:, sentences], cell[:, sentences] = own_output[:, :rows].to(output.dtype), own_cell[:, :rows]

    def _run(
        self,
        grid: Grid,
        sentences: Tensor,
        lengths: list[int],
        vectors: Tensor,
        outputs: dict[int, Tensor],
        layers: int,
        max_words: int | None,
    ) -> None:
        """Run one group of sentences."""
        indices = grid.indices(sentences, lengths[0], bucket(len(lengths)))
        rows = grid.words[indices]
        targets = 2 * indices
        targets[1] += 1
        for chunk in chunks(lengths, max_words):
            size = 2 * chunk.steps * chunk.rows
            torch.index_select(vectors, 0, of_chunk(rows, chunk), out=self._buffers.inputs[:size])
            shape = layers, chunk.steps, chunk.rows
            # a recording keeps the kind of product that was set when it was made
            self.graphs.play((*shape, float32_products()), partial(self._compute, *shape))
            chunk_targets = of_chunk(targets, chunk)
            for depth, values in outputs.items():
                values.index_copy_(0, chunk_targets, self._buffers.outputs[depth - 1][:size])

    def _compute(self, layers: int, steps: int, rows: int) -> None:
        """A chunk, from `_Buffers.inputs` to `_Buffers.outputs`; recordable: no size depends on what tensors hold."""
        shape = 2, steps * rows
        size = shape[0] * shape[1]
        left = self._buffers.left[:rows]
        below = self._buffers.inputs[:size]
        for depth in range(layers):
            values = self._layer(depth, below.view(*shape, -1), left, steps, rows).view(size, -1)
            into = self._buffers.outputs[depth][:size]
            if depth and self.options.use_skip_connections:
                torch.add(values, below, out=into)
            else:
                into.copy_(values)
            below = into
        left.sub_(steps)

    def _layer(self, depth: int, inputs: Tensor, left: Tensor, steps: int, rows: int) -> Tensor:
        """Outputs (2, steps, rows, P) for inputs (2, steps * rows, P), without skip connection."""
        weights, options = self._weights[depth], self.options
        output, cell = (part[:, :rows] for part in self._buffers.states[depth])
        gates = torch.bmm(inputs.to(self._dtype), weights.from_input).view(2, steps, rows, -1)
        outputs = gates.new_empty(2, steps, rows, output.shape[2])
        for step in range(steps):
            own = gates[:, step].baddbmm_(output, weights.from_output)
            hidden = self._ops.update_cells(own, weights.bias, cell, left, step, options.cell_clip)
            projected = outputs[:, step]
            torch.bmm(hidden, weights.projection, out=projected)
            self._ops.update_outputs(projected, output, left, step, options.proj_clip)
        return outputs
