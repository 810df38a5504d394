"""Sentences that occur more than once: within a file, and in one file as well as in another (leakage)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from elmo_tagger.corpus.store import Store

EXAMPLES = 5
LONG = 6
"""Tokens from which a repeated sentence is hardly chance; shorter ones are datelines, scores and "Yes ."."""


@dataclass
class Duplicates:
    """Sentences of `second` that occur in `first`; where both are the same file, that occur earlier in it.

    Attributes:
        first, second: Paths.
        sentences: Repeated sentences of `second`.
        long_sentences: Those of at least `LONG` tokens.
        examples: At most `EXAMPLES`, the longest first: (line in `first`, line in `second`, text).
    """

    first: str
    second: str
    sentences: int = 0
    long_sentences: int = 0
    examples: list[tuple[int, int, str]] = field(default_factory=list)


def find_duplicates(stores: dict[str, Store]) -> list[Duplicates]:
    """All pairs of files, and files with themselves, that share sentences.

    Sentences are compared by their tokens, case included, through 64-bit fingerprints: a million distinct sentences
    hold a false pair with a probability of 3e-8.

    Args:
        stores: By path; all with the same `words`.
    """
    if not stores:
        return []
    words = list(next(iter(stores.values())).words)
    prints = {path: _fingerprints(store, len(words)) for path, store in stores.items()}
    found = []
    for index, second in enumerate(stores):
        for first in list(stores)[: index + 1]:
            unique, earliest = np.unique(prints[first], return_index=True)
            repeated = np.isin(prints[second], unique)
            if first == second:
                repeated[earliest] = False
            if repeated.any():
                places = earliest[np.searchsorted(unique, prints[second][repeated])]
                matches = list(zip(places.tolist(), np.flatnonzero(repeated).tolist(), strict=True))
                found.append(_describe(Duplicates(first, second), stores[first], stores[second], matches, words))
    return found


def _fingerprints(store: Store, vocabulary: int) -> NDArray[np.uint64]:
    """`(sentences,)` sums over tokens of (a random number of the token) x (an odd random number of the position)."""
    if not len(store.first_lines):
        return np.zeros(0, dtype=np.uint64)
    lengths = np.diff(store.starts) - 1
    random = np.random.default_rng(0)
    of_word = random.integers(0, 2**64, size=vocabulary + 1, dtype=np.uint64)  # the last one is the boundary's
    of_place = random.integers(0, 2**63, size=int(lengths.max()) + 1, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    tokens = store.tokens[1:]  # from the first sentence on, each with the boundary that ends it
    begins = store.starts[:-1] - 1
    places = np.arange(len(tokens)) - np.repeat(begins, lengths + 1)
    return np.add.reduceat(of_word[tokens] * of_place[places], begins)


def _describe(
    pair: Duplicates, first: Store, second: Store, matches: list[tuple[int, int]], words: list[str]
) -> Duplicates:
    lengths = np.diff(second.starts) - 1
    pair.sentences = len(matches)
    pair.long_sentences = sum(int(lengths[sentence]) >= LONG for _, sentence in matches)
    for there, here in sorted(matches, key=lambda match: -int(lengths[match[1]]))[:EXAMPLES]:
        text = " ".join(words[number] for number in second.token_ids_of(here))
        pair.examples.append((first.line_of(there), second.line_of(here), text))
    return pair
