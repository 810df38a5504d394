"""The nearest vectors of a stream: exact cosines by matrix products, a block at a time, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Item = TypeVar("Item")
_DIGITS = 5  # equal vectors differ in the last bits of their cosine, which must not decide their order


class Found(NamedTuple, Generic[Item]):
    """A vector that is near.

    Attributes:
        cosine: Of the angle between it and the query.
        item: What it stands for.
        vector: Itself, of length 1.
    """

    cosine: float
    item: Item
    vector: Vectors


class Nearest(Generic[Item]):
    """Keeps the nearest of all vectors that it is shown, for each of several queries.

    Args:
        queries: (Q, D).
        top: How many for each.
    """

    def __init__(self, queries: Vectors, top: int) -> None:
        self._queries = unit(queries)
        self._top = top
        self._found: list[list[Found[Item]]] = [[] for _ in queries]

    def show(self, vectors: Vectors, items: Sequence[Item]) -> None:
        """Takes a block of vectors (N, D), of length 1, and what they stand for."""
        cosines = self._queries @ vectors.T
        for found, row in zip(self._found, cosines, strict=True):
            near = np.arange(len(row))
            if len(row) > self._top:  # with all that tie with the last
                near = np.flatnonzero(row >= np.partition(row, -self._top)[-self._top] - 10.0**-_DIGITS)
            found += [Found(float(row[place]), items[place], vectors[place].copy()) for place in near.tolist()]
            # stable: of equals the one that was shown first
            found.sort(key=lambda each: -round(each.cosine, _DIGITS))
            del found[self._top :]

    def found(self) -> list[list[Found[Item]]]:
        """For each query its nearest, the nearest first; of equals the one that was shown first."""
        return self._found


def unit(vectors: Vectors) -> Vectors:
    """Vectors (..., D) at length 1; those of length 0 stay."""
    vectors = vectors.astype(np.float32, copy=False)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Vectors = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled
