"""Sentences that occur more than once: within a file, and in one file as well as in another (leakage)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from elmo_tagger.corpus.fingerprints import Fingerprints
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


def find_duplicates(stores: dict[str, Store], *, train: str) -> list[Duplicates]:
    """All pairs of files, and files with themselves, that share sentences.

    Sentences are compared by their tokens, case included, through 64-bit fingerprints.

    Args:
        stores: By path; all with the same `words`.
        train: The training file: how much of another file it holds is counted, not how much of it others hold.
    """
    stores = {train: stores[train], **stores}
    words = list(next(iter(stores.values())).words)
    longest = max(int(store.lengths.max(initial=0)) for store in stores.values())
    fingerprints = Fingerprints(words=len(words), longest=longest)
    prints = {
        path: fingerprints.of_slices(store.tokens, store.starts[:-1], store.lengths) for path, store in stores.items()
    }
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


def _describe(
    pair: Duplicates, first: Store, second: Store, matches: list[tuple[int, int]], words: list[str]
) -> Duplicates:
    lengths = second.lengths
    pair.sentences = len(matches)
    pair.long_sentences = sum(int(lengths[sentence]) >= LONG for _, sentence in matches)
    for there, here in sorted(matches, key=lambda match: -int(lengths[match[1]]))[:EXAMPLES]:
        text = " ".join(words[number] for number in second.token_ids_of(here))
        pair.examples.append((first.line_of(there), second.line_of(here), text))
    return pair
