"""The same phrase annotated in different ways: the commonest sign of a labelling error, or of real ambiguity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elmo_tagger.corpus.fingerprints import Fingerprints, Prints
from elmo_tagger.corpus.store import Store
from elmo_tagger.tagging.schemes import OUTSIDE

Integers = NDArray[np.int64]
_BLOCK = 1_000_000  # positions at a time, to bound memory


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
class _Readings:
    """Each phrase with each of its readings; all arrays `(n,)`, a phrase's readings together.

    Attributes:
        phrases: Number of the phrase.
        types: Number of the type; -1 outside every entity.
        counts: How often.
        files: Where first: index of the file,
        positions: and position in it.
        lengths: Tokens of the phrase.
    """

    phrases: Integers
    types: Integers
    counts: Integers
    files: Integers
    positions: Integers
    lengths: Integers


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
    found = _readings(list(stores.values()))
    begins = np.flatnonzero(np.diff(found.phrases, prepend=-1))
    ends = np.append(begins[1:], len(found.phrases))
    totals, largest = np.add.reduceat(found.counts, begins), np.maximum.reduceat(found.counts, begins)
    disputed = np.flatnonzero(ends - begins > 1)
    firsts = found.files[begins] * 2**40 + found.positions[begins]
    order = np.lexsort((firsts[disputed], -totals[disputed], largest[disputed] - totals[disputed]))
    words = list(next(iter(stores.values())).words)
    described = [
        _describe(stores, words, found, np.arange(begins[phrase], ends[phrase])) for phrase in disputed[order[:limit]]
    ]
    return described, len(disputed)


def _readings(stores: list[Store]) -> _Readings:
    """Counts every entity by phrase and type, then every place where a phrase stands outside all entities."""
    longest = max(int(store.entities[:, 1].max(initial=0)) for store in stores)
    fingerprints = Fingerprints(words=len(stores[0].words), longest=longest)
    entities = np.concatenate([store.entities for store in stores]).astype(np.int64)
    files = np.repeat(np.arange(len(stores)), [len(store.entities) for store in stores])
    prints = np.concatenate(
        [fingerprints.of_slices(store.tokens, *store.entities[:, :2].astype(np.int64).T) for store in stores]
    )
    known, first, phrases = np.unique(prints, return_index=True, return_inverse=True)
    kinds = len(stores[0].types) + 1
    codes, at, counts = np.unique(phrases * kinds + entities[:, 2] + 1, return_index=True, return_counts=True)
    outside = _Outside(known)
    firsts = np.unique(np.concatenate([store.tokens[store.entities[:, 0]] for store in stores]))
    for file, store in enumerate(stores):
        outside.count(file, store, firsts, fingerprints, longest)
    also = np.flatnonzero(outside.counts)
    codes = np.concatenate([codes, also * kinds])  # type -1, plus 1
    order = np.argsort(codes)
    return _Readings(
        phrases=codes[order] // kinds,
        types=codes[order] % kinds - 1,
        counts=np.concatenate([counts, outside.counts[also]])[order],
        files=np.concatenate([files[at], outside.files[also]])[order],
        positions=np.concatenate([entities[at, 0], outside.positions[also]])[order],
        lengths=np.concatenate([entities[at, 1], entities[first[also], 1]])[order],
    )


class _Outside:
    """How often each known phrase stands outside all entities, and where first; all arrays `(phrases,)`."""

    def __init__(self, known: Prints) -> None:
        self._known = known
        self.counts: Integers = np.zeros(len(known), dtype=np.int64)
        self.files: Integers = np.zeros(len(known), dtype=np.int64)
        self.positions: Integers = np.zeros(len(known), dtype=np.int64)

    def count(
        self, file: int, store: Store, firsts: NDArray[np.int32], fingerprints: Fingerprints, longest: int
    ) -> None:
        """Looks through a file, length by length; what runs into an entity or a sentence's end drops out."""
        outside = (store.tags == 0) & (store.tokens >= 0)
        for begin in range(0, len(outside), _BLOCK):
            block = slice(begin, begin + _BLOCK)
            positions = np.flatnonzero(outside[block] & np.isin(store.tokens[block], firsts)) + begin
            prints = np.zeros(len(positions), dtype=np.uint64)
            for length in range(1, longest + 1):
                last = positions + (length - 1)
                going_on = outside[last]
                positions, last = positions[going_on], last[going_on]
                prints = fingerprints.extend(prints[going_on], length - 1, store.tokens[last])
                self._add(file, positions, prints)

    def _add(self, file: int, positions: Integers, prints: Prints) -> None:
        phrases = np.minimum(np.searchsorted(self._known, prints), len(self._known) - 1)
        match = self._known[phrases] == prints
        phrases, first, counts = np.unique(phrases[match], return_index=True, return_counts=True)
        new = self.counts[phrases] == 0
        self.files[phrases[new]] = file
        self.positions[phrases[new]] = positions[match][first[new]]
        self.counts[phrases] += counts


def _describe(stores: dict[str, Store], words: list[str], found: _Readings, readings: Integers) -> Inconsistency:
    types = list(next(iter(stores.values())).types)
    counts, places = {}, {}
    phrase: tuple[str, ...] = ()
    for at in readings[np.argsort(-found.counts[readings], kind="stable")].tolist():
        path = list(stores)[int(found.files[at])]
        store, position = stores[path], int(found.positions[at])
        phrase = tuple(words[n] for n in store.tokens[position : position + int(found.lengths[at])].tolist())
        name = types[int(found.types[at])] if found.types[at] >= 0 else OUTSIDE
        counts[name] = int(found.counts[at])
        sentence = store.sentence_of(position)
        line = store.line_of(sentence, position - int(store.starts[sentence]))
        places[name] = f"{path}:{line}" if line else f"{path}, sentence {sentence + 1}"
    return Inconsistency(phrase, counts, places)
