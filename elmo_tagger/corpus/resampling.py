"""Is a difference of F1 more than chance? Resampling over sentences and over runs, on counts.

Counts are arrays `(runs, rows, groups, 3)` of gold, predicted and correct entities; a row is a sentence that has any,
or several sentences of equal counts, and a group is an entity type, or all types together. F1 of summed counts is
2 x correct / (gold + predicted). Sentences of equal counts are drawn together, by binomial and multinomial numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import comb
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_BATCH_CELLS: Final = 2_000_000  # random numbers drawn at once; fixes the memory, and the stream of numbers too
_ENUMERATED: Final = 20_000  # divisions of the runs up to which all are looked at


def f1(counts: Floats) -> Floats:
    """`(..., 3)` counts to `(...)` F1 in [0, 1]; 0 where there is nothing."""
    both = counts[..., 0] + counts[..., 1]
    return 2 * counts[..., 2] / np.where(both > 0, both, 1)


def randomisation_test(
    first: Floats, second: Floats, *, resamples: int, seed: int, times: Integers | None = None
) -> Floats:
    """Paired approximate randomisation: p-values of "the two systems are the same" against a difference of F1.

    A resample swaps the two systems' outputs in each sentence with probability 1/2; the p-value is the share of
    resamples whose F1 difference is at least as large, either way, as the one observed, that one counted in. Several
    runs of a system are swapped together, and its F1 is that of their pooled counts.

    Args:
        first: `(runs, rows, groups, 3)` counts of a system.
        second: The other's, of the same sentences and groups; runs may differ in number.
        resamples: How many random swaps.
        seed: Of the random numbers.
        times: `(rows,)` how many sentences each row stands for; one by default.

    Returns:
        `(groups,)` p-values, two-sided.

    Source: E. Noreen, Computer-Intensive Methods for Testing Hypotheses, 1989; A. Yeh, COLING 2000.
    """
    # Means over runs, as integers (times both numbers of runs), so that ties with the observed value stay ties.
    a, b = first.sum(axis=0) * len(second), second.sum(axis=0) * len(first)
    times = np.ones(len(a), dtype=np.int64) if times is None else times
    total_a, total_b = (np.tensordot(times, part, axes=1) for part in (a, b))
    observed = np.abs(f1(total_a) - f1(total_b))
    matters = np.flatnonzero((a != b).any(axis=(1, 2)))  # swapping equal outputs changes nothing
    change = (a - b)[matters].reshape(len(matters), total_a.size)
    extreme = np.zeros(len(observed), dtype=np.int64)
    random = np.random.default_rng([seed, 0])
    for size in _batches(resamples, len(matters)):
        swapped = random.binomial(times[matters], 0.5, size=(size, len(matters))).astype(np.float64)
        moved = (swapped @ change).reshape(size, *total_a.shape)
        difference = np.abs(f1(total_a - moved) - f1(total_b + moved))
        extreme += (difference >= observed - 1e-12).sum(axis=0)
    return np.asarray((extreme + 1) / (resamples + 1), dtype=np.float64)


def bootstrap_interval(
    first: Floats,
    second: Floats,
    *,
    sentences: int,
    resamples: int,
    seed: int,
    times: Integers | None = None,
    confidence: float = 0.95,
) -> tuple[Floats, Floats]:
    """Percentile intervals of the difference of mean F1, first minus second.

    A resample draws sentences with replacement, the same ones for both systems, and, of a system with several runs,
    runs with replacement: so the interval covers the choice of test sentences and the noise of seeds.

    Args:
        first: `(runs, rows, groups, 3)` counts of a system.
        second: The other's, likewise.
        sentences: Sentences of the test set, those without any entity included.
        resamples: How many draws.
        seed: Of the random numbers.
        times: `(rows,)` how many sentences each row stands for; one by default.
        confidence: Probability that the interval covers.

    Returns:
        `(groups,)` lower and `(groups,)` upper ends.
    """
    runs, rows, groups, _ = first.shape
    flat = np.concatenate([first, second]).transpose(1, 0, 2, 3).reshape(rows, (runs + len(second)) * groups * 3)
    times = np.ones(rows, dtype=np.int64) if times is None else times
    shares = np.append(times, sentences - times.sum()) / sentences  # the last: sentences without any entity
    random = np.random.default_rng([seed, 1])
    drawn = []
    for size in _batches(resamples, rows):
        weights = random.multinomial(sentences, shares, size=size)[:, :rows].astype(np.float64)
        scores = f1((weights @ flat).reshape(size, -1, groups, 3))  # (size, all runs, groups)
        means = [_mean_of_drawn(part, random) for part in (scores[:, :runs], scores[:, runs:])]
        drawn.append(means[0] - means[1])
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(drawn), [tail, 1 - tail], axis=0)
    return low, high


def _mean_of_drawn(scores: Floats, random: np.random.Generator) -> Floats:
    size, runs, _ = scores.shape
    chosen = random.integers(0, runs, size=(size, runs))
    return np.asarray(np.take_along_axis(scores, chosen[:, :, None], axis=1).mean(axis=1), dtype=np.float64)


def runs_test(first: Floats, second: Floats, *, resamples: int, seed: int) -> Floats:
    """Permutation of the runs: p-values of "the two systems' runs are draws from one urn".

    Every way of dividing all runs between the systems is looked at, or `resamples` random ones where there are more
    than 20,000. With few runs it cannot be small: 3 + 3 runs have 20 divisions, so p is at least 0.1.

    Args:
        first: `(runs, groups)` F1 of a system.
        second: The other's.
        resamples: Random divisions, where there are too many.
        seed: Of the random numbers.

    Returns:
        `(groups,)` p-values, two-sided, of the difference of mean F1.
    """
    runs, every = len(first), np.concatenate([first, second])
    observed = np.abs(first.mean(axis=0) - second.mean(axis=0))
    if comb(len(every), runs) <= _ENUMERATED:
        divisions = [list(chosen) for chosen in combinations(range(len(every)), runs)]
        counted_in = 0
    else:
        random = np.random.default_rng([seed, 2])
        divisions = [random.permutation(len(every))[:runs].tolist() for _ in range(resamples)]
        counted_in = 1
    sums = every[np.array(divisions)].sum(axis=1)
    difference = np.abs(sums / runs - (every.sum(axis=0) - sums) / len(second))
    extreme = (difference >= observed - 1e-12).sum(axis=0)
    return np.asarray((extreme + counted_in) / (len(divisions) + counted_in), dtype=np.float64)


def holm(p_values: Floats) -> Floats:
    """Holm's adjustment: p-values of several tests, so that the chance of any false alarm stays what each says."""
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * (len(p_values) - np.arange(len(p_values)))
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _batches(total: int, width: int) -> Iterator[int]:
    size = max(1, min(total, _BATCH_CELLS // max(width, 1)))
    for done in range(0, total, size):
        yield min(size, total - done)
