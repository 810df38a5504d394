"""Two systems, several runs each, on one gold file: means, spread, and whether the difference is more than chance."""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elmo_tagger.corpus.alignment import Pair
from elmo_tagger.corpus.pair_schemes import find_schemes, read_strictly
from elmo_tagger.corpus.resampling import Floats, Integers, bootstrap_interval, f1, holm, randomisation_test, runs_test
from elmo_tagger.corpus.store import Ids
from elmo_tagger.tagging.schemes import conlleval_spans
from elmo_tagger.text.sentence import Span

OVERALL = "overall"


@dataclass(frozen=True)
class Run:
    """One run of a system.

    Attributes:
        name: Its file.
        types: Entity types, in the order of their numbers.
        records: `(records, 5)` int32 sentence, type, and its gold, predicted and correct entities there; what a
            sentence has none of is left out.
        gold: `(sentences,)` uint64 digests of the tokens and gold entities of each sentence.
        notes: What a reader of its scores should know.
    """

    name: str
    types: list[str]
    records: NDArray[np.int32]
    gold: NDArray[np.uint64]
    notes: tuple[str, ...] = ()

    @property
    def sentences(self) -> int:
        """How many sentences there are."""
        return len(self.gold)


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


Read = Callable[[], Iterable[Pair]]


def read_system(
    runs: Sequence[tuple[str, Read]],
    *,
    strict: bool = False,
    scheme: str | None = None,
    predicted_scheme: str | None = None,
) -> list[Run]:
    """Counts the runs of a system.

    Args:
        runs: For each run its name and what begins to read its pairs; called twice for strict counting.
        strict: Count strictly, and not as conlleval.
        scheme: The gold tags' scheme, for strict counting; found by default.
        predicted_scheme: The predictions' scheme, likewise; found in all runs together, as one system writes one.

    Raises:
        ValueError: From reading, or no sentences.
    """
    if not strict:
        return [read_run(name, read) for name, read in runs]
    gold, predicted, notes = find_schemes(
        lambda: chain.from_iterable(read() for _, read in runs), scheme, predicted_scheme
    )
    counted = [read_run(name, read, schemes=(gold, predicted)) for name, read in runs]
    return [replace(run, notes=tuple(notes)) for run in counted]


def read_run(name: str, read: Read, *, schemes: tuple[str, str] | None = None) -> Run:
    """Counts a run sentence by sentence.

    Args:
        name: For messages and reports.
        read: Begins to read the pairs of gold and prediction.
        schemes: The schemes of gold and of the predictions, to count strictly; as conlleval by default.

    Raises:
        ValueError: From `read`, or no sentences.
    """
    types = Ids()
    records, digests = array("i"), array("Q")
    for index, pair in enumerate(read()):
        if schemes is None:
            gold, predicted = conlleval_spans(pair.gold), conlleval_spans(pair.predicted)
        else:
            gold = read_strictly(pair.gold, schemes[0], pair.sentence, "gold")
            predicted = read_strictly(pair.predicted, schemes[1], pair.sentence, "predicted")
        for entity_type, counts in _count(gold, predicted).items():
            records.extend((index, types[entity_type], *counts))
        digest = hashlib.blake2b(repr((pair.tokens, gold)).encode(errors="replace"), digest_size=8).digest()
        digests.append(int.from_bytes(digest, "little"))
    if not digests:
        raise ValueError(f"{name}: no sentences to score")
    table = np.array(records, dtype=np.int32).reshape(-1, 5)
    return Run(name, list(types), table, np.array(digests, dtype=np.uint64))


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
    scores_a, scores_b = (100 * f1(np.einsum("nrgk,r->ngk", part, times)) for part in (a, b))  # (runs, groups)
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


def _count(gold: Sequence[Span], predicted: Sequence[Span]) -> dict[str, list[int]]:
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for span in gold:
        counts[span.type][0] += 1
    for span in predicted:
        counts[span.type][1] += 1
        counts[span.type][2] += span in gold
    return dict(counts)


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


def distinct_rows(runs: Sequence[Run]) -> tuple[list[str], Floats, Integers]:
    """The different counts that sentences have, so that a million sentences cost no more than a few thousand.

    Args:
        runs: Of equally many sentences.

    Returns:
        Names of the groups; `(runs, rows, groups, 3)` counts, no two rows alike; `(rows,)` how many sentences have
        them. Sentences without any entity are in no row.
    """
    types = sorted({name for run in runs for name in run.types})
    groups = [np.array([types.index(name) for name in run.types], dtype=np.int64) for run in runs]
    random = np.random.default_rng(0)
    prints = np.zeros(runs[0].sentences, dtype=np.uint64)  # the sum of count x a random number of its place, mod 2**64
    for run, group in zip(runs, groups, strict=True):
        factors = random.integers(0, 2**64, size=(len(types), 3), dtype=np.uint64)
        of_record = (run.records[:, 2:].astype(np.uint64) * factors[group[run.records[:, 1]]]).sum(axis=1)
        np.add.at(prints, run.records[:, 0], of_record)
    known, sentences, times = np.unique(prints, return_index=True, return_counts=True)
    if len(known) and known[0] == 0:
        sentences, times = sentences[1:], times[1:]
    row_of = np.full(len(prints), -1, dtype=np.int64)
    row_of[sentences] = np.arange(len(sentences))
    counts = np.zeros((len(runs), len(sentences), len(types) + 1, 3))
    for number, (run, group) in enumerate(zip(runs, groups, strict=True)):
        records = run.records[row_of[run.records[:, 0]] >= 0]
        counts[number, row_of[records[:, 0]], group[records[:, 1]] + 1] = records[:, 2:]
    counts[:, :, 0] = counts[:, :, 1:].sum(axis=2)
    return [OVERALL, *types], counts, times.astype(np.int64)


def _system(scores: Floats) -> System:
    deviation = float(scores.std(ddof=1)) if len(scores) > 1 else None
    return System([float(score) for score in scores], float(scores.mean()), deviation)
