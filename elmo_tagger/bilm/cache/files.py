"""The files of a cache of layers: records one after the other, each with its key, its shape and checksums.

A file is written by one process, which holds a lock on it while it does, and read by any. Nothing in it is changed once
written; a file that is no longer used is removed as a whole. So readers need no locks: what is torn at the end of a
file, or is no record at all, fails its checksum.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import re
import struct
import uuid
import weakref
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_NAME = re.compile(r"[0-9a-f]{32}\.layers")
KEY_BYTES = 32
DTYPES = ("float32", "float16")
_MAGIC = b"elmo-tagger layers 1\n".ljust(32, b"\0")
# key, type of number, rows, columns, checksum of the values; then the checksum of all these
_HEADER = struct.Struct(f"<{KEY_BYTES}sBIII")
_CHECKSUM = struct.Struct("<I")
_ALIGNED = 64

Values = npt.NDArray[np.floating[Any]]


def cache_files(directory: Path) -> list[Path]:
    """The files of a cache; what else lies in its directory is left alone."""
    return [path for path in directory.iterdir() if _NAME.fullmatch(path.name) and path.is_file()]


@dataclass(frozen=True, slots=True)
class Record:
    """Where the values of a key are.

    Attributes:
        start: Byte of the file at which they begin.
        dtype: `float32` or `float16`.
        shape: Rows and columns.
        checksum: CRC-32 of the values.
    """

    start: int
    dtype: str
    shape: tuple[int, int]
    checksum: int

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return self.shape[0] * self.shape[1] * np.dtype(self.dtype).itemsize


class CacheReader:
    """A file of records, memory-mapped; it may still grow."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDONLY)
        # a store has no natural end: it lives as long as the model
        self._close = weakref.finalize(self, os.close, self._file)
        self._map: mmap.mmap | None = None
        self._end = 0

    def new_records(self) -> Iterator[tuple[bytes, Record]]:
        """The complete records that were added since the last call; none of a file that is none of a cache."""
        size = os.fstat(self._file).st_size
        if size <= max(self._end, len(_MAGIC)):
            return
        if self._end == 0:
            if os.pread(self._file, len(_MAGIC), 0) != _MAGIC:
                return
            self._end = len(_MAGIC)
        while (found := self._record(size)) is not None:
            key, record = found
            self._end = _aligned(record.start + record.size)
            yield key, record

    def values(self, record: Record) -> Values | None:
        """The values of a record, a view into the file; None if they are damaged."""
        end = record.start + record.size
        if self._map is None or len(self._map) < end:
            try:
                self._map = mmap.mmap(self._file, 0, access=mmap.ACCESS_READ)
            except ValueError:  # emptied by somebody
                return None
        # a file that somebody cut must not be touched through the map: that would end the process
        if min(len(self._map), os.fstat(self._file).st_size) < end:
            return None
        values = np.frombuffer(self._map, record.dtype, record.shape[0] * record.shape[1], record.start)
        if zlib.crc32(values.data) != record.checksum:
            return None
        return values.reshape(record.shape)

    def close(self) -> None:
        """Close the file; views into it stay good."""
        self._map = None
        self._close()

    def _record(self, size: int) -> tuple[bytes, Record] | None:
        head = os.pread(self._file, _HEADER.size + _CHECKSUM.size, self._end)
        if len(head) < _HEADER.size + _CHECKSUM.size:
            return None
        if zlib.crc32(head[: _HEADER.size]) != _CHECKSUM.unpack_from(head, _HEADER.size)[0]:
            return None
        key, dtype, rows, columns, checksum = _HEADER.unpack_from(head)
        record = Record(_aligned(self._end + len(head)), DTYPES[dtype], (rows, columns), checksum)
        return (key, record) if record.start + record.size <= size else None


class CacheWriter:
    """A new file of records, locked as long as it is open.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / f"{uuid.uuid4().hex}.layers"
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        self._close = weakref.finalize(self, os.close, self._file)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self.size = 0
        self.process = os.getpid()
        self._append(_MAGIC)

    def add(self, key: bytes, values: Values) -> None:
        """Add a record.

        Raises:
            OSError: It cannot be written, as on a full disk; the file is then of no use for further ones.
        """
        values = np.ascontiguousarray(values)
        dtype = DTYPES.index(values.dtype.name)
        head = _HEADER.pack(key, dtype, *values.shape, zlib.crc32(values.data))
        head += _CHECKSUM.pack(zlib.crc32(head))
        start = _aligned(self.size + len(head))
        end = _aligned(start + values.nbytes)
        filling = bytes(start - self.size - len(head)), bytes(end - start - values.nbytes)
        self._append(head + filling[0])
        self._append(values.reshape(-1).view(np.uint8).data)
        self._append(filling[1])

    def close(self) -> None:
        """Close and unlock."""
        self._close()

    def _append(self, content: bytes | memoryview) -> None:
        content = memoryview(content)
        while len(content):
            done = os.write(self._file, content)
            self.size += done
            content = content[done:]


def record_size(values: Values) -> int:
    """Upper bound on the bytes that a record takes in a file."""
    return values.nbytes + 4 * _ALIGNED


def is_written(path: Path) -> bool:
    """Whether a process is writing a file."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _aligned(place: int) -> int:
    return -(-place // _ALIGNED) * _ALIGNED
