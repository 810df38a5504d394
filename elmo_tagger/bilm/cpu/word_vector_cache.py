"""Vectors of words that were met before: a word passes the character CNN once, not once a batch."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


class WordVectorCache:
    """A bounded store of word vectors: the words that were longest not asked for make room for others.

    Args:
        capacity: Words that it holds at most.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._places: OrderedDict[bytes, int] = OrderedDict()  # in `_vectors`; longest not asked for first
        self._vectors: Tensor | None = None
        self._lock = threading.Lock()  # a server may embed in several threads

    def __len__(self) -> int:
        return len(self._places)

    def look_up(self, character_ids: Tensor, compute: Callable[[Tensor], Tensor]) -> Tensor:
        """Vectors of words, those that are not stored computed and stored.

        Args:
            character_ids: (W, C) integers on a CPU, that fit into int16.
            compute: Gives the vectors (W', P) of words (W', C).

        Returns:
            (W, P).
        """
        keys = _keys(character_ids)
        with self._lock:
            places = torch.tensor([self._ask(key) for key in keys], dtype=torch.int64)
            missing = (places < 0).nonzero().squeeze(1).tolist()
            if self._vectors is not None and not missing:
                return self._vectors[places]
            # a word twice is computed once, lest its vectors differ in the last bit from call to call
            new = {keys[row]: row for row in missing}
            computed = compute(character_ids[list(new.values())])
            if self._vectors is None:
                with torch.inference_mode(False):  # lest it could not be changed outside of that mode
                    # memory is taken as it is filled
                    self._vectors = computed.new_empty(self.capacity, computed.shape[1])
            vectors = self._vectors[places.clamp(min=0)]
            order = {key: number for number, key in enumerate(new)}
            vectors[missing] = computed[[order[keys[row]] for row in missing]]
            self._keep(list(new), computed)
        return vectors

    def _ask(self, key: bytes) -> int:
        place = self._places.get(key, -1)
        if place >= 0:
            self._places.move_to_end(key)
        return place

    def _keep(self, keys: list[bytes], vectors: Tensor) -> None:
        assert self._vectors is not None
        keys, vectors = keys[-self.capacity :], vectors[-self.capacity :]
        for key in keys:
            full = len(self._places) == self.capacity
            self._places[key] = self._places.popitem(last=False)[1] if full else len(self._places)
        self._vectors[[self._places[key] for key in keys]] = vectors


def _keys(character_ids: Tensor) -> list[bytes]:
    rows = np.ascontiguousarray(character_ids.numpy(), dtype=np.int16)
    return [row.tobytes() for row in rows]
