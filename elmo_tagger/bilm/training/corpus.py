"""A text in the compact form that training reads: memory-mapped numbers, whatever the text's size.

A directory of five files; `preparation` writes it, and nothing in it depends on a vocabulary or on a biLM:

    tokens.u32    for each token the number of its word
    lengths.u32   tokens of each sentence
    words.txt     the distinct words, one a line: `<S>`, `</S>`, then in the order of their first tokens
    counts.u64    how often the text has each word
    index.json    sizes, the files the text came from, and a checksum of the other four
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from elmo_tagger.bilm.characters import BEGIN_SENTENCE_WORD, END_SENTENCE_WORD
from elmo_tagger.errors import ElmoTaggerError

FORMAT = "elmo_tagger lm stream 1"
TOKENS_NAME, LENGTHS_NAME, WORDS_NAME, COUNTS_NAME = "tokens.u32", "lengths.u32", "words.txt", "counts.u64"
INDEX_NAME = "index.json"
BOUNDARIES = (BEGIN_SENTENCE_WORD, END_SENTENCE_WORD)
BEGIN_TYPE, END_TYPE = range(2)

PARTS = ("all", "train", "held_out")
_CHUNK_BYTES = 1 << 24


class CorpusError(ElmoTaggerError):
    """A prepared text that is damaged or no such thing."""


@dataclass(frozen=True)
class Spans:
    """Sentences as places in a corpus' tokens.

    Attributes:
        starts: (S,) int64, each sentence's first token.
        lengths: (S,) int64, its tokens, 1 at least.
    """

    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def tokens(self) -> int:
        """Tokens of all sentences."""
        return int(self.lengths.sum())

    def cut(self, longest: int) -> Spans:
        """Sentences of more than `longest` tokens cut into several, the last of which may be shorter."""
        pieces = -(-self.lengths // longest)
        piece = np.arange(pieces.sum()) - np.repeat(pieces.cumsum() - pieces, pieces)
        starts = np.repeat(self.starts, pieces) + piece * longest
        return Spans(starts, np.minimum(np.repeat(self.lengths, pieces) - piece * longest, longest))


@dataclass(frozen=True)
class Corpus:
    """A prepared text.

    Attributes:
        directory: Where it lies.
        tokens: (N,) uint32, the word of each token, memory-mapped.
        lengths: (S,) uint32, tokens of each sentence.
        words: The distinct words, `<S>` and `</S>` first.
        counts: For each word how often the text has it.
        files: For each text file its path, size, and number of sentences.
        checksum: Of all of this.
    """

    directory: Path
    tokens: npt.NDArray[np.uint32]
    lengths: npt.NDArray[np.uint32]
    words: list[str]
    counts: npt.NDArray[np.uint64]
    files: list[dict[str, Any]]
    checksum: str

    @classmethod
    def open(cls, directory: str | Path, *, verify: bool = True) -> Corpus:
        """Open a prepared text.

        Args:
            directory: As `preparation.prepare` wrote it.
            verify: Compare the checksum, which reads everything once.

        Raises:
            CorpusError: It is damaged or of another format.
            OSError: It cannot be read.
        """
        directory = Path(directory)
        index = _index(directory)
        tokens = _map(directory / TOKENS_NAME, np.dtype("<u4"), index["tokens"])
        lengths = _map(directory / LENGTHS_NAME, np.dtype("<u4"), index["sentences"])
        counts = _map(directory / COUNTS_NAME, np.dtype("<u8"), index["words"])
        found = checksum(directory) if verify else index["checksum"]
        if found != index["checksum"]:
            raise CorpusError(
                f"{directory}: expected files with the checksum {index['checksum']} of {INDEX_NAME}, received {found}: "
                "they were changed or damaged; remove the directory and prepare the text again"
            )
        words = (directory / WORDS_NAME).read_bytes().decode().split("\n")[:-1]
        return cls(directory, tokens, lengths, words, counts, index["files"], found)

    def sentences(self, part: str = "all", hold_out: float = 0.0) -> Spans:
        """The sentences, or a part of them.

        Held out are the last sentences of each file, so that a held-out sentence has its neighbours held out too.

        Args:
            part: `all`, `held_out` or `train`: what is not held out.
            hold_out: Share of each file's sentences that is held out, rounded up.

        Raises:
            ValueError: There is no such part, or the share is not below 1.
        """
        if part not in PARTS:
            raise ValueError(f"part: expected one of {', '.join(PARTS)}, received {part!r}")
        if not 0.0 <= hold_out < 1.0:
            raise ValueError(f"hold_out: expected a share of the sentences, 0 or more and below 1, received {hold_out}")
        spans = self._all
        if part == "all":
            return spans
        counts = np.array([file["sentences"] for file in self.files], dtype=np.int64)
        kept = counts - np.ceil(counts * hold_out).astype(np.int64)
        place = np.arange(len(spans)) - np.repeat(counts.cumsum() - counts, counts)
        chosen = (place < np.repeat(kept, counts)) == (part == "train")
        return Spans(spans.starts[chosen], spans.lengths[chosen])

    @cached_property
    def _all(self) -> Spans:
        lengths = self.lengths.astype(np.int64)
        return Spans(lengths.cumsum() - lengths, lengths)


def is_corpus(path: str | Path) -> bool:
    """Whether a path is the directory of a prepared text."""
    return (Path(path) / INDEX_NAME).is_file()


def checksum(directory: Path) -> str:
    """BLAKE2b of the four files of numbers and words."""
    digest = hashlib.blake2b(FORMAT.encode(), digest_size=16)
    for name in (TOKENS_NAME, LENGTHS_NAME, WORDS_NAME, COUNTS_NAME):
        with (directory / name).open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


def _index(directory: Path) -> dict[str, Any]:
    path = directory / INDEX_NAME
    try:
        index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorpusError(f"{path}: expected the index of a prepared text: {error}") from error
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise CorpusError(f"{path}: expected the index of a prepared text, format {FORMAT!r}")
    return index


def _map(path: Path, dtype: np.dtype[Any], size: int) -> npt.NDArray[Any]:
    expected = size * dtype.itemsize
    received = path.stat().st_size
    if received != expected:
        raise CorpusError(f"{path}: expected {expected} bytes, received {received}: the file is cut off or damaged")
    return np.memmap(path, dtype=dtype, mode="r", shape=(size,)) if size else np.empty(0, dtype)
