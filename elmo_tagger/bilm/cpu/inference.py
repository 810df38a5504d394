"""The biLM on a CPU while no gradients are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from elmo_tagger.bilm.cpu.char_cnn import FrozenCnn
from elmo_tagger.bilm.cpu.lstm import FrozenStack
from elmo_tagger.bilm.cpu.word_vector_cache import WordVectorCache
from elmo_tagger.bilm.lstm import ProjectedLstm, State
from elmo_tagger.bilm.parameter_cache import ParameterCache
from elmo_tagger.bilm.reference import Parts, Reference


class CpuInference(Reference):
    """Weights packed as this processor multiplies them fastest; words that were met before are not embedded again."""

    name = "cpu"

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._cnn: ParameterCache[FrozenCnn] = ParameterCache()
        self._stack: ParameterCache[FrozenStack] = ParameterCache()
        self._word_vectors: ParameterCache[WordVectorCache] = ParameterCache()

    @staticmethod
    def suits(device: torch.device, *, gradients: bool) -> bool:
        """On a CPU, without gradients. Autocast is for the reference, whose operations it knows."""
        return device.type == "cpu" and not gradients and not torch.is_autocast_enabled("cpu")

    def embed_words(self, character_ids: Tensor, *, max_words: int | None) -> Tensor:
        """See `Reference.embed_words`."""
        cnn, capacity = self.parts.char_cnn, self.parts.stored_words

        def embed(ids: Tensor) -> Tensor:
            stages = self._cnn.of(cnn.parameters(), lambda: FrozenCnn(cnn, precision=self.parts.precision))
            vectors: Tensor = cnn(ids, max_words=max_words, stages=stages)
            return vectors

        if not capacity:
            return embed(character_ids)
        cnn.check(character_ids)
        cache = self._word_vectors.of(cnn.parameters(), lambda: WordVectorCache(capacity))
        return cache.look_up(character_ids, embed)

    def run_layers(
        self,
        vectors: Tensor,
        words: Tensor,
        states: list[State] | None,
        *,
        depths: Sequence[int],
        max_words: int | None,
        lengths: Sequence[int] | None = None,
    ) -> dict[int, Tensor]:
        """See `Reference.run_layers`."""
        lstm = self.parts.lstm
        layers = cast("list[ProjectedLstm]", list(lstm.layers))
        stack = self._stack.of(lstm.parameters(), lambda: FrozenStack(layers, precision=self.parts.precision))
        outputs = {depth: vectors.new_zeros(words.numel(), 2, vectors.shape[1]) for depth in depths}
        rows = words.flatten()
        for packing, own in lstm.packings(words, states, depths=depths, like=vectors, max_sentences=max_words):
            stack.run(packing, vectors, rows, own, outputs, max_words)
        return {depth: output.view(*words.shape, 2 * vectors.shape[1]) for depth, output in outputs.items()}
