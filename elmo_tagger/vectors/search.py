"""The sentences nearest to a query, by pooled vectors: computed as the text is read, or kept in an index on disk.

An index is one HDF5 file, read a block at a time: `vectors` (N, D) float32 of length 1, `texts` and `lines` of the
sentences, and as attributes what all of it depends on. The search is exact, whatever the size.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from elmo_tagger.bilm.weights_hash import weights_hash
from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.text.files import read_pieces
from elmo_tagger.text.outputs import Target, errors_at_the_end, new_path
from elmo_tagger.vectors.compute import SentenceVectors
from elmo_tagger.vectors.nearest import Found, Nearest, Vectors, unit
from elmo_tagger.vectors.sentences import SentenceSource
from elmo_tagger.vectors.shards import HDF5_VERSION
from elmo_tagger.vectors.windows import windows

_SETTINGS = "elmo_tagger_index"
_BLOCK = 65536  # rows that are held in memory at once
_WINDOW_TOKENS = 16384


class IndexFileError(ElmoTaggerError):
    """A file that is no index, or one of another text or biLM."""


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


def search_index(path: str | Path, settings: dict[str, Any], query: Vectors, top: int) -> list[Found[Line]]:
    """As `search`, in an index; the texts of what is found alone are read.

    Args:
        path: The file.
        settings: What it has to be of.
        query: (D,).
        top: How many.

    Raises:
        IndexFileError: It is damaged, or of something else.
        OSError: There is no such file.
    """
    try:
        with h5py.File(path, "r") as file:
            written = json.loads(file.attrs[_SETTINGS])
            changed = [name for name in settings if written.get(name) != settings[name]]
            if changed:
                raise IndexFileError(
                    f"{path}: an index of something else ({', '.join(changed)} differ): expected another name, or "
                    "--force to make it anew"
                )
            nearest: Nearest[int] = Nearest(query[None], top)
            for start in range(0, len(file["vectors"]), _BLOCK):
                block = file["vectors"][start : start + _BLOCK]
                nearest.show(block, range(start, start + len(block)))
            texts, numbers = file["texts"].asstr(), file["lines"]
            return [
                Found(each.cosine, Line(texts[each.item], int(numbers[each.item])), each.vector)
                for each in nearest.found()[0]
            ]
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, (IndexFileError, FileNotFoundError)):
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
