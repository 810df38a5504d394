"""Two systems, several runs each, on one gold file: means, spread, and whether the difference is more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from elmo_tagger.corpus.resampling import Floats, Integers, bootstrap_interval, holm, randomisation_test, runs_test
from elmo_tagger.corpus.runs import Run, distinct_rows
from elmo_tagger.tagging.scoring import Score


@dataclass(frozen=True)
class System:
    """Scores of a system's runs, in percent.

    Attributes:
        runs: F1 of each run.
        mean: Their mean.
        deviation: Their standard deviation (n - 1); None for a single run.
    """

    runs: list[float]
    mean: float
    deviation: float | None


@dataclass(frozen=True)
class Row:
    """The comparison of one entity type, or of all together; F1 in percent.

    Attributes:
        name: The type, or "overall".
        first, second: The two systems.
        difference: Mean F1 of the first minus that of the second.
        low, high: Bootstrap interval of the difference.
        p_sentences: Approximate randomisation over sentences.
        p_holm: The same, adjusted for there being several types; None for "overall".
        p_runs: Permutation of the runs; None unless both systems have two or more.
    """

    name: str
    first: System
    second: System
    difference: float
    low: float
    high: float
    p_sentences: float
    p_holm: float | None
    p_runs: float | None


@dataclass
class CompareReport:
    """Everything that `elmo-tagger compare` prints.

    Attributes:
        first, second: The files of the two systems' runs.
        sentences: Sentences of the gold file.
        counting: "conlleval" or "strict".
        resamples, seed, confidence: As asked for.
        rows: Overall, then by type.
        warnings: Why the numbers may mean less than they say.
    """

    first: list[str]
    second: list[str]
    sentences: int
    counting: str
    resamples: int
    seed: int
    confidence: float
    rows: list[Row] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries and lists."""
        return asdict(self)


def compare_runs(
    first: Sequence[Run],
    second: Sequence[Run],
    *,
    resamples: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
    counting: str = "conlleval",
) -> CompareReport:
    """Compares two systems; equal arguments give equal numbers.

    Args:
        first: Runs of a system (say, one a seed).
        second: Runs of the other, of the same sentences.
        resamples: Random swaps, and random draws of the bootstrap.
        seed: Of the random numbers.
        confidence: Of the bootstrap interval.
        counting: Noted in the report.

    Raises:
        ValueError: No runs, or runs of different numbers of sentences: nothing can be paired.
    """
    if not first or not second:
        raise ValueError(f"{len(first)} and {len(second)} runs: expected at least one of each system")
    if resamples < 1 or not 0 < confidence < 1:
        raise ValueError(f"resamples {resamples} and confidence {confidence}: expected >= 1 and between 0 and 1")
    runs = [*first, *second]
    report = CompareReport(
        [run.name for run in first],
        [run.name for run in second],
        runs[0].sentences,
        counting,
        resamples,
        seed,
        confidence,
        warnings=_warnings(runs),
    )
    names, counts, times = distinct_rows(runs)
    report.rows = _rows(names, counts[: len(first)], counts[len(first) :], times, report)
    return report


def _rows(names: Sequence[str], a: Floats, b: Floats, times: Integers, report: CompareReport) -> list[Row]:
    """The rows of a report from `(runs, rows, groups, 3)` counts of two systems; `times` is how often each row is."""
    resamples, seed = report.resamples, report.seed
    p_sentences = randomisation_test(a, b, resamples=resamples, seed=seed, times=times)
    low, high = bootstrap_interval(
        a,
        b,
        sentences=report.sentences,
        resamples=resamples,
        seed=seed,
        times=times,
        confidence=report.confidence,
    )
    scores_a, scores_b = (_percent(np.einsum("nrgk,r->ngk", part, times)) for part in (a, b))
    several = min(len(a), len(b)) > 1
    p_runs = runs_test(scores_a, scores_b, resamples=resamples, seed=seed) if several else None
    p_holm = holm(p_sentences[1:])
    rows = []
    for index, name in enumerate(names):
        left, right = _system(scores_a[:, index]), _system(scores_b[:, index])
        rows.append(
            Row(
                name,
                left,
                right,
                left.mean - right.mean,
                100 * float(low[index]),
                100 * float(high[index]),
                float(p_sentences[index]),
                float(p_holm[index - 1]) if index else None,
                None if p_runs is None else float(p_runs[index]),
            )
        )
    return rows


def _warnings(runs: Sequence[Run]) -> list[str]:
    warnings = list(dict.fromkeys(f"{run.name}: {note}" for run in runs for note in run.notes))
    for run in runs[1:]:
        if run.sentences != runs[0].sentences:
            raise ValueError(
                f"{run.name} has {run.sentences:,} sentences, expected {runs[0].sentences:,} as in {runs[0].name}: "
                "only runs on the same sentences can be compared"
            )
        differing = np.flatnonzero(runs[0].gold != run.gold)
        if len(differing):
            warnings.append(
                f"{run.name} is not on the same gold file as {runs[0].name}: tokens or gold entities differ in "
                f"{len(differing):,} of {run.sentences:,} sentences, first in sentence {differing[0] + 1}"
            )
    if len(runs) == 2:
        warnings.append("one run of each system: the noise between seeds is not in these numbers")
    return warnings


def _percent(counts: Floats) -> Floats:
    """`(runs, groups, 3)` counts to `(runs, groups)` F1 in percent."""
    return np.array([[Score(*group).in_percent().f1 for group in run] for run in counts.tolist()])


def _system(scores: Floats) -> System:
    deviation = float(scores.std(ddof=1)) if len(scores) > 1 else None
    return System([float(score) for score in scores], float(scores.mean()), deviation)
