"""The sentences nearest to a query, by pooled vectors: computed as the text is read, or kept in an index on disk.

An index is one HDF5 file, read a block at a time: `vectors` (N, D) float32 of length 1, `texts` and `lines` of the
sentences, and as attributes what all of it depends on. The search is exact; beside an index of very many sentences an
`approximate` one may tell which of them to look at.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from elmo_tagger.bilm.weights_hash import weights_hash
from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.text.files import read_pieces
from elmo_tagger.text.outputs import Target, errors_at_the_end, new_path
from elmo_tagger.vectors import approximate
from elmo_tagger.vectors.approximate import IndexFileError
from elmo_tagger.vectors.compute import SentenceVectors
from elmo_tagger.vectors.nearest import Found, Nearest, Vectors, unit
from elmo_tagger.vectors.sentences import SentenceSource
from elmo_tagger.vectors.shards import HDF5_VERSION
from elmo_tagger.vectors.windows import windows

APPROXIMATE_ABOVE = 1_000_000
"""Sentences up to which an index is searched exactly: they take half a second of one core."""
_CANDIDATES = 10  # for each sentence that is wanted, of each file of an approximate index
_SETTINGS = "elmo_tagger_index"
_BLOCK = 65536  # rows that are held in memory at once
_WINDOW_TOKENS = 16384


class Line(NamedTuple):
    """A sentence of the text: its text, and the line that it begins in, from 1."""

    text: str
    number: int


Block = tuple[Vectors, list[Line]]


def settings_of(source: SentenceSource, vectors: SentenceVectors) -> dict[str, Any]:
    """All that an index depends on, as JSON values; reads the text once."""
    digest = hashlib.blake2b(digest_size=16)
    for piece in read_pieces(source.path, 1 << 20):
        digest.update(piece)
    request = vectors.request
    return {
        "text": digest.hexdigest(),
        "layout": source.layout,
        "raw": source.tokenizer.language if source.tokenizer else None,
        "weights": weights_hash(vectors.bilm),
        "layers": request.layers,
        "pooling": request.pooling,
    }


def computed(source: SentenceSource, vectors: SentenceVectors) -> Iterator[Block]:
    """Blocks of vectors of length 1 and their sentences, from the text itself; sentences without words are left out."""
    for window in windows((each for each in source.read() if each.tokens), max_tokens=_WINDOW_TOKENS):
        arrays = vectors([sentence.tokens for sentence in window.sentences])
        yield unit(np.stack(arrays)), [Line(sentence.text, sentence.line) for sentence in window.sentences]


def write_index(path: Target, blocks: Iterator[Block], settings: dict[str, Any]) -> int:
    """Writes an index, which takes its name once it is complete.

    Returns:
        The number of sentences.

    Raises:
        IndexFileError: There are no sentences.
        OSError: The file cannot be written.
    """
    count = 0
    with new_path(path) as unfinished, errors_at_the_end(unfinished, path) as raw:
        with h5py.File(raw, "w", libver=HDF5_VERSION) as file:
            file.attrs[_SETTINGS] = json.dumps(settings)
            for vectors, lines in blocks:
                if not count:
                    _create(file, vectors.shape[1])
                for name, values in (
                    ("vectors", vectors),
                    ("texts", [line.text for line in lines]),
                    ("lines", [line.number for line in lines]),
                ):
                    file[name].resize(count + len(lines), axis=0)
                    file[name][count:] = values
                count += len(lines)
                raw.check()
        if not count:
            raise IndexFileError("expected sentences to search, received none")
    return count


def _create(file: h5py.File, width: int) -> None:
    file.create_dataset("vectors", (0, width), np.float32, maxshape=(None, width), chunks=(1024, width))
    file.create_dataset("texts", (0,), h5py.string_dtype(), maxshape=(None,))
    file.create_dataset("lines", (0,), np.int64, maxshape=(None,), chunks=(1024,))


def approximate_index(
    path: Path,
    settings: dict[str, Any],
    *,
    above: int = APPROXIMATE_ABOVE,
    anew: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> Path | None:
    """The approximate index beside one of many sentences; what is missing of it is made.

    Args:
        path: The index.
        settings: What it has to be of.
        above: Sentences up to which there is none.
        anew: Whether to make again what is there.
        report: Takes a line for the user.

    Returns:
        Its folder, or None where the search is exact: for few sentences, or without faiss.

    Raises:
        IndexFileError: The index is damaged, or of something else; the folder is something else.
        OSError: There is no such file, or a file cannot be written.
    """
    folder = path.with_name(f"{path.name}.faiss")
    with _opened(path, settings) as file:
        vectors = file["vectors"]
        if len(vectors) <= above:
            return None
        if not approximate.installed():
            report(f"{path}: {len(vectors):,} sentences are compared; `pip install 'elmo-tagger[search]'` spares most")
            return None
        if approximate.make(folder, vectors, settings, anew=anew):
            report(f"{folder}: an approximate index of {len(vectors):,} sentences; --exact searches without it")
    return folder


def search_index(
    path: str | Path, settings: dict[str, Any], query: Vectors, top: int, *, beside: Path | None = None
) -> list[Found[Line]]:
    """As `search`, in an index; the texts of what is found alone are read.

    Args:
        path: The file.
        settings: What it has to be of.
        query: (D,).
        top: How many.
        beside: The approximate index that says which sentences to look at, instead of all.

    Raises:
        IndexFileError: It is damaged, or of something else.
        OSError: There is no such file.
    """
    nearest: Nearest[int] = Nearest(query[None], top)
    with _opened(path, settings) as file:
        vectors = file["vectors"]
        if beside is None:
            for start in range(0, len(vectors), _BLOCK):
                block = vectors[start : start + _BLOCK]
                nearest.show(block, range(start, start + len(block)))
        else:
            rows = approximate.candidates(beside, unit(query), _CANDIDATES * top)
            nearest.show(vectors[rows], rows)
        texts, numbers = file["texts"].asstr(), file["lines"]
        return [
            Found(each.cosine, Line(texts[each.item], int(numbers[each.item])), each.vector)
            for each in nearest.found()[0]
        ]


@contextmanager
def _opened(path: str | Path, settings: dict[str, Any]) -> Iterator[h5py.File]:
    # Without a cache of chunks a row is read alone, and not the thousand around it.
    try:
        with h5py.File(path, "r", rdcc_nbytes=0) as file:
            written = json.loads(file.attrs[_SETTINGS])
            changed = [name for name in settings if written.get(name) != settings[name]]
            if changed:
                raise IndexFileError(
                    f"{path}: an index of something else ({', '.join(changed)} differ): expected another name, or "
                    "--force to make it anew"
                )
            yield file
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, ElmoTaggerError) or getattr(error, "errno", None):  # those of HDF5 have no number
            raise
        raise IndexFileError(f"{path}: expected an index that `elmo-tagger search` wrote: {error}") from error


def search(blocks: Iterator[Block], query: Vectors, top: int) -> list[Found[Line]]:
    """The nearest sentences, the nearest first; of equals the one that comes first in the text.

    Args:
        blocks: All sentences.
        query: (D,).
        top: How many.
    """
    nearest: Nearest[Line] = Nearest(query[None], top)
    for vectors, lines in blocks:
        nearest.show(vectors, lines)
    return nearest.found()[0]
