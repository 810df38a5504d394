"""The biLM on a CUDA GPU while no gradients are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from elmo_tagger.bilm.cuda.deduplicate import deduplicate_words
from elmo_tagger.bilm.cuda.stack import RecordedStack
from elmo_tagger.bilm.lstm import ProjectedLstm, State
from elmo_tagger.bilm.packing import NO_WORD
from elmo_tagger.bilm.parameter_cache import ParameterCache
from elmo_tagger.bilm.precision import product_dtype
from elmo_tagger.bilm.reference import BOUNDARIES, Parts, Reference, WordTable


class CudaInference(Reference):
    """One wait a batch, and the LSTM's steps recorded as CUDA graphs."""

    name = "cuda"

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._stack: ParameterCache[RecordedStack] = ParameterCache()

    @staticmethod
    def suits(device: torch.device, *, gradients: bool) -> bool:
        """On CUDA (not ROCm, which also says "cuda"), without gradients and autocast."""
        nvidia = device.type == "cuda" and not torch.version.hip
        return nvidia and not gradients and not torch.is_autocast_enabled("cuda")

    def embed_batch(
        self, character_ids: Tensor, present: Tensor, boundary_ids: Tensor, *, max_words: int | None
    ) -> WordTable:
        """See `Reference.embed_batch`; asks the device once."""
        cnn = self.parts.char_cnn
        found = deduplicate_words(cnn, boundary_ids, character_ids, present)
        with self._tf32(cnn, cnn.char_embed):
            vectors = cnn.embed_sorted(found.ids, found.characters, max_words=max_words, stages=self._stages())
        table = torch.cat([vectors[found.indices[:BOUNDARIES]], vectors])
        words = found.indices[BOUNDARIES:].view_as(present) + BOUNDARIES
        return WordTable(table, torch.where(present, words, NO_WORD), found.lengths)

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
        """See `Reference.run_layers`; asks the device for `lengths` if they are not known."""
        if not depths and states is None:
            return {}
        lstm = self.parts.lstm
        layers = cast("list[ProjectedLstm]", list(lstm.layers))
        precision = self.parts.precision
        dtype = product_dtype(precision, layers[0].B.dtype, self._device())
        stack = self._stack.of(lstm.parameters(), lambda: RecordedStack(layers, precision=precision, dtype=dtype))
        known: Sequence[int] = (words != NO_WORD).sum(dim=1).tolist() if lengths is None else lengths
        with self._tf32(lstm, vectors):
            outputs = stack.run(vectors, words, known, states, depths=depths, max_words=max_words)
        return {depth: output.view(*words.shape, 2 * vectors.shape[1]) for depth, output in outputs.items()}

    def _device(self) -> str:
        return "cuda"  # also where tests run this on a CPU
