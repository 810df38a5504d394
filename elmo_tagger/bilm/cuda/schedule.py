"""How a batch is cut into chunks whose shapes are few, so that each shape can be recorded once as a CUDA graph."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

BUCKETS: tuple[int, ...] = (1, 8, 32, *range(64, 513, 64))
"""Rows of a chunk: below 64 a step costs the reading of its weights whatever they are; above, tiles of 64 are usual."""
STEPS: tuple[int, ...] = (8, 4, 2, 1)
"""Steps of a chunk: few enough that its rows shrink with the batch, many enough that its launch is done in time."""
WORDS = 2048
"""Rows times steps of a chunk, at most: their gates are held at once."""


@dataclass(frozen=True)
class Chunk:
    """Some steps of some sentences.

    Attributes:
        first: Step of the packing with which it begins.
        steps: One of `STEPS`.
        rows: One of `BUCKETS`, enough for the sentences that have a word in the first step.
    """

    first: int
    steps: int
    rows: int


def most_rows(max_words: int | None) -> int:
    """The largest bucket that does not exceed the bound on words held at once."""
    return max(rows for rows in BUCKETS if max_words is None or rows <= max_words)


def bucket(rows: int) -> int:
    """The smallest bucket that holds so many rows."""
    return BUCKETS[bisect_left(BUCKETS, rows)]


def chunks(lengths: Sequence[int], max_words: int | None = None) -> list[Chunk]:
    """Cut sentences into chunks that hold every word once.

    Args:
        lengths: Words of each sentence, longest first, none without words; no more than `most_rows(max_words)`.
        max_words: Bound on a chunk's rows times its steps.
    """
    words = min(WORDS, max_words or WORDS)
    found: list[Chunk] = []
    going_on = len(lengths)
    first = 0
    while first < lengths[0]:
        while lengths[going_on - 1] <= first:
            going_on -= 1
        rows = bucket(going_on)
        # no step is taken in vain: 7 steps are 4, 2 and 1
        steps = next(count for count in STEPS if count == 1 or (count <= lengths[0] - first and count * rows <= words))
        found.append(Chunk(first=first, steps=steps, rows=rows))
        first += steps
    return found
