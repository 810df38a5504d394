"""Approximate randomisation without the approximation: every one of the 2 ** sentences swaps, in plain Python."""

from __future__ import annotations

from itertools import product

Counts = tuple[int, int, int]


def f1(counts: list[Counts]) -> float:
    gold, predicted, correct = (sum(column) for column in zip(*counts, strict=True))
    return 2 * correct / (gold + predicted) if gold + predicted else 0.0


def exact_randomisation(first: list[Counts], second: list[Counts]) -> float:
    """The share of swaps with a difference of F1 at least as large as the observed one, either way."""
    observed = abs(f1(first) - f1(second))
    extreme = 0
    for swaps in product((False, True), repeat=len(first)):
        a = [y if swap else x for x, y, swap in zip(first, second, swaps, strict=True)]
        b = [x if swap else y for x, y, swap in zip(first, second, swaps, strict=True)]
        extreme += abs(f1(a) - f1(b)) >= observed - 1e-12
    return extreme / 2 ** len(first)
