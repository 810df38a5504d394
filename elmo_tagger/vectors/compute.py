"""From a window's sentences to one array a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from elmo_tagger.bilm.characters import encode_words
from elmo_tagger.bilm.device import to_device
from elmo_tagger.bilm.mixing import ScalarMix
from elmo_tagger.bilm.model import Bilm
from elmo_tagger.bilm.pooling import POOLINGS, pool, pooled_dim
from elmo_tagger.bilm.selection import LayerSelection
from elmo_tagger.vectors.windows import length_batches

DTYPES = ("float32", "float16")
Array = npt.NDArray[np.floating[Any]]


def chosen_device(name: str | None) -> torch.device:
    """The device of a name, or a GPU if there is one and none is named.

    Raises:
        ValueError: There is no such device.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # what torch raises for a wrong name, or where CUDA is missing
        raise ValueError(f"device {name!r}: not available here: {str(error).splitlines()[0]}") from error
    return device


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is wanted of each sentence.

    Attributes:
        layers: See `LayerSelection`.
        pooling: One of `POOLINGS`, or None for a vector a word.
        dtype: Of the arrays, `float32` or `float16`.
        batch_tokens: Words that are computed at once, padding included.
    """

    layers: str = "all"
    pooling: str | None = None
    dtype: str = "float32"
    batch_tokens: int = 4096

    def __post_init__(self) -> None:
        for name, allowed in (("pooling", (None, *POOLINGS)), ("dtype", DTYPES)):
            value = getattr(self, name)
            if value not in allowed:
                choices = ", ".join(choice for choice in allowed if choice)
                raise ValueError(f"{name}: expected one of {choices}, received {value!r}")
        if self.batch_tokens < 1:
            raise ValueError(f"batch_tokens: expected a positive number, received {self.batch_tokens}")


class SentenceVectors:
    """Computes arrays for lists of sentences.

    The numbers depend on the list alone, to the last bit: each word of it passes the character CNN once, and nothing is
    kept from list to list.

    Args:
        bilm: A stateless biLM; bounded to the batch size in place.
        request: What is wanted.
        mix: Of the layers, instead of what `request.layers` says.
        device: Where to compute.
    """

    def __init__(
        self, bilm: Bilm, request: Request, *, mix: ScalarMix | None = None, device: str | torch.device = "cpu"
    ) -> None:
        self.request = request
        self.device = torch.device(device)
        self._selection = LayerSelection(request.layers, num_layers=bilm.num_layers, width=bilm.output_dim, mix=mix)
        if mix is not None:
            mix.to(self.device)
        bilm.max_tokens_per_pass = request.batch_tokens  # a sentence may be longer than a batch
        bilm.stored_words = 0
        self._bilm = bilm.to(self.device).requires_grad_(False).eval()
        self._boundaries = bilm.embed_boundaries()

    @property
    def bilm(self) -> Bilm:
        """The biLM."""
        return self._bilm

    def shape(self, words: int) -> tuple[int, ...]:
        """Of the array of a sentence: ([L,] T, D), or ([L,] D) pooled."""
        own = (pooled_dim(self._selection.dim, self.request.pooling),)
        return (*self._selection.leading, *(own if self.request.pooling else (words, *own)))

    @torch.inference_mode()
    def __call__(self, sentences: Sequence[Sequence[str]]) -> list[Array]:
        """The arrays of sentences, in their order; those of equal sentences are one and the same.

        Raises:
            ValueError: A value is too large for `dtype`.
        """
        distinct: dict[tuple[str, ...], Array | None] = {tuple(sentence): None for sentence in sentences}
        keys = list(distinct)
        rows = {word: row for row, word in enumerate(dict.fromkeys(word for key in keys for word in key))}
        vectors = self._embed_words(list(rows))
        for batch in length_batches([len(key) for key in keys], max_tokens=self.request.batch_tokens):
            chosen = [keys[place] for place in batch]
            distinct.update(zip(chosen, self._batch(chosen, rows, vectors), strict=True))
        arrays = (distinct[tuple(sentence)] for sentence in sentences)
        return [array for array in arrays if array is not None]

    def _embed_words(self, words: list[str]) -> Tensor:
        ids = encode_words(words, max_characters=self._bilm.options.char_cnn.max_characters_per_token)
        return self._bilm.embed_words(to_device(torch.from_numpy(ids), self.device))

    def _batch(self, sentences: list[tuple[str, ...]], rows: dict[str, int], vectors: Tensor) -> list[Array]:
        # rows: of each word in vectors (W, P)
        longest = len(sentences[0])
        if longest == 0:
            return [np.zeros(self.shape(0), dtype=self.request.dtype)] * len(sentences)
        words = np.full((len(sentences), longest), -1)
        for number, sentence in enumerate(sentences):
            words[number, : len(sentence)] = [rows[word] for word in sentence]
        output = self._bilm.forward_words(
            vectors,
            to_device(torch.from_numpy(words), self.device),
            boundary_vectors=self._boundaries,
            layers=self._selection.needed,
            lengths=[len(sentence) for sentence in sentences],
        )
        combined = self._selection.combine(output.layers, output.mask)
        if self.request.pooling is not None:
            mask = output.mask.unsqueeze(1) if self._selection.leading else output.mask
            return list(self._stored(pool(combined, mask, self.request.pooling)))
        values = self._stored(combined)
        return [values[number, ..., : len(sentence), :] for number, sentence in enumerate(sentences)]

    def _stored(self, vectors: Tensor) -> Array:
        stored = vectors.to(getattr(torch, self.request.dtype))
        if not torch.isfinite(stored).all():
            raise ValueError(
                f"values up to {vectors.abs().max().item():g} do not fit {self.request.dtype}: expected dtype float32 "
                "or a biLM with smaller vectors"
            )
        array: Array = stored.cpu().numpy()
        return array
