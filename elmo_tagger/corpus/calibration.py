"""Whether confidences mean what they say: of the entities given 0.8, are 80 % right?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Bin(NamedTuple):
    """Predicted entities of like confidence.

    Attributes:
        low, high: The bin's bounds; `low` is exclusive but for the first bin.
        entities: How many fell into it.
        confidence: Their mean confidence.
        correct: The fraction that is right.
    """

    low: float
    high: float
    entities: int
    confidence: float
    correct: float


class Reliability(NamedTuple):
    """A reliability table.

    Attributes:
        bins: The bins that hold entities, in order.
        expected_error: Mean distance of confidence and fraction right over the bins, weighted by entities.
        entities: How many in all.
    """

    bins: list[Bin]
    expected_error: float
    entities: int


def reliability(judged: Iterable[tuple[float, bool]], *, bins: int = 10) -> Reliability:
    """Sorts predicted entities into bins of equal width by confidence.

    Args:
        judged: Confidence in [0, 1] of each predicted entity, and whether it is right.
        bins: How many bins.

    Raises:
        ValueError: No entities, or a confidence outside of [0, 1].

    Source: Guo et al. 2017 (arXiv:1706.04599), section 2.
    """
    rows: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for confidence, correct in judged:
        if not 0.0 <= confidence <= 1.0:
            raise ValueError(f"confidence {confidence}: expected a probability in [0, 1]")
        rows[_bin_of(confidence, bins)].append((confidence, correct))
    total = sum(map(len, rows))
    if total == 0:
        raise ValueError("no predicted entities: nothing to calibrate")
    table = [
        Bin(
            low=index / bins,
            high=(index + 1) / bins,
            entities=len(row),
            confidence=sum(confidence for confidence, _ in row) / len(row),
            correct=sum(correct for _, correct in row) / len(row),
        )
        for index, row in enumerate(rows)
        if row
    ]
    error = sum(row.entities * abs(row.confidence - row.correct) for row in table) / total
    return Reliability(table, error, total)


def _bin_of(confidence: float, bins: int) -> int:
    """Bounds belong to the bin below them, 0 to the first."""
    index = min(int(confidence * bins), bins - 1)
    return index - 1 if index > 0 and confidence * bins == index else index


def judge(
    gold: Iterable[Sequence[tuple[int, int, str]]], predicted: Iterable[Sequence[tuple[int, int, str, float]]]
) -> list[tuple[float, bool]]:
    """For each predicted entity its confidence and whether gold has it.

    Args:
        gold: For each sentence its entities: start, end, type.
        predicted: For each sentence start, end, type and confidence.
    """
    return [
        (confidence, (start, end, kind) in set(truth))
        for truth, found in zip(gold, predicted, strict=True)
        for start, end, kind, confidence in found
    ]
