"""Which of millions of vectors are likely the nearest to a query, by faiss, without reading all of them.

A folder holds an inverted file ("IVF,SQ8" in faiss's words) for every so many vectors: they are sorted into lists by
k-means and kept as 8-bit codes. A query maps the files into memory and reads the lists around it alone. What it finds
are candidates, whose cosines are to be computed from the vectors themselves.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.text.outputs import new_file, new_path
from elmo_tagger.vectors.nearest import Vectors

PART = 1 << 20  # vectors in a file: what is made is held in memory, 300 MB for vectors of 256 numbers
_BLOCK = 65536
_TRAINED_ON = 64  # vectors a list, for k-means
_READ = 8  # a query reads one list of so many; benchmarks/results/search.md has the recall
_SETTINGS = "settings.json"


class IndexFileError(ElmoTaggerError):
    """A file that is no index, a damaged one, or one of another text or biLM."""


def installed() -> bool:
    """Whether faiss can be imported."""
    return importlib.util.find_spec("faiss") is not None


def make(
    folder: Path, vectors: h5py.Dataset, settings: dict[str, Any], *, part: int = PART, anew: bool = False
) -> bool:
    """Makes what is missing of an index: all of it where the folder's is of other vectors.

    A file takes its name when it is complete, so that work that was interrupted goes on with the next one.

    Args:
        folder: Of the index.
        vectors: (N, D), of length 1.
        settings: All that they depend on, as JSON values.
        part: Vectors in a file.
        anew: Whether to make again what is there.

    Returns:
        Whether something was missing.

    Raises:
        IndexFileError: The folder is something else.
        OSError: A file cannot be written.
    """
    described = folder / _SETTINGS
    wanted = {"approximate": settings, "vectors": len(vectors), "part": part}
    if _described(folder) != wanted or anew:
        for path in folder.glob("*.faiss"):
            path.unlink()
        folder.mkdir(exist_ok=True)
        with new_file(described) as file:
            file.write(json.dumps(wanted).encode())
    missing = [start for start in range(0, len(vectors), part) if not _file(folder, start).exists()]
    for start in missing:
        with new_path(_file(folder, start)) as unfinished:
            _write(unfinished, vectors, start, min(start + part, len(vectors)))
    return bool(missing)


def candidates(folder: Path, query: Vectors, count: int) -> list[int]:
    """The rows of vectors that are likely among the nearest, in ascending order.

    Args:
        folder: Of a complete index.
        query: (D,).
        count: Rows to find in each file.

    Raises:
        IndexFileError: A file is damaged.
    """
    wanted = _described(folder)
    rows: list[int] = []
    for start in range(0, wanted["vectors"], wanted["part"]):
        index = _opened(_file(folder, start), min(wanted["part"], wanted["vectors"] - start), len(query))
        _, found = index.search(np.ascontiguousarray(query[None], np.float32), count)
        rows += [start + row for row in found[0].tolist() if 0 <= row < index.ntotal]
    return sorted(set(rows))


def _file(folder: Path, start: int) -> Path:
    return folder / f"{start}.faiss"


def _described(folder: Path) -> dict[str, Any]:
    try:
        described = json.loads((folder / _SETTINGS).read_bytes())
        if "approximate" in described:
            return dict(described)
    except FileNotFoundError:
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return {}
    except (OSError, ValueError, TypeError):
        pass
    raise IndexFileError(
        f"{folder}: expected an approximate index that `elmo-tagger search` wrote: remove it, or search with --exact"
    )


def _write(path: Path, vectors: h5py.Dataset, start: int, stop: int) -> None:
    import faiss

    lists = min(max(1, 2 * math.isqrt(stop - start)), stop - start)
    index: Any = faiss.index_factory(vectors.shape[1], f"IVF{lists},SQ8")
    index.cp.min_points_per_centroid = 1  # says nothing of few vectors
    index.nprobe = max(8, lists // _READ)
    step = max(1, (stop - start) // (_TRAINED_ON * lists))
    index.train(np.concatenate([block[::step].copy() for block in _blocks(vectors, start, stop)]))
    for block in _blocks(vectors, start, stop):
        index.add(block)
    try:
        faiss.write_index(index, str(path))
        _opened(path, stop - start, vectors.shape[1])  # faiss overlooks that the last bytes found no room
    except (RuntimeError, IndexFileError) as error:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


def _blocks(vectors: h5py.Dataset, start: int, stop: int) -> Iterator[Vectors]:
    for begin in range(start, stop, _BLOCK):
        yield vectors[begin : min(begin + _BLOCK, stop)]


def _opened(path: Path, count: int, width: int) -> Any:
    import faiss

    try:
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
        if (index.ntotal, index.d) == (count, width):
            return index
    except RuntimeError:
        pass
    raise IndexFileError(f"{path}: expected {count} vectors of an approximate index: --force makes it anew")
