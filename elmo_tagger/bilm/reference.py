"""The reference as an implementation: what computes a biLM when nothing faster applies, and what faster ones override.

An implementation has four methods. A faster one is a subclass that overrides those that it computes faster, says in
`suits` where it applies, and is entered in `dispatch.FAST_PATHS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from elmo_tagger.bilm.char_cnn import CharacterCnn
from elmo_tagger.bilm.distinct import distinct_rows
from elmo_tagger.bilm.factors import keeps_rounded, rounded_copy
from elmo_tagger.bilm.lstm import ProjectedLstm, State
from elmo_tagger.bilm.packing import NO_WORD
from elmo_tagger.bilm.parameter_cache import ParameterCache
from elmo_tagger.bilm.precision import product_dtype, tf32, weight_dtype
from elmo_tagger.bilm.stack import LstmStack

M = TypeVar("M", bound=nn.Module)

BEGIN, END, BOUNDARIES = 0, 1, 2
"""In a table of word vectors: the rows of begin and end of sentence, and where the words begin."""


@dataclass
class Parts:
    """What an implementation computes with.

    Attributes:
        char_cnn: The character CNN.
        lstm: The LSTM layers.
        precision: One of `PRECISIONS`; not `auto` by the time that something is computed.
        stored_words: See `Bilm`.
    """

    char_cnn: CharacterCnn
    lstm: LstmStack
    precision: str
    stored_words: int


@dataclass(frozen=True)
class WordTable:
    """The words of a batch, each distinct one embedded once.

    Attributes:
        vectors: (W, P), the boundaries' at `BEGIN` and `END`.
        words: (B, T) int64, rows of `vectors`, `NO_WORD` where there is none.
        lengths: Words of each sentence, if they are known on the host.
    """

    vectors: Tensor
    words: Tensor
    lengths: Sequence[int] | None = None


class Reference:
    """Operations that autograd knows, on any device, in any type of number.

    Args:
        parts: What to compute with.
    """

    name = "reference"

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._rounded_cnn: ParameterCache[CharacterCnn] = ParameterCache()
        self._rounded_lstm: ParameterCache[LstmStack] = ParameterCache()

    @staticmethod
    def suits(device: torch.device, *, gradients: bool) -> bool:
        """Whether it can compute there, with or without gradients."""
        return True

    def embed_batch(
        self, character_ids: Tensor, present: Tensor, boundary_ids: Tensor, *, max_words: int | None
    ) -> WordTable:
        """Embed the distinct words of a batch.

        Args:
            character_ids: (B, T, C).
            present: (B, T) bool, true where there is a word.
            boundary_ids: (2, C), begin and end of sentence.
            max_words: Bound on the words of one pass.
        """
        distinct, indices = distinct_rows(character_ids[present])
        vectors = self.embed_words(torch.cat([boundary_ids.to(distinct), distinct]), max_words=max_words)
        words = torch.full_like(present, NO_WORD, dtype=torch.int64)
        words[present] = indices + BOUNDARIES
        return WordTable(vectors, words)

    def embed_words(self, character_ids: Tensor, *, max_words: int | None) -> Tensor:
        """Character-CNN vectors (W, P) of words (W, C).

        Raises:
            ValueError: The ids have another C than the options, or an id is out of range.
        """
        cnn = self.parts.char_cnn
        with self._tf32(cnn, cnn.char_embed):
            vectors: Tensor = cnn(character_ids, max_words=max_words, stages=self._stages())
        return vectors

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
        """Run the LSTM layers over a batch.

        Args:
            vectors: (W, P), character-CNN vectors of words.
            words: (B, T) int64, rows of `vectors`, `NO_WORD` where there is none.
            states: For each layer the state of all B sentences, overwritten by that afterwards; all layers run then.
                None for zeros that nobody needs afterwards; then no layer deeper than `depths` runs.
            depths: The layers wanted, counted from 1.
            max_words: Bound on the words whose gates are held at once.
            lengths: Words of each sentence, if they are known on the host.

        Returns:
            For each layer wanted (B, T, 2P), forward then backward, 0 where there is no word.
        """
        with self._tf32(self.parts.lstm, vectors):
            outputs: dict[int, Tensor] = self._lstm(vectors)(
                vectors, words, states, depths=depths, max_words=max_words, run_layer=self.run_layer
            )
        return outputs

    def run_layer(self, layer: ProjectedLstm, inputs: Tensor, sizes: list[int], state: State) -> tuple[Tensor, State]:
        """Run one layer over a chunk of steps; arguments and results are those of `ProjectedLstm.forward`."""
        result: tuple[Tensor, State] = layer(inputs, sizes, state)
        return result

    def _stages(self) -> CharacterCnn:
        """The character CNN, or its copy in the type of number in which products are wanted."""
        cnn = self.parts.char_cnn
        return self._rounded(cnn, self._rounded_cnn, inputs=cnn.char_embed, parameters=cnn.b_proj.dtype)

    def _lstm(self, vectors: Tensor) -> LstmStack:
        """The LSTM layers, or their copies in the type of number in which products are wanted."""
        return self._rounded(self.parts.lstm, self._rounded_lstm, inputs=vectors, parameters=vectors.dtype)

    def _rounded(self, module: M, cache: ParameterCache[M], *, inputs: Tensor, parameters: torch.dtype) -> M:
        precision = self.parts.precision
        dtype = product_dtype(precision, parameters, self._device())
        whole = dtype == weight_dtype(precision, "", parameters) == parameters
        if (whole or records_gradients(module, inputs)) and not keeps_rounded(module):
            return module
        return cache.of(module.parameters(), lambda: rounded_copy(module, precision, dtype))

    def _device(self) -> str:
        """The type of the device for which products are computed."""
        return self.parts.char_cnn.char_embed.device.type

    def _tf32(self, module: nn.Module, inputs: Tensor) -> AbstractContextManager[None]:
        return tf32(self.parts.precision == "tf32" and not records_gradients(module, inputs))


def records_gradients(module: nn.Module, inputs: Tensor) -> bool:
    """Whether what a module makes of inputs will have gradients."""
    if not torch.is_grad_enabled():
        return False
    return inputs.requires_grad or any(parameter.requires_grad for parameter in module.parameters())
