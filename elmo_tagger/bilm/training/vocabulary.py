"""The words that a language model predicts, in bilm-tf's file format.

One word a line, UTF-8: `<S>`, `</S>` and `<UNK>` first, then words by descending frequency, which the log-uniform
sampler relies on (see `log_uniform`). A line's number, from 0, is the word's number in the softmax.

Source: https://github.com/allenai/bilm-tf, README.md and bilm/data.py, Vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from elmo_tagger.bilm.characters import BEGIN_SENTENCE_WORD, END_SENTENCE_WORD
from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.text.files import read_text_lines
from elmo_tagger.text.outputs import Target, new_file

UNKNOWN_WORD = "<UNK>"
SPECIAL_WORDS = (BEGIN_SENTENCE_WORD, END_SENTENCE_WORD, UNKNOWN_WORD)
BEGIN, END, UNKNOWN = range(3)

# Fewer words say little about an order; a list by frequency of a similar text has a correlation of 0.5 and more, an
# alphabetical one of about 0.
_FEWEST_WORDS, _LOWEST_CORRELATION = 100, 0.2


class VocabularyError(ElmoTaggerError):
    """A list of words that is no vocabulary of a language model."""


@dataclass(frozen=True)
class LmVocabulary:
    """The words of a softmax.

    Args:
        words: V words, the special ones first.
        source: Where they come from, for messages.

    Raises:
        VocabularyError: The special words are not where they belong, or a word is empty, has white space or is there
            twice.
    """

    words: Sequence[str]
    source: str = field(default="vocabulary", compare=False)

    def __post_init__(self) -> None:
        first = tuple(self.words[: len(SPECIAL_WORDS)])
        if first != SPECIAL_WORDS:
            raise VocabularyError(
                f"{self.source}: expected {', '.join(SPECIAL_WORDS)} as the first {len(SPECIAL_WORDS)} words, received "
                f"{', '.join(map(repr, first)) or 'nothing'}: bilm-tf's format, as `elmo-tagger vocab` writes it"
            )
        line_of: dict[str, int] = {}
        for line, word in enumerate(self.words, start=1):
            if not word or len(word.encode().split()) != 1:
                raise VocabularyError(f"{self.source}:{line}: expected one word, received {word!r}")
            if line_of.setdefault(word, line) != line:
                raise VocabularyError(f"{self.source}:{line}: {word!r} is in line {line_of[word]} too")

    @classmethod
    def from_file(cls, path: str | Path) -> LmVocabulary:
        """Read a vocabulary.

        Raises:
            VocabularyError: See the class.
            DataError: The file is not UTF-8.
            OSError: It cannot be read.
        """
        return cls([line for _, line in read_text_lines(path)], source=str(path))

    def save(self, path: Target) -> None:
        """Write the file; what stood there is replaced once it is complete."""
        with new_file(path) as file:
            file.writelines(f"{word}\n".encode() for word in self.words)

    def __len__(self) -> int:
        return len(self.words)

    def numbers(self, words: Iterable[str]) -> npt.NDArray[np.int64]:
        """The words' numbers; that of `<UNK>` for those which are not in the vocabulary."""
        number = {word: index for index, word in enumerate(self.words)}
        return np.fromiter((number.get(word, UNKNOWN) for word in words), dtype=np.int64)

    def check_order(self, counts: npt.NDArray[np.int64]) -> None:
        """Refuse a vocabulary that is not sorted by frequency.

        Args:
            counts: (V,) how often a text has each word; the special ones are not looked at.

        Raises:
            VocabularyError: Frequent words do not come first.
        """
        found = np.flatnonzero(counts[len(SPECIAL_WORDS) :]) + len(SPECIAL_WORDS)
        if len(found) < _FEWEST_WORDS:
            return
        correlation = _rank_correlation(-found, counts[found])
        if correlation < _LOWEST_CORRELATION:
            raise VocabularyError(
                f"{self.source}: expected words by descending frequency, as the sampled softmax needs them, but their "
                f"order and their counts in this text have a rank correlation of {correlation:.2f}, where 1 is sorted: "
                "build it with `elmo-tagger vocab`, or use the full softmax"
            )


def _rank_correlation(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> float:
    """Spearman's, equal numbers sharing the mean of their ranks; 1 where all numbers of a side are equal."""
    ranks = [_ranks(side) for side in (left, right)]
    deviations = [rank - rank.mean() for rank in ranks]
    norm = float(np.sqrt((deviations[0] ** 2).sum() * (deviations[1] ** 2).sum()))
    return float((deviations[0] * deviations[1]).sum()) / norm if norm else 1.0


def _ranks(values: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = count.cumsum()
    return (last - (count - 1) / 2.0)[place]
