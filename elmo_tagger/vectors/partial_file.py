"""A file that grows by commits and can always return to the last one.

While it grows it is called NAME.part; beside it, NAME.part.json says what the last commit held, and NAME.part.undo what
has been overwritten since, page by page, before it was. So a format that changes what it has written (HDF5 does) comes
back whole after a kill, a full disk or a power failure. NAME itself appears when all is done.
"""

from __future__ import annotations

import errno
import io
import json
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PAGE = 4096
_UNDO_MAGIC = b"elmo-tagger undo 1\n"
_UNDO_START = struct.Struct("<Q")  # the commit that it leads back to
_UNDO_ENTRY = struct.Struct("<QII")  # page, bytes, their CRC-32


class OutputError(ValueError):
    """An output that stands in the way, or that cannot be continued."""


class InterruptedOutputError(OSError):
    """Writing failed; what was committed is safe."""


class PartialFile(io.RawIOBase):
    """NAME.part, open for reading and writing at any place; h5py can work on it.

    Args:
        path: NAME.
        resume: Continue from the last commit; otherwise begin anew.

    Attributes:
        state: What the last commit said; empty before the first.

    Raises:
        OutputError: There is nothing to resume, or it is damaged, or another process is writing it.
        OSError: The file cannot be opened.
    """

    def __init__(self, path: str | Path, *, resume: bool = False) -> None:
        super().__init__()
        self.path = Path(path)
        self._part, self._state_file, self._undo_file = partial_names(self.path)
        self.state: dict[str, Any] = {}
        self._commit, self._size = 0, 0
        self._saved: set[int] = set()
        self._undo = -1
        self._failure: OSError | None = None
        self._file = os.open(self._part, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            self._lock()
            if resume:
                self._read_state()
            else:
                self._state_file.unlink(missing_ok=True)
                self._undo_file.unlink(missing_ok=True)
            self._roll_back()
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        """Bytes as of now."""
        return os.fstat(self._file).st_size

    def check(self) -> None:
        """Raise what a call of h5py could not.

        Raises:
            InterruptedOutputError: Something could not be written since the last commit.
        """
        if self._failure is not None:
            raise InterruptedOutputError(
                f"{self._part}: {self._failure.strerror or self._failure}; what was written before is complete there: "
                "continue with --resume"
            ) from self._failure

    def commit(self, state: Mapping[str, Any]) -> None:
        """Make what was written so far the point to return to.

        Args:
            state: JSON values that a resumed run will find in `state`.

        Raises:
            InterruptedOutputError: Something could not be written, now or since the last commit.
        """
        self.check()
        try:
            os.fsync(self._file)
            number, size = self._commit + 1, self.size
            written = self._state_file.with_name(self._state_file.name + ".new")
            with written.open("w", encoding="utf-8") as file:
                json.dump({"commit": number, "size": size, "state": dict(state)}, file)
                file.flush()
                os.fsync(file.fileno())
            written.replace(self._state_file)
        except OSError as error:
            self._failure = error
            self.check()
        # from here on the new commit counts: an undo file that leads back to an older one is passed over
        self.state, self._commit, self._size = dict(state), number, size
        self._drop_undo()

    def finish(self) -> None:
        """Give the file its name; what was written since the last commit is included."""
        self.check()
        os.fsync(self._file)
        self._part.replace(self.path)
        self.close()
        self._state_file.unlink(missing_ok=True)
        self._undo_file.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Return to the last commit and close; a file without any commit is removed."""
        if self.closed:
            return
        self._failure = None
        try:
            self._roll_back()
        finally:
            self.close()
            if not self._commit:
                self._part.unlink(missing_ok=True)

    # The file, as io and h5py use it -------------------------------------------------------------------------------

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """As of any file."""
        return os.lseek(self._file, offset, whence)

    def readinto(self, buffer: Any, /) -> int:
        """As of any file."""
        return os.readv(self._file, [buffer])

    def write(self, data: Any, /) -> int:
        """As of any file, but all of it; after a failure nothing is written until `abandon`.

        Nor is a failure raised where h5py calls: HDF5 would be left with a file that it can neither write nor close.
        `check`, `commit` and `finish` raise it.
        """
        view = memoryview(data).cast("B")
        if self._failure is None:
            try:
                self._save_pages(os.lseek(self._file, 0, os.SEEK_CUR), len(view))
                _write_all(self._file, view)
            except OSError as error:
                self._failure = error
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        """As of any file."""
        size = os.lseek(self._file, 0, os.SEEK_CUR) if size is None else size
        if self._failure is None:
            try:
                self._save_pages(size, max(0, self._size - size))
                os.ftruncate(self._file, size)
            except OSError as error:
                self._failure = error
        return size

    def close(self) -> None:
        """Close without a commit."""
        if not self.closed:
            self._close_undo()
            os.close(self._file)
        super().close()

    # ----------------------------------------------------------------------------------------------------------------

    def _save_pages(self, start: int, length: int) -> None:
        """Keep what the last commit had where it is about to be overwritten."""
        end = min(start + length, self._size)
        pages = [page for page in range(start // _PAGE, -(-end // _PAGE)) if page not in self._saved]
        if start >= end or not pages:
            return
        entries = bytearray() if self._saved else bytearray(_UNDO_MAGIC + _UNDO_START.pack(self._commit))
        for page in pages:
            old = os.pread(self._file, min(_PAGE, self._size - page * _PAGE), page * _PAGE)
            entries += _UNDO_ENTRY.pack(page, len(old), zlib.crc32(old)) + old
        if self._undo < 0:
            self._undo = os.open(self._undo_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        _write_all(self._undo, memoryview(entries))
        os.fsync(self._undo)
        self._saved.update(pages)

    def _roll_back(self) -> None:
        self._close_undo()
        for page, old in _undo_entries(self._undo_file, self._commit):
            os.pwrite(self._file, old, page * _PAGE)
        if self.size < self._size:
            raise OutputError(
                f"{self._part}: shorter than the {self._size} bytes written: start again with --overwrite"
            )
        os.ftruncate(self._file, self._size)
        os.fsync(self._file)
        self._drop_undo()

    def _drop_undo(self) -> None:
        self._close_undo()
        self._undo_file.unlink(missing_ok=True)
        self._saved.clear()

    def _close_undo(self) -> None:
        if self._undo >= 0:
            os.close(self._undo)
            self._undo = -1

    def _read_state(self) -> None:
        try:
            stored = json.loads(self._state_file.read_text(encoding="utf-8"))
            self._commit, self._size, self.state = stored["commit"], stored["size"], stored["state"]
        except FileNotFoundError:
            return  # interrupted before the first commit: the beginning is the point to return to
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(f"{self._state_file}: damaged ({error}): start again with --overwrite") from error

    def _lock(self) -> None:
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                return  # a file system without locks
            raise OutputError(f"{self._part}: another process is writing it") from error


def partial_names(path: str | Path) -> tuple[Path, Path, Path]:
    """NAME.part, and the two files beside it."""
    path = Path(path)
    return tuple(path.with_name(path.name + suffix) for suffix in (".part", ".part.json", ".part.undo"))  # type: ignore[return-value]


def _write_all(file: int, view: memoryview) -> None:
    while len(view):
        view = view[os.write(file, view) :]


def _undo_entries(path: Path, commit: int) -> list[tuple[int, bytes]]:
    """The pages to put back; an entry cut short was never followed by the overwriting that it prepares."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    start = len(_UNDO_MAGIC) + _UNDO_START.size
    if len(content) < start or content[: len(_UNDO_MAGIC)] != _UNDO_MAGIC:
        return []
    if _UNDO_START.unpack_from(content, len(_UNDO_MAGIC))[0] != commit:
        return []
    entries = []
    while start + _UNDO_ENTRY.size <= len(content):
        page, length, checksum = _UNDO_ENTRY.unpack_from(content, start)
        start += _UNDO_ENTRY.size
        old = content[start : start + length]
        if len(old) < length or zlib.crc32(old) != checksum:
            break
        entries.append((page, old))
        start += length
    return entries
