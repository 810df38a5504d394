"""Layers of sentences on disk, for a biLM that stays as it is: computed once, read in every later epoch and run.

The directory may be shared by any number of processes of a machine, and used by the next run.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from elmo_tagger.bilm.cache.files import (
    CacheReader,
    CacheWriter,
    Record,
    Values,
    cache_files,
    is_written,
    record_size,
)

logger = logging.getLogger(__name__)

_FILES = 64  # that a full cache consists of: what is evicted at once
_LOCK_NAME = "lock"
_SECONDS_BETWEEN_LOOKS = 1.0  # at what other processes did; and between notes that a file is in use


class LayerStore:
    """A bounded store of arrays by key; those that were longest not used make room, a file of them at a time.

    Args:
        directory: Where; made if need be.
        max_bytes: Of all its files.
        seconds_between_looks: How often, at most, the directory is read again for what other processes wrote.

    Raises:
        OSError: The directory cannot be made or read.
    """

    def __init__(
        self, directory: str | Path, *, max_bytes: int, seconds_between_looks: float = _SECONDS_BETWEEN_LOOKS
    ) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.max_bytes = max_bytes
        self._file_bytes = max(1, max_bytes // _FILES)
        self._between_looks = seconds_between_looks
        self._readers: dict[Path, CacheReader] = {}
        self._records: dict[bytes, tuple[CacheReader, Record]] = {}
        self._used: dict[Path, float] = {}
        self._writer: CacheWriter | None = None
        self._reserved = 0
        self._full = False
        self._looked = -float("inf")

    def get(self, key: bytes) -> Values | None:
        """The array of a key, a read-only view into a file; None if it is not stored, or damaged."""
        found = self._records.get(key)
        if found is None and time.monotonic() - self._looked >= self._between_looks:
            self._look()
            found = self._records.get(key)
        if found is None:
            return None
        reader, record = found
        values = reader.values(record)
        if values is None:
            logger.warning("%s: a damaged record is computed anew", reader.path)
            del self._records[key]
            return None
        self._note_use(reader.path)
        return values

    def put(self, key: bytes, values: Values) -> None:
        """Store an array (R, C); where there is no room, on a full disk or for one too large, it is not stored."""
        size = record_size(values)
        if self._full or size > self.max_bytes:
            return
        try:
            writer = self._room(size)
            writer.add(key, values)
            self._read_new(writer.path)
        except OSError as error:
            self._full = True
            logger.warning("%s: nothing more is stored: %s", self.directory, error)

    def close(self) -> None:
        """Close all files; the arrays given out stay good."""
        if self._writer is not None and self._writer.process == os.getpid():
            self._writer.close()
        self._writer = None
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()
        self._records.clear()

    def __reduce__(self) -> tuple[Any, ...]:
        # a copy of a model, or one that is sent to another process, opens the files anew
        make = partial(LayerStore, self.directory, max_bytes=self.max_bytes, seconds_between_looks=self._between_looks)
        return make, ()

    def _look(self) -> None:
        """Take in what other processes wrote, and let go of what they evicted."""
        self._looked = time.monotonic()
        present = set(cache_files(self.directory))
        for path in set(self._readers) - present:
            self._forget(path)
        for path in present:
            self._read_new(path)

    def _read_new(self, path: Path) -> None:
        if path not in self._readers:
            try:
                self._readers[path] = CacheReader(path)
            except FileNotFoundError:  # evicted a moment ago
                return
        reader = self._readers[path]
        self._records.update((key, (reader, record)) for key, record in reader.new_records())

    def _forget(self, path: Path) -> None:
        reader = self._readers.pop(path, None)
        if reader is not None:
            self._records = {key: found for key, found in self._records.items() if found[0] is not reader}
            reader.close()

    def _note_use(self, path: Path) -> None:
        """The time of a file's last use is its time of modification, which all processes see."""
        now = time.monotonic()
        if now - self._used.get(path, -float("inf")) >= self._between_looks:
            self._used[path] = now
            try:
                os.utime(path)
            except FileNotFoundError:  # evicted by another process: its arrays are good until the next look
                pass

    def _room(self, size: int) -> CacheWriter:
        """A file with room for a record."""
        writer = self._writer
        # a forked process must not write on in its parent's file
        if writer is not None and writer.process == os.getpid():
            if writer.size + size <= self._reserved:
                return writer
            writer.close()
        self._writer = None
        self._reserved = max(self._file_bytes, size)
        with self._directory_lock():
            self._evict(self.max_bytes - self._reserved)
            self._writer = CacheWriter(self.directory)
        return self._writer

    def _evict(self, max_bytes: int) -> None:
        """Remove the files that were longest not used, until the others take no more than so many bytes.

        A file that is being written counts with what it may still grow to, and stays.
        """
        files = []
        for path in cache_files(self.directory):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            written = is_written(path)
            size = max(status.st_size, self._file_bytes) if written else status.st_size
            files.append((written, status.st_mtime_ns, size, path))
        total = sum(size for _, _, size, _ in files)
        for written, _, size, path in sorted(files):
            if total <= max_bytes or written:
                break
            path.unlink(missing_ok=True)
            self._forget(path)
            total -= size
        if total > max_bytes:
            raise OSError("other processes are filling all of its room")

    @contextmanager
    def _directory_lock(self) -> Iterator[None]:
        with (self.directory / _LOCK_NAME).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
