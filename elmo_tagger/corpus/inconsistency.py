"""The same phrase annotated in different ways: the commonest sign of a labelling error, or of real ambiguity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elmo_tagger.corpus.fingerprints import Fingerprints, Prints
from elmo_tagger.corpus.store import Store
from elmo_tagger.tagging.schemes import OUTSIDE

_NO_ENTITY = -1  # the type number of a phrase outside every entity


@dataclass(frozen=True)
class Inconsistency:
    """A phrase with more than one annotation.

    Attributes:
        phrase: Its tokens.
        readings: How often it is each type, and `O` where it stands outside every entity; commonest first.
        places: `path:line` of the first occurrence of each reading.
    """

    phrase: tuple[str, ...]
    readings: dict[str, int]
    places: dict[str, str]

    @property
    def minority(self) -> int:
        """Occurrences that are not annotated as most are: at most so many would have to be changed."""
        return sum(self.readings.values()) - max(self.readings.values())


@dataclass(frozen=True)
class _Occurrences:
    """Phrases where they stand: all arrays `(n,)`."""

    prints: Prints
    files: NDArray[np.int64]
    positions: NDArray[np.int64]
    lengths: NDArray[np.int64]
    types: NDArray[np.int64]


def find_inconsistencies(stores: dict[str, Store], *, limit: int) -> tuple[list[Inconsistency], int]:
    """Entity phrases that also occur as another type, or outside every entity.

    A phrase that is part of a longer entity somewhere ("York" in "New York") is not inconsistent for that.

    Args:
        stores: By path; all with the same `words` and `types`.
        limit: How many to describe.

    Returns:
        Those in which the most occurrences disagree with the majority, and how many there are in all.
    """
    if not any(len(store.entities) for store in stores.values()):
        return [], 0
    found = _occurrences(list(stores.values()))
    _, first, phrase = np.unique(found.prints, return_index=True, return_inverse=True)
    kinds = len(next(iter(stores.values())).types) + 1
    codes, first_of_reading, counts = np.unique(phrase * kinds + found.types + 1, return_index=True, return_counts=True)
    of_phrase = codes // kinds  # ascending, so a phrase's readings stand together
    begins = np.flatnonzero(np.diff(of_phrase, prepend=-1))
    totals, largest = np.add.reduceat(counts, begins), np.maximum.reduceat(counts, begins)
    disputed = np.flatnonzero(np.diff(begins, append=len(codes)) > 1)
    order = np.lexsort((first[disputed], -totals[disputed], largest[disputed] - totals[disputed]))
    words = list(next(iter(stores.values())).words)
    ends = np.append(begins[1:], len(codes))
    described = []
    for number in disputed[order[:limit]].tolist():
        readings = slice(int(begins[number]), int(ends[number]))
        described.append(_describe(stores, words, found, first_of_reading[readings], counts[readings]))
    return described, len(disputed)


def _occurrences(stores: list[Store]) -> _Occurrences:
    """Every entity of every file, then every place where one of their phrases stands outside all entities."""
    longest = max(int(store.entities[:, 1].max(initial=0)) for store in stores)
    fingerprints = Fingerprints(words=len(stores[0].words), longest=longest)
    parts = []
    for file, store in enumerate(stores):
        positions, lengths, types = store.entities.astype(np.int64).T
        prints = fingerprints.of_slices(store.tokens, positions, lengths)
        parts.append(_Occurrences(prints, np.full(len(prints), file), positions, lengths, types))
    known = _joined(parts)
    firsts = np.unique(np.concatenate([store.tokens[store.entities[:, 0]] for store in stores]))
    for file, store in enumerate(stores):
        parts += _outside(file, store, firsts, known, fingerprints, longest)
    return _joined(parts)


def _outside(
    file: int, store: Store, firsts: NDArray[np.int32], known: _Occurrences, fingerprints: Fingerprints, longest: int
) -> list[_Occurrences]:
    """Occurrences outside entities, length by length; what runs into an entity or a sentence's end drops out."""
    outside = (store.tags == 0) & (store.tokens >= 0)
    positions = np.flatnonzero(outside & np.isin(store.tokens, firsts))
    prints = np.zeros(len(positions), dtype=np.uint64)
    parts = []
    for length in range(1, longest + 1):
        going_on = outside[positions + length - 1]
        positions, prints = positions[going_on], prints[going_on]
        prints = fingerprints.extend(prints, length - 1, store.tokens[positions + length - 1])
        match = np.isin(prints, known.prints[known.lengths == length])
        size = int(match.sum())
        parts.append(
            _Occurrences(
                prints[match],
                np.full(size, file),
                positions[match],
                np.full(size, length),
                np.full(size, _NO_ENTITY),
            )
        )
    return parts


def _joined(parts: list[_Occurrences]) -> _Occurrences:
    names = ("prints", "files", "positions", "lengths", "types")
    return _Occurrences(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _describe(
    stores: dict[str, Store],
    words: list[str],
    found: _Occurrences,
    occurrences: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> Inconsistency:
    """One phrase, from the first occurrence of each of its readings."""
    paths = list(stores)
    types = list(next(iter(stores.values())).types)
    phrase: tuple[str, ...] = ()
    readings, places = {}, {}
    for index in np.argsort(-counts, kind="stable").tolist():
        at = int(occurrences[index])
        path = paths[int(found.files[at])]
        store, position = stores[path], int(found.positions[at])
        type_number = int(found.types[at])
        name = OUTSIDE if type_number == _NO_ENTITY else types[type_number]
        phrase = tuple(words[n] for n in store.tokens[position : position + int(found.lengths[at])].tolist())
        sentence = store.sentence_of(position)
        line = store.line_of(sentence, position - int(store.starts[sentence]))
        readings[name] = int(counts[index])
        places[name] = f"{path}:{line}" if line else f"{path}, sentence {sentence + 1}"
    return Inconsistency(phrase, readings, places)
