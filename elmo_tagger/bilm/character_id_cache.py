"""Character ids of words, each distinct word taken apart once."""

from __future__ import annotations

from collections.abc import Sequence

from elmo_tagger.bilm.characters import Ids, byte_row, ids_of_rows

WORDS = 2**16
"""Words that are remembered before it begins anew: some 10 MB at 50 characters a word."""


class CharacterIdCache:
    """Encodes words and remembers how.

    Args:
        max_characters: C, from the biLM's options.
        words: How many words are remembered; then they are forgotten.
    """

    def __init__(self, *, max_characters: int = 50, words: int = WORDS) -> None:
        self.max_characters = max_characters
        self.words = words
        self._rows = _Rows(max_characters, words)

    def __len__(self) -> int:
        return len(self._rows)

    def encode(self, words: Sequence[str]) -> Ids:
        """Character ids (T, C) int16 of T words, as of `encode_words`."""
        return ids_of_rows(map(self._rows.__getitem__, words), max_characters=self.max_characters)


class _Rows(dict[str, bytes]):
    """The bytes of each word, see `byte_row`."""

    def __init__(self, max_characters: int, words: int) -> None:
        super().__init__()
        self._max_characters = max_characters
        self._words = words

    def __missing__(self, word: str) -> bytes:
        if len(self) >= self._words:
            self.clear()
        row = self[word] = byte_row(word, self._max_characters)
        return row
