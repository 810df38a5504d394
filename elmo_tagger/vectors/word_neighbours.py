"""Which words stand near a word in its sentence, across a corpus: what its context makes of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from elmo_tagger.vectors.compute import SentenceVectors
from elmo_tagger.vectors.nearest import Found, Nearest, Vectors, unit
from elmo_tagger.vectors.neighbours import Occurrence
from elmo_tagger.vectors.sentences import InputSentence
from elmo_tagger.vectors.windows import windows

_KEPT = 20  # occurrences that are kept for each word that is asked for
_WINDOW_TOKENS = 16384  # whose vectors are held in memory at once


@dataclass(frozen=True)
class WordNeighbour:
    """A word that stands near.

    Attributes:
        word: In lower case.
        count: How many of the nearest occurrences are its.
        cosine: Of its nearest occurrence.
        occurrence: That one.
        vector: That one's, of length 1.
    """

    word: str
    count: int
    cosine: float
    occurrence: Occurrence
    vector: Vectors


def nearest_words(
    queries: list[Occurrence], sentences: Iterable[InputSentence], vectors: SentenceVectors, top: int
) -> tuple[Vectors, list[list[WordNeighbour]]]:
    """The nearest other words of each occurrence.

    The cosines are those of whole occurrences, each in its sentence. Of the `20 * top` nearest of them that are not the
    word itself, in whatever case, and that have a letter, the words are counted.

    Args:
        queries: Q occurrences of a word.
        sentences: The corpus.
        vectors: Computes one layer of sentences.
        top: Words for each occurrence, at most.

    Returns:
        The queries' vectors (Q, D), of length 1; and for each query the words, the nearest first.
    """
    own = unit(np.stack([vectors([query.tokens])[0][query.place] for query in queries]))
    words = {query.tokens[query.place].lower() for query in queries}
    nearest: Nearest[Occurrence] = Nearest(own, _KEPT * top)
    for window in windows(sentences, max_tokens=_WINDOW_TOKENS):
        arrays = vectors([sentence.tokens for sentence in window.sentences])
        rows: list[Vectors] = []
        found: list[Occurrence] = []
        for sentence, array in zip(window.sentences, arrays, strict=True):
            places = [place for place, token in enumerate(sentence.tokens) if _counts(token, words)]
            rows.append(array[places])
            found += [Occurrence(sentence.tokens, place, sentence.line) for place in places]
        if found:
            nearest.show(unit(np.concatenate(rows)), found)
    return own, [_by_word(each)[:top] for each in nearest.found()]


def _counts(token: str, words: set[str]) -> bool:
    return token.lower() not in words and any(map(str.isalpha, token))


def _by_word(found: list[Found[Occurrence]]) -> list[WordNeighbour]:
    groups: dict[str, list[Found[Occurrence]]] = {}
    for each in found:
        groups.setdefault(each.item.tokens[each.item.place].lower(), []).append(each)
    return [
        WordNeighbour(word, len(group), group[0].cosine, group[0].item, group[0].vector)
        for word, group in groups.items()
    ]
