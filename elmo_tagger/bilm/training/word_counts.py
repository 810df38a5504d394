"""How often a text has each word, and the vocabulary that follows from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from elmo_tagger.bilm.training.encoding import encode_block
from elmo_tagger.bilm.training.parallel import map_in_order
from elmo_tagger.bilm.training.text_blocks import BLOCK_BYTES, Report, TextBlock, read_blocks
from elmo_tagger.bilm.training.vocabulary import SPECIAL_WORDS, LmVocabulary, VocabularyError


@dataclass(frozen=True)
class WordCounts:
    """The counts of a text.

    Attributes:
        by_word: Words by descending count, words of equal count in the order of their bytes. The special words, which
            a text may contain as tokens, are left out.
        sentences: Lines with a token.
        tokens: Tokens in all, special words included.
    """

    by_word: dict[str, int]
    sentences: int
    tokens: int

    def vocabulary(self, *, size: int | None = None, min_count: int = 1) -> LmVocabulary:
        """The commonest words behind the special ones.

        Args:
            size: Words at most, the special ones included; None for no bound.
            min_count: Only words that occur so often.

        Raises:
            VocabularyError: No word is left.
        """
        if size is not None and size <= len(SPECIAL_WORDS):
            raise VocabularyError(f"size: expected more than the {len(SPECIAL_WORDS)} special words, received {size}")
        words = [word for word, count in self.by_word.items() if count >= min_count]
        if not words:
            raise VocabularyError(f"expected a word that occurs at least {min_count} times: there is none")
        return LmVocabulary([*SPECIAL_WORDS, *words][:size])

    def coverage(self, words: int) -> float:
        """The share of all tokens, in [0, 1], that the so many commonest words make up."""
        counts = np.fromiter(self.by_word.values(), dtype=np.int64)
        return float(counts[:words].sum() / max(self.tokens, 1))


def count_words(
    paths: Sequence[str | Path],
    *,
    workers: int = 0,
    report: Report | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> WordCounts:
    """Count the words of text files: one sentence a line, tokens apart by white space.

    Args:
        paths: Plain files, `.gz` or `.xz`.
        workers: Processes that help; see `map_in_order`.
        report: Told of the progress.
        block_bytes: Text handed to a process at once.

    Raises:
        DataError: A file is not UTF-8; names line and offset.
        WorkerDiedError: A process was killed.
        OSError: A file cannot be read.
    """
    counts: Counter[bytes] = Counter()
    sentences = tokens = done = 0
    for block, own, lines in map_in_order(_count, read_blocks(paths, block_bytes=block_bytes), workers=workers):
        counts.update(own)
        sentences += lines
        tokens += sum(own.values())
        if report is not None:
            report(done + block.read, tokens)
        done += block.read if block.last else 0
    return WordCounts(_sorted(counts.items()), sentences, tokens)


def _count(block: TextBlock) -> tuple[TextBlock, dict[bytes, int], int]:
    encoded = encode_block(block)
    counts = np.bincount(encoded.tokens, minlength=len(encoded.words)).tolist()
    return encoded.block, dict(zip(encoded.words, counts, strict=True)), len(encoded.lengths)


def _sorted(items: Iterable[tuple[bytes, int]]) -> dict[str, int]:
    special = {word.encode() for word in SPECIAL_WORDS}
    ordered = sorted((item for item in items if item[0] not in special), key=lambda item: (-item[1], item[0]))
    return {word.decode(): count for word, count in ordered}
