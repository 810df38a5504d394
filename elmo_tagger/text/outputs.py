"""Files to write: none half-written, none over an input, none over another file unless that is asked for.

A file grows under a random name beside its own and takes its name once it is complete. What may be destroyed on the way
is said by an `Output`, which every function that writes a path takes in its place; a plain path is replaced.
"""

from __future__ import annotations

import errno
import gzip
import io
import lzma
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from elmo_tagger.pipes import is_pipe
from elmo_tagger.text.files import DataError

STANDARD_OUTPUT = "-"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
Target = str | os.PathLike[str]
"""What may be written: a path, or an `Output`."""


class OutputError(DataError):
    """An output that stands in the way of something, or that something stands in the way of."""


class Output(os.PathLike[str]):
    """The path that a command writes, and what it must not touch.

    Args:
        path: A file or folder; `-` for standard output.
        inputs: What the command reads, files or folders: no file of these is written over, whatever `force` says. Files
            are told by their identity, so neither links nor other spellings of a path deceive.
        force: Whether another file that is there may be replaced.
        folder: Whether a folder of files may be written; they are looked at one by one, once their names are known.
        permission: What the user has to say for `force`, for messages.

    Raises:
        OutputError: The path is one of the inputs, there is a file already, or it is a folder where a file is written.
        OSError: There is no folder to write the file into.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        inputs: Iterable[str | Path] = (),
        force: bool = False,
        folder: bool = False,
        permission: str = "--force",
    ) -> None:
        self.path = Path(path)
        self.inputs = tuple(map(Path, inputs))
        self.force = force
        self._permission = permission
        if folder and (self.path.is_dir() or not self.path.exists()):
            return
        if self.path.is_dir():
            raise OutputError(f"{path}: is a folder: expected the name of a file", path=str(path))
        if not self.path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        self.check(self.path)

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def check(self, path: Path) -> None:
        """Refuses a file, this path or one in this folder, that must not be written.

        Raises:
            OutputError: It is an input, or exists though nobody said that it may be replaced.
        """
        if is_pipe(path):
            return
        there = os.path.lexists(path)
        source = next((each for each in self.inputs if _same(each, path) or (there and _contains(each, path))), None)
        if source is not None:
            what = "an input" if str(source) == str(path) or not source.is_dir() else f"a part of the input {source}"
            raise OutputError(f"{path}: is {what}: expected another name for what is written", path=str(path))
        if there and not self.force:
            raise OutputError(f"{path}: exists already: expected another name, or {self._permission}", path=str(path))


@contextmanager
def new_file(path: Target) -> Iterator[BinaryIO]:
    """A file to write, compressed when it is named `.gz` or `.xz`, which takes its name only once it is complete.

    An error while writing leaves what stood there before; an error of the disk names the file. Compressed bytes depend
    on the content alone (no time stamp). Standard output and pipes get the content once it is complete.

    Raises:
        OutputError: As `Output`.
        OSError: The file cannot be written.
    """
    if is_pipe(_plain(path)):
        with tempfile.TemporaryFile() as whole:
            yield cast(BinaryIO, whole)
            whole.seek(0)
            _pour(cast(BinaryIO, whole), _plain(path))
        return
    with (
        new_path(path) as unfinished,
        io.BufferedWriter(_NamedFile(unfinished, str(path), "r+")) as raw,
        _packed(cast(BinaryIO, raw), _plain(path).suffix.lower()) as file,
    ):
        yield file


@contextmanager
def new_path(path: Target) -> Iterator[Path]:
    """A new, empty file beside a path, for what can only write to paths; it takes the path's name when all is done.

    Raises:
        OutputError: As `Output`.
        OSError: The file cannot be made, or not be given its name.
    """
    target = Path(os.path.realpath(_plain(path)))  # a link stays, and what it points to is replaced
    unfinished = target.with_name(_random_name(target.name))
    try:
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except OSError as error:
        error.filename = str(path)
        raise
    try:
        with _full_disk_named(unfinished, path):
            yield unfinished
        _give_name(unfinished, target, path, _plain(path))
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Target) -> Iterator[Path]:
    """An empty folder to fill with files, which are moved into the one asked for when all of them are there.

    That one is made if need be; other files in it stay.

    Raises:
        OutputError: As `Output`, of any of the files; none is moved then.
        OSError: The folder cannot be written.
    """
    if is_pipe(_plain(path)):
        raise OutputError(f"{path}: a folder of files is written: expected the name of a folder, not a pipe")
    target = Path(os.path.realpath(_plain(path)))
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(_random_name(target.name))
    try:
        with _full_disk_named(unfinished, path):
            unfinished.mkdir()
            yield unfinished
            target.mkdir(exist_ok=True)
        files = sorted(unfinished.iterdir())
        if isinstance(path, Output):
            for file in files:
                path.check(path.path / file.name)
        for file in files:
            _give_name(file, target / file.name, path, _plain(path) / file.name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def errors_at_the_end(path: Path, shown: Target) -> Iterator[LateErrors]:
    """A file for a library that an error while writing would leave in pieces, as it does HDF5: it crashes later.

    Once a write has failed nothing is written any more, and the error is raised when the library is done. The library
    reads what it wrote all the same.

    Args:
        path: The file.
        shown: What to call it in the error.

    Raises:
        OSError: Something could not be written.
    """
    file = LateErrors(path, "w+")
    try:
        with file:
            yield file
    except Exception as error:
        if file.failure is None:
            raise
        raise _named(file.failure, shown) from error
    if file.failure is not None:
        raise _named(file.failure, shown)


@contextmanager
def _full_disk_named(unfinished: Path, path: Target) -> Iterator[None]:
    """Within, an error of a full disk names what was asked for; Python's files, once open, name nothing."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL and (error.filename is None or str(error.filename).startswith(str(unfinished))):
            _named(error, path)
        raise


def _named(error: OSError, path: Target) -> OSError:
    error.filename = str(path)
    return error


class LateErrors(io.FileIO):
    """Writes all or, after a failure, nothing; keeps the failure.

    What is written after it is kept in memory, as HDF5 reads back what it wrote, lengths and addresses among it: a
    caller that writes much looks at `check` from time to time.
    """

    failure: OSError | None = None

    def __init__(self, path: Path, mode: str) -> None:
        super().__init__(path, mode)
        self._kept: list[tuple[int, bytes]] = []  # what is not in the file, with its place, oldest first

    def check(self) -> None:
        """Ends a work that has become useless.

        Raises:
            OSError: Something could not be written.
        """
        if self.failure is not None:
            raise self.failure

    def write(self, data: Any, /) -> int:
        """Takes all of it, whether or not there is room."""
        view = memoryview(data).cast("B")
        done = 0
        while self.failure is None and done < len(view):
            try:
                done += super().write(view[done:])
            except OSError as error:
                self.failure = error
        if self.failure is not None:
            self._kept.append((self.tell(), bytes(view[done:])))
            super().seek(len(view) - done, os.SEEK_CUR)
        return len(view)

    def readinto(self, buffer: Any, /) -> int:
        """What was written, in the file or not; zeros where nothing was."""
        if self.failure is None:
            return super().readinto(buffer) or 0
        view, start = memoryview(buffer).cast("B"), self.tell()
        end = start + len(view)
        count = super().readinto(view) or 0
        view[count:] = bytes(len(view) - count)
        for place, data in self._kept:
            first, last = max(place, start), min(place + len(data), end)
            if first < last:
                view[first - start : last - start] = data[first - place : last - place]
        super().seek(end)
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        """As if there were room."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return self.tell() if size is None else size


class _NamedFile(io.FileIO):
    """A file whose errors name the path that was asked for; without it a full disk would name none."""

    def __init__(self, path: Path, shown: str, mode: str) -> None:
        self._shown = shown
        super().__init__(path, mode)

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            error.filename = self._shown
            raise


def _plain(path: Target) -> Path:
    return path.path if isinstance(path, Output) else Path(path)


def _random_name(name: str) -> str:
    """A hidden name that no other process thinks of; of long names the beginning, as a name's length is bounded."""
    return f".{name[:60]}.{secrets.token_hex(8)}"


def _give_name(unfinished: Path, target: Path, output: Target, shown: Path) -> None:
    if isinstance(output, Output) and not output.force:
        try:
            os.link(unfinished, target)  # unlike renaming, it fails where a file has appeared in the meantime
            return
        except FileExistsError:
            output.check(shown)
        except OSError:  # a file system without links
            output.check(shown)
    unfinished.replace(target)


def _contains(folder: Path, path: Path) -> bool:
    """Whether a file lies in a folder, or a link in the folder points to it."""
    if not folder.is_dir():
        return False
    return any(_same(folder, each) for each in Path(os.path.realpath(path)).parents) or any(
        _same(each, path) for each in folder.rglob("*")
    )


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there
        return os.path.realpath(one) == os.path.realpath(other)


def _pour(whole: BinaryIO, path: Path) -> None:
    if str(path) == STANDARD_OUTPUT:
        sys.stdout.flush()
        shutil.copyfileobj(whole, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        with io.BufferedWriter(_NamedFile(path, str(path), "w")) as stream:
            shutil.copyfileobj(whole, stream)


@contextmanager
def _packed(raw: BinaryIO, suffix: str) -> Iterator[BinaryIO]:
    if suffix == ".gz":
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
            yield cast(BinaryIO, packed)
    elif suffix == ".xz":
        with lzma.open(raw, "wb") as packed_xz:
            yield cast(BinaryIO, packed_xz)
    else:
        yield raw
