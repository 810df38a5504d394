"""A frozen biLM whose layers are read from a cache where it has them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from elmo_tagger.bilm.cache.files import DTYPES, Values
from elmo_tagger.bilm.cache.store import LayerStore
from elmo_tagger.bilm.model import Bilm, BilmOutput
from elmo_tagger.bilm.weights_hash import weights_hash


class CachedBilm:
    """What `Bilm.__call__` gives, each sentence computed once for as long as the cache keeps it.

    Args:
        bilm: A stateless biLM that no training changes. Should its weights change all the same, what was stored with
            the old ones is no longer used.
        store: Where the layers are kept.
        layers: The layers wanted; only these are stored.
        keep_boundaries: See `Bilm.forward`.
        dtype: In which they are stored, `float32` or `float16`.

    Raises:
        ValueError: The biLM is stateful, or there is no such type.
    """

    def __init__(
        self,
        bilm: Bilm,
        store: LayerStore,
        *,
        layers: Sequence[int],
        keep_boundaries: bool = False,
        dtype: str = "float32",
    ) -> None:
        if bilm.stateful:
            raise ValueError("expected a stateless biLM: this one's layers depend on the sentences before")
        if dtype not in DTYPES:
            raise ValueError(f"dtype: expected one of {', '.join(DTYPES)}, received {dtype!r}")
        self._bilm = bilm
        self._store = store
        self._layers = sorted(set(layers))
        self._boundaries = 2 if keep_boundaries else 0
        self._dtype = dtype
        self._weights: list[tuple[int, int]] = []
        self._identity = b""

    def __call__(self, character_ids: Tensor) -> BilmOutput:
        """Embed sentences.

        Args:
            character_ids: (B, T, C), as of `Bilm.forward`.
        """
        self._identify()
        present = (character_ids != 0).any(dim=-1)
        lengths = _lengths(present)
        ids = character_ids.to(dtype=torch.int16, device="cpu").numpy()
        keys = [self._key(ids[row, :length]) for row, length in enumerate(lengths)]
        found = {key: self._store.get(key) for key in dict.fromkeys(keys)}
        missing = {key: row for row, key in enumerate(keys) if found[key] is None}
        if missing:
            computed = self._compute(character_ids[list(missing.values())])
            for values, (key, row) in zip(computed, missing.items(), strict=True):
                found[key] = kept = values[: self._places(lengths[row])]
                self._keep(key, kept)
        places = present.shape[1] + self._boundaries
        joined = np.zeros((len(keys), places, self._width), dtype=np.float32)
        for target, key in zip(joined, keys, strict=True):
            stored = found[key]
            assert stored is not None
            target[: len(stored)] = stored
        vectors = torch.from_numpy(joined).to(character_ids.device)
        return BilmOutput(layers=self._split(vectors), mask=self._mask(present, lengths))

    @property
    def _width(self) -> int:
        # layer 0 is the same P values twice, and is stored once
        return self._bilm.output_dim * len(self._layers) - (0 in self._layers) * self._bilm.output_dim // 2

    def _places(self, length: int) -> int:
        return length + self._boundaries if length else 0

    def _identify(self) -> None:
        """Take the weights' hash once, and again after they were moved or changed."""
        weights = [(parameter.data_ptr(), parameter._version) for parameter in self._bilm.parameters()]
        if weights != self._weights:
            details = self._bilm.precision, self._layers, self._boundaries, self._dtype
            self._identity = f"{weights_hash(self._bilm)} {details}".encode()
            self._weights = weights

    def _key(self, words: npt.NDArray[np.int16]) -> bytes:
        digest = hashlib.blake2b(self._identity, digest_size=32)
        digest.update(np.ascontiguousarray(words).data)
        return digest.digest()

    @torch.no_grad()
    def _compute(self, character_ids: Tensor) -> Values:
        output = self._bilm(character_ids, layers=self._layers, keep_boundaries=self._boundaries > 0)
        half = self._bilm.output_dim // 2
        parts = [layer[..., :half] if number == 0 else layer for number, layer in output.layers.items()]
        values: Values = torch.cat(parts, dim=-1).float().cpu().numpy()
        return values

    def _keep(self, key: bytes, values: Values) -> None:
        with np.errstate(over="ignore"):
            stored = values.astype(self._dtype)
        if np.isfinite(stored).all():  # what float16 cannot hold is computed every time
            self._store.put(key, stored)

    def _split(self, vectors: Tensor) -> dict[int, Tensor]:
        width = self._bilm.output_dim
        widths = [width // 2 if number == 0 else width for number in self._layers]
        layers = dict(zip(self._layers, torch.split(vectors, widths, dim=-1), strict=True))
        if 0 in layers:
            layers[0] = torch.cat([layers[0], layers[0]], dim=-1)
        return layers

    def _mask(self, present: Tensor, lengths: Sequence[int]) -> Tensor:
        if not self._boundaries:
            return present
        mask = F.pad(present, (1, 1))
        for row, length in enumerate(lengths):
            if length:
                mask[row, [0, length + 1]] = True
        return mask


def _lengths(present: Tensor) -> list[int]:
    """Places up to the last word of each sentence."""
    places = torch.arange(1, present.shape[1] + 1, device=present.device)
    lengths: list[int] = F.pad(present * places, (1, 0)).amax(dim=1).tolist()
    return lengths
