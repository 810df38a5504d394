"""Character ids of words that were met before, in one table: a word is encoded once, a sentence is one look-up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elmo_tagger.bilm.characters import Ids, encode_words

WORDS = 2**16
"""Words that a table holds before it begins anew: 6.5 MB at 50 characters a word."""

_FIRST = 2**10


class WordRows:
    """A bounded table of words and their character ids.

    Args:
        max_characters: C, from the biLM's options.
        words: How many words it holds; once it is full it is emptied.
    """

    def __init__(self, *, max_characters: int = 50, words: int = WORDS) -> None:
        self.max_characters = max_characters
        self.words = words
        self._row_of: dict[str, int] = {}
        self._table: Ids = np.empty((min(_FIRST, words), max_characters), dtype=np.int16)

    def __len__(self) -> int:
        return len(self._row_of)

    def encode(self, words: Sequence[str]) -> Ids:
        """Character ids (T, C) int16 of T words, as of `encode_words`."""
        try:
            return self._table[[self._row_of[word] for word in words]]
        except KeyError:
            self._add(words)
        if len(self._row_of) > self.words:
            self._clear()
            return encode_words(words, max_characters=self.max_characters)
        return self._table[[self._row_of[word] for word in words]]

    def _add(self, words: Sequence[str]) -> None:
        new = [word for word in dict.fromkeys(words) if word not in self._row_of]
        start = len(self._row_of)
        end = start + len(new)
        if end > len(self._table):
            larger = np.empty((max(end, 2 * len(self._table)), self.max_characters), dtype=np.int16)
            larger[:start] = self._table[:start]
            self._table = larger
        self._table[start:end] = encode_words(new, max_characters=self.max_characters)
        self._row_of.update(zip(new, range(start, end), strict=True))

    def _clear(self) -> None:
        self._row_of.clear()
        self._table = self._table[:_FIRST].copy()  # gives the rest back
