"""The LSTM layers of a biLM over a padded batch: packing, skip connections, carried state."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from elmo_tagger.bilm.cpu.lstm import FrozenStack
from elmo_tagger.bilm.cuda.stack import RecordedStack
from elmo_tagger.bilm.dispatch import is_frozen, is_recorded, records_gradients
from elmo_tagger.bilm.lstm import ProjectedLstm, State, initial_state
from elmo_tagger.bilm.options import LstmOptions
from elmo_tagger.bilm.packing import NO_WORD, Packing, pack
from elmo_tagger.bilm.parameter_cache import ParameterCache
from elmo_tagger.bilm.precision import PRECISIONS, product_dtype


class LstmStack(nn.Module):
    """The layers of both directions.

    A stretch of words goes through all layers before the next stretch begins: within a direction, layer l at a word
    needs nothing but layer l - 1 at the words up to it. So only outputs and states are held for longer than a stretch.

    Args:
        options: Shape of the layers.
        stateful: Begin each call with the state that the call before left in the same lane of the batch.
        precision: Of products while no gradients are recorded.
    """

    def __init__(self, options: LstmOptions, *, stateful: bool = False, precision: str = PRECISIONS[0]) -> None:
        super().__init__()
        self.options = options
        self.stateful = stateful
        self.layers = nn.ModuleList(ProjectedLstm(options) for _ in range(options.n_layers))
        self.precision = precision
        self._carried: list[State] | None = None
        self._frozen: ParameterCache[FrozenStack] = ParameterCache()
        self._recorded: ParameterCache[RecordedStack] = ParameterCache()
        self._rounded: ParameterCache[nn.ModuleList] = ParameterCache()

    def forward(
        self,
        vectors: Tensor,
        words: Tensor,
        *,
        depths: list[int],
        max_words: int | None = None,
        lengths: Sequence[int] | None = None,
    ) -> dict[int, Tensor]:
        """Run the layers.

        Args:
            vectors: (W, P), character-CNN vectors of words.
            words: (B, T) int64, rows of `vectors`, `NO_WORD` where there is none.
            depths: The layers wanted, counted from 1, ascending; none deeper is computed unless stateful.
            max_words: Bound on the words of a stretch.
            lengths: Words of each sentence, if they are known without asking the device.

        Returns:
            For each layer wanted (B, T, 2P), forward then backward, 0 where there is no word.
        """
        if is_recorded(self, vectors) and (depths or self.stateful):
            return self._play(vectors, words, depths, max_words, lengths)
        width = vectors.shape[1]
        outputs = {depth: vectors.new_zeros(words.numel(), 2, width) for depth in depths}
        # a state must not depend on which layers were asked for
        deepest = len(self.layers) if self.stateful else max(depths, default=0)
        if deepest:
            carried = self._lanes(len(words), like=vectors) if self.stateful else None
            run = self._fast().run if is_frozen(self, vectors) else self._run
            for packing in pack(words, max_sentences=max_words):
                lanes = packing.sentences
                if carried is None:
                    states = [initial_state(self.options, len(lanes), like=vectors) for _ in range(deepest)]
                else:
                    states = [(output[:, lanes], cell[:, lanes]) for output, cell in carried]
                run(packing, vectors, words.flatten(), states, outputs, max_words)
                for (output, cell), (own_output, own_cell) in zip(carried or [], states, strict=False):
                    output[:, lanes], cell[:, lanes] = own_output.detach().to(output.dtype), own_cell.detach()
            if carried is not None:
                self._carry(carried)
        return {depth: output.view(*words.shape, 2 * width) for depth, output in outputs.items()}

    def reset(self) -> None:
        """Forget the carried state."""
        self._carried = None

    def _apply(self, *arguments: Any, **options: Any) -> LstmStack:
        self._recorded = ParameterCache()  # buffers and graphs of a device that the layers may be leaving
        super()._apply(*arguments, **options)  # type: ignore[no-untyped-call]
        return self

    def _play(
        self, vectors: Tensor, words: Tensor, depths: list[int], max_words: int | None, lengths: Sequence[int] | None
    ) -> dict[int, Tensor]:
        """What `forward` computes, by the path for CUDA."""
        layers = cast("list[ProjectedLstm]", list(self.layers))
        dtype = product_dtype(self.precision, layers[0].B.dtype)
        stack = self._recorded.of(self.parameters(), lambda: RecordedStack(layers, dtype=dtype))
        known: Sequence[int] = (words != NO_WORD).sum(dim=1).tolist() if lengths is None else lengths
        states = self._lanes(len(words), like=vectors) if self.stateful else None
        outputs = stack.run(vectors, words, known, states, depths=depths, max_words=max_words)
        if states is not None:
            self._carry(states)
        return {depth: output.view(*words.shape, -1) for depth, output in outputs.items()}

    def _fast(self) -> FrozenStack:
        layers = cast("list[ProjectedLstm]", list(self.layers))
        dtype = product_dtype(self.precision, layers[0].B.dtype)
        return self._frozen.of(self.parameters(), lambda: FrozenStack(layers, dtype=dtype))

    def _layers(self, vectors: Tensor) -> nn.ModuleList:
        """The layers that compute: a copy in another type, or those that there are."""
        dtype = product_dtype(self.precision, vectors.dtype)
        if dtype == vectors.dtype or records_gradients(self, vectors):
            return self.layers
        return self._rounded.of(self.parameters(), lambda: copy.deepcopy(self.layers).to(dtype))

    def _run(
        self,
        packing: Packing,
        vectors: Tensor,
        words: Tensor,
        states: list[State],
        outputs: dict[int, Tensor],
        max_words: int | None,
    ) -> None:
        """Run one packing through the first `len(states)` layers; see `FrozenStack.run`."""
        layers = self._layers(vectors)
        for sizes, places in packing.stretches(max_words):
            values = vectors[words[places]]  # (2, N, P)
            for depth, (layer, state) in enumerate(zip(layers, states, strict=False), start=1):
                below = values
                values, states[depth - 1] = layer(below, sizes, state)
                values = values.to(below.dtype)
                if depth > 1 and self.options.use_skip_connections:
                    values = values + below
                if depth in outputs:
                    for direction in (0, 1):
                        outputs[depth][places[direction], direction] = values[direction]

    def _lanes(self, sentences: int, *, like: Tensor) -> list[State]:
        """State before a call, one lane a sentence; lanes that no call has used yet are 0."""
        fresh = [initial_state(self.options, sentences, like=like) for _ in self.layers]
        for new, old in zip(fresh, self._carried or [], strict=False):
            for new_part, old_part in zip(new, old, strict=True):
                shared = min(sentences, old_part.shape[1])
                new_part[:, :shared] = old_part[:, :shared]
        return fresh

    def _carry(self, states: list[State]) -> None:
        """Keep the lanes' states; lanes beyond a smaller batch stay as they were (AllenNLP, _EncoderBase)."""
        if self._carried is not None:
            sentences = states[0][0].shape[1]
            states = [
                (torch.cat([output, old_output[:, sentences:]], 1), torch.cat([cell, old_cell[:, sentences:]], 1))
                for (output, cell), (old_output, old_cell) in zip(states, self._carried, strict=True)
            ]
        self._carried = states
