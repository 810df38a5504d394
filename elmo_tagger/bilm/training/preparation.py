"""Text files -> the compact form of `corpus`, in one pass, with memory for the distinct words alone."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from elmo_tagger.bilm.training import corpus
from elmo_tagger.bilm.training.corpus import Corpus, CorpusError
from elmo_tagger.bilm.training.encoding import EncodedBlock, encode_block
from elmo_tagger.bilm.training.parallel import map_in_order
from elmo_tagger.bilm.training.text_blocks import BLOCK_BYTES, Report, read_blocks


def prepare(
    paths: Sequence[str | Path],
    directory: str | Path,
    *,
    workers: int = 0,
    report: Report | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Corpus:
    """Write a text in its compact form; the same text gives the same bytes, whatever `workers` and `block_bytes`.

    Args:
        paths: Plain files, `.gz` or `.xz`: one sentence a line, tokens apart by white space.
        directory: Takes its name once it is complete; it must not exist.
        workers: Processes that help; see `map_in_order`.
        report: Told of the progress.
        block_bytes: Text handed to a process at once.

    Raises:
        CorpusError: The text has no tokens.
        DataError: A file is not UTF-8; names line and offset.
        WorkerDiedError: A process was killed.
        OSError: A file cannot be read, or the disk is full; nothing is left behind.
    """
    directory = Path(directory)
    unfinished = directory.with_name(f".{directory.name}.{secrets.token_hex(8)}")
    unfinished.mkdir(parents=True)
    try:
        with (
            (unfinished / corpus.TOKENS_NAME).open("wb") as tokens,
            (unfinished / corpus.LENGTHS_NAME).open("wb") as lengths,
        ):
            writer = _Writer(tokens, lengths)
            done = 0
            for encoded in map_in_order(encode_block, read_blocks(paths, block_bytes=block_bytes), workers=workers):
                writer.add(encoded)
                if report is not None:
                    report(done + encoded.block.read, writer.tokens)
                done += encoded.block.read if encoded.block.last else 0
        if not writer.tokens:
            raise CorpusError(f"{', '.join(map(str, paths)) or 'no files'}: expected text: there is no token in it")
        writer.finish(unfinished, paths)
        unfinished.replace(directory)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Corpus.open(directory, verify=False)


def prepared(
    paths: Sequence[str | Path], directory: str | Path, *, workers: int = 0, report: Report | None = None
) -> Corpus:
    """The compact form of a text, from a directory that keeps it from training to training.

    Args:
        paths: See `prepare`; or one directory that `prepare` wrote.
        directory: Holds a directory for each text, named after the files' paths, sizes and times of change.
        workers: As for `prepare`.
        report: As for `prepare`; not called if nothing has to be done.

    Raises:
        CorpusError: What is kept is damaged.
    """
    if len(paths) == 1 and corpus.is_corpus(paths[0]):
        return Corpus.open(paths[0])
    own = Path(directory) / _key(paths)
    return Corpus.open(own) if corpus.is_corpus(own) else prepare(paths, own, workers=workers, report=report)


def _key(paths: Sequence[str | Path]) -> str:
    digest = hashlib.blake2b(corpus.FORMAT.encode(), digest_size=16)
    for path in paths:
        status = Path(path).stat()
        digest.update(f"\n{Path(path).resolve()}\n{status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()


class _Writer:
    """Gives words their numbers and writes those of the tokens."""

    def __init__(self, tokens: BinaryIO, lengths: BinaryIO) -> None:
        self._tokens, self._lengths = tokens, lengths
        self._number = {word.encode(): number for number, word in enumerate(corpus.BOUNDARIES)}
        self._counts: npt.NDArray[np.uint64] = np.zeros(1024, dtype="<u8")
        self._sentences: dict[str, int] = {}
        self.tokens = 0

    def add(self, encoded: EncodedBlock) -> None:
        number = self._number
        numbers = np.fromiter(
            (number.setdefault(word, len(number)) for word in encoded.words), dtype="<u4", count=len(encoded.words)
        )
        if len(number) > len(self._counts):
            self._counts = np.concatenate([self._counts, np.zeros(len(number), dtype="<u8")])
        # the words of a block are distinct, so no number comes twice
        self._counts[numbers] += np.bincount(encoded.tokens, minlength=len(numbers)).astype("<u8")
        self._tokens.write(numbers[encoded.tokens].tobytes())
        self._lengths.write(encoded.lengths.astype("<u4").tobytes())
        self.tokens += len(encoded.tokens)
        path = encoded.block.path
        self._sentences[path] = self._sentences.get(path, 0) + len(encoded.lengths)

    def finish(self, directory: Path, paths: Sequence[str | Path]) -> None:
        """Write the words, the counts and, last, the index."""
        with (directory / corpus.WORDS_NAME).open("wb") as file:
            file.writelines(word + b"\n" for word in self._number)
        (directory / corpus.COUNTS_NAME).write_bytes(self._counts[: len(self._number)].tobytes())
        files: list[dict[str, Any]] = [
            {"path": str(path), "bytes": Path(path).stat().st_size, "sentences": self._sentences[str(path)]}
            for path in paths
        ]
        index = {
            "format": corpus.FORMAT,
            "tokens": self.tokens,
            "sentences": sum(self._sentences.values()),
            "words": len(self._number),
            "files": files,
            "checksum": corpus.checksum(directory),
        }
        (directory / corpus.INDEX_NAME).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
