"""The runs of a system, counted sentence by sentence."""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from elmo_tagger.corpus.alignment import Pair
from elmo_tagger.corpus.pair_schemes import find_schemes, read_strictly
from elmo_tagger.corpus.resampling import Floats, Integers
from elmo_tagger.tagging.partial import is_partial, read_entities
from elmo_tagger.tagging.schemes import conlleval_spans
from elmo_tagger.text.sentence import Span

OVERALL = "overall"
Read = Callable[[], Iterable[Pair]]


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
    """Counts a run sentence by sentence; what partial labels in gold leave open is left out.

    Args:
        name: For messages and reports.
        read: Begins to read the pairs of gold and prediction.
        schemes: The schemes of gold and of the predictions, to count strictly; as conlleval by default.

    Raises:
        ValueError: From `read`, or no sentences.
    """
    types: dict[str, int] = {}
    gold_scheme = schemes[0] if schemes else None
    records, digests = array("i"), array("Q")
    for index, pair in enumerate(read()):
        if schemes is None:
            predicted = conlleval_spans(pair.predicted)
        else:
            predicted = read_strictly(pair.predicted, schemes[1], pair.sentence, "predicted")
        if is_partial(pair.gold):
            gold_scheme = gold_scheme or find_schemes(read)[0]
            reading = read_entities(pair.sentence, gold_scheme)
            gold, predicted = reading.certain, reading.counted(predicted)
        elif schemes is None:
            gold = conlleval_spans(pair.gold)
        else:
            gold = read_strictly(pair.gold, schemes[0], pair.sentence, "gold")
        for entity_type, counts in _count(gold, predicted).items():
            records.extend((index, types.setdefault(entity_type, len(types)), *counts))
        digest = hashlib.blake2b(repr((pair.tokens, gold)).encode(errors="replace"), digest_size=8).digest()
        digests.append(int.from_bytes(digest, "little"))
    if not digests:
        raise ValueError(f"{name}: no sentences to score")
    table = np.array(records, dtype=np.int32).reshape(-1, 5)
    return Run(name, list(types), table, np.array(digests, dtype=np.uint64))


def _count(gold: Sequence[Span], predicted: Sequence[Span]) -> dict[str, list[int]]:
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for span in gold:
        counts[span.type][0] += 1
    for span in predicted:
        counts[span.type][1] += 1
        counts[span.type][2] += span in gold
    return dict(counts)


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
