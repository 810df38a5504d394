"""A file that grows by commits and can always return to the last one.

While it grows it is called NAME.part. Beside it, NAME.part.commit holds what the last commit said, and the pages that
it changed in what earlier ones had written: they are put into NAME.part after the commit file has taken its name, and
again by whoever opens an interrupted one. In between, NAME.part only grows behind its committed end. So a format that
changes what it has written (HDF5 does) comes back whole after a kill, a full disk or a power failure. NAME itself
appears when all is done.
"""

from __future__ import annotations

import errno
import io
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from elmo_tagger.errors import ElmoTaggerError

_PAGE = 4096


class OutputError(ElmoTaggerError):
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
        OutputError: What is to be resumed is damaged, or another process is writing it.
        OSError: The file cannot be opened.
    """

    def __init__(self, path: str | Path, *, resume: bool = False) -> None:
        super().__init__()
        self.path = Path(path)
        self.state: dict[str, Any] = {}
        self._part, self._commit_file = partial_names(self.path)
        self._committed = False
        self._committed_size = self._size = self._position = 0
        # new contents of committed pages, as far as they were committed
        self._pages: dict[int, bytearray] = {}
        self._failure: OSError | None = None
        self._file = os.open(self._part, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            self._lock()
            if resume:
                self._restore()
            else:
                self._commit_file.unlink(missing_ok=True)
            os.ftruncate(self._file, self._committed_size)
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        """Bytes as of now."""
        return self._size

    def check(self) -> None:
        """Raise what `write` could not.

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
        new = self._commit_file.with_name(self._commit_file.name + ".new")
        try:
            os.fsync(self._file)  # the pages of the last commit too, which its file will no longer hold
            with new.open("wb") as file:
                file.writelines(_packed(self._size, state, self._pages))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._commit_file)
        except OSError as error:
            self._failure = error
            new.unlink(missing_ok=True)
            self.check()
        self.state, self._committed, self._committed_size = dict(state), True, self._size
        try:
            self._put_pages()
        except OSError as error:  # a resumed run will do it
            self._failure = error
            self.check()

    def finish(self) -> None:
        """Give the file its name; what was written since the last commit is included.

        Raises:
            InterruptedOutputError: Something could not be written.
        """
        self.commit(self.state)
        os.fsync(self._file)
        self._part.replace(self.path)
        self.close()
        self._commit_file.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Return to the last commit and close; without any, nothing is left."""
        if self.closed:
            return
        try:
            os.ftruncate(self._file, self._committed_size)
        finally:
            self.close()
            if not self._committed:
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
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """As of any file."""
        view = memoryview(buffer).cast("B")
        start = self._position
        view = view[: max(0, self._size - start)]
        count = os.preadv(self._file, [view], start) if len(view) else 0
        for page, inside, outside in _overlaps(start, min(start + count, self._committed_size)):
            if page in self._pages:
                view[outside] = self._pages[page][inside]
        self._position += count
        return count

    def write(self, data: Any, /) -> int:
        """As of any file, but all of it; after a failure nothing is written any more.

        Nor is a failure raised where h5py calls: HDF5 would be left with a file that it can neither write nor close.
        `check`, `commit` and `finish` raise it.
        """
        view = memoryview(data).cast("B")
        start, end = self._position, self._position + len(view)
        if self._failure is None:
            try:
                for page, inside, outside in _overlaps(start, min(end, self._committed_size)):
                    self._page(page)[inside] = view[outside]
                behind = max(0, self._committed_size - start)
                if behind < len(view):
                    _write_all(self._file, view[behind:], start + behind)
            except OSError as error:
                self._failure = error
        self._position = end
        self._size = max(self._size, end)
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        """As of any file."""
        size = self._position if size is None else size
        if self._failure is None:
            try:
                for page, inside, _ in _overlaps(size, min(self._size, self._committed_size)):
                    self._page(page)[inside] = bytes(inside.stop - inside.start)
                os.ftruncate(self._file, max(size, self._committed_size))
            except OSError as error:
                self._failure = error
        self._size = size
        return size

    def close(self) -> None:
        """Close without a commit."""
        if not self.closed:
            os.close(self._file)
        super().close()

    # ----------------------------------------------------------------------------------------------------------------

    def _page(self, number: int) -> bytearray:
        if number not in self._pages:
            length = min(_PAGE, self._committed_size - number * _PAGE)
            self._pages[number] = bytearray(os.pread(self._file, length, number * _PAGE))
        return self._pages[number]

    def _put_pages(self) -> None:
        """Put the pages of the last commit into the file."""
        for number, content in self._pages.items():
            _write_all(self._file, memoryview(content), number * _PAGE)
        self._pages.clear()
        os.ftruncate(self._file, self._committed_size)

    def _restore(self) -> None:
        try:
            content = self._commit_file.read_bytes()
        except FileNotFoundError:
            return  # interrupted before the first commit: the beginning is the point to return to
        try:
            self._committed_size, self.state, self._pages = _unpacked(content)
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(f"{self._commit_file}: damaged ({error}): start again with --overwrite") from error
        self._committed, self._size = True, self._committed_size
        present = os.fstat(self._file).st_size
        if present < self._size:
            raise OutputError(
                f"{self._part}: expected the {self._size} bytes written, found {present}: start again with --overwrite"
            )
        self._put_pages()

    def _lock(self) -> None:
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                return  # a file system without locks
            raise OutputError(f"{self._part}: another process is writing it") from error


def partial_names(path: str | Path) -> tuple[Path, Path]:
    """NAME.part and NAME.part.commit."""
    path = Path(path)
    return path.with_name(path.name + ".part"), path.with_name(path.name + ".part.commit")


def _overlaps(start: int, end: int) -> Iterator[tuple[int, slice, slice]]:
    """The pages of a stretch of the file: number, part of the page, part of the stretch."""
    for page in range(start // _PAGE, -(-end // _PAGE)):
        first, last = max(start, page * _PAGE), min(end, (page + 1) * _PAGE)
        if first < last:
            yield page, slice(first - page * _PAGE, last - page * _PAGE), slice(first - start, last - start)


def _write_all(file: int, view: memoryview, place: int) -> None:
    while len(view):
        done = os.pwrite(file, view, place)
        view, place = view[done:], place + done


def _packed(size: int, state: Mapping[str, Any], pages: Mapping[int, bytearray]) -> Iterator[bytes | bytearray]:
    """The parts of a commit file: a line of JSON, then the pages."""
    checksum = 0
    for page in pages.values():
        checksum = zlib.crc32(page, checksum)
    lengths = [[number, len(page)] for number, page in pages.items()]
    yield json.dumps({"size": size, "state": dict(state), "pages": lengths, "crc32": checksum}).encode() + b"\n"
    yield from pages.values()


def _unpacked(packed: bytes) -> tuple[int, dict[str, Any], dict[int, bytearray]]:
    line, _, content = packed.partition(b"\n")
    head = json.loads(line)
    if zlib.crc32(content) != head["crc32"]:
        raise ValueError("another checksum")
    pages, place = {}, 0
    for number, length in head["pages"]:
        pages[int(number)] = bytearray(content[place : place + length])
        place += length
    return head["size"], head["state"], pages
