"""Occurrences of a word and which of them are alike, layer by layer: what context does to a vector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np
import numpy.typing as npt

from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.vectors.compute import SentenceVectors
from elmo_tagger.vectors.nearest import unit
from elmo_tagger.vectors.sentences import InputSentence


class NoOccurrenceError(ElmoTaggerError):
    """A text in which the word is too rare to be compared."""


@dataclass(frozen=True)
class Occurrence:
    """A word at its place.

    Attributes:
        tokens: The sentence.
        place: Of the word in it.
        line: Of the file, from 1.
    """

    tokens: list[str]
    place: int
    line: int

    def context(self, width: int) -> str:
        """The word in brackets with what stands around it, at most so many characters, the word near the middle."""
        word = f"[{self.tokens[self.place]}]"
        left, right = " ".join(self.tokens[: self.place]), " ".join(self.tokens[self.place + 1 :])
        room = max(0, width - len(word) - 2)
        for_left = max(room // 2, room - len(right))
        shown_left = left if len(left) <= for_left else "…" + left[len(left) - for_left + 1 :]
        for_right = room - len(shown_left)
        shown_right = right if len(right) <= for_right else right[: max(0, for_right - 1)] + "…"
        return f"{shown_left} {word} {shown_right}".strip()


@dataclass(frozen=True)
class Neighbour:
    """An occurrence as seen from another one.

    Attributes:
        occurrence: Index of it.
        cosine: Of the angle between the two vectors.
    """

    occurrence: int
    cosine: float


def occurrences(sentences: Iterable[InputSentence], word: str, *, ignore_case: bool = False) -> Iterator[Occurrence]:
    """All places of a word."""
    wanted = word.lower() if ignore_case else word
    for sentence in sentences:
        for place, token in enumerate(sentence.tokens):
            if (token.lower() if ignore_case else token) == wanted:
                yield Occurrence(sentence.tokens, place, sentence.line)


def first_occurrences(
    found: Iterator[Occurrence], limit: int, *, word: str, fewest: int = 2
) -> tuple[list[Occurrence], bool]:
    """At most so many occurrences, and whether there are more.

    Raises:
        NoOccurrenceError: There are fewer than `fewest`.
    """
    kept = list(islice(found, limit))
    if len(kept) < fewest:
        wanted = "at least two occurrences to compare" if fewest > 1 else "an occurrence"
        raise NoOccurrenceError(f"{word!r}: expected {wanted}, found {len(kept)}")
    return kept, next(found, None) is not None


def occurrence_vectors(
    found: list[Occurrence], vectors: SentenceVectors, *, at_once: int = 256
) -> npt.NDArray[np.float32]:
    """The vectors (N, L, 2P) of occurrences.

    Args:
        found: N occurrences.
        vectors: Computes all layers of sentences.
        at_once: Sentences whose vectors are held in memory.
    """
    rows = []
    for start in range(0, len(found), at_once):
        group = found[start : start + at_once]
        sentences = [tokens for tokens, _ in groupby(occurrence.tokens for occurrence in group)]
        arrays = iter(vectors(sentences))
        for _, same in groupby(group, key=lambda occurrence: occurrence.tokens):
            array = next(arrays)
            rows += [array[:, occurrence.place].copy() for occurrence in same]
    return np.stack(rows)


def nearest(vectors: npt.NDArray[np.float32], top: int) -> list[list[list[Neighbour]]]:
    """The nearest others of each occurrence.

    Args:
        vectors: (N, L, 2P).
        top: How many.

    Returns:
        For each occurrence, for each layer, the nearest first; of equals the one that comes first in the text.
    """
    vectors = unit(vectors)
    found: list[list[list[Neighbour]]] = [[] for _ in range(len(vectors))]
    for layer in range(vectors.shape[1]):
        cosines = vectors[:, layer] @ vectors[:, layer].T
        for number, row in enumerate(cosines):
            # equal vectors differ in the last bits of their cosine, which must not decide their order
            order = np.argsort(-row.round(5), kind="stable")
            others = [int(other) for other in order if other != number][:top]
            found[number].append([Neighbour(other, float(row[other])) for other in others])
    return found
