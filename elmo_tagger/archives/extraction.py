"""From a `.tar.gz` to a folder: every byte is checked, and nothing is written but files inside of that folder."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from elmo_tagger.errors import ElmoTaggerError, shown

PIECE = 2**20  # bytes that are read at once
MAX_MEMBERS = 10_000
MAX_NAME = 500  # characters; tar itself knows no bound
LATEST = 2**32  # seconds after 1970
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MORE = "TMPDIR names a folder with more room"


class ArchiveError(ElmoTaggerError):
    """An archive that is damaged, or holds what no trained model holds."""


@contextmanager
def extracted(file: BinaryIO, name: str) -> Iterator[Path]:
    """A temporary folder with the files of a `.tar.gz`; it is removed at the end, whatever happens.

    Args:
        file: The archive, at its beginning.
        name: Of the archive, for messages.

    Raises:
        ArchiveError: As `extract`.
    """
    with tempfile.TemporaryDirectory(prefix="elmo-tagger-", ignore_cleanup_errors=True) as folder:
        extract(file, Path(folder), name)
        yield Path(folder)


def extract(file: BinaryIO, directory: Path, name: str) -> None:
    """Unpack a `.tar.gz` into an empty folder; files keep their times.

    The whole stream is read, so that its checksum counts: `tarfile` alone stops at the last member and never sees it.

    Args:
        file: The archive, at its beginning.
        directory: The folder.
        name: Of the archive, for messages.

    Raises:
        ArchiveError: It is damaged or cut off, is no `.tar.gz`, takes more room than there is, or has a member that is
            no file or folder, or whose name leads out of the archive. What was unpacked until then stays.
    """
    try:
        with gzip.GzipFile(fileobj=file) as packed:
            stream = _Forward(packed, name)
            with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:") as archive:
                _extract_members(archive, directory, name)
            _check_rest(stream, name)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno in _FULL:  # by what others write
            raise ArchiveError(
                f"{name}: cannot be unpacked in {directory.parent}: {error.strerror}; {_MORE}"
            ) from error
        raise ArchiveError(f"{name}: expected a complete archive (model.tar.gz): {error}") from error


class _Forward:
    """What `tarfile` reads from: forward only, and never much at once.

    Sizes and offsets come from the archive. One that is too large or negative would have `tarfile` fill the memory with
    a member's name, or read the same member without end.
    """

    def __init__(self, packed: gzip.GzipFile, name: str) -> None:
        self._packed = packed
        self._name = name

    def read(self, size: int) -> bytes:
        if not 0 <= size <= PIECE:
            raise ArchiveError(f"{self._name}: expected headers of at most {PIECE} bytes, received {size}")
        return self._packed.read(size)

    def seek(self, position: int) -> int:
        if position < self._packed.tell():
            raise ArchiveError(f"{self._name}: a member leads back to byte {position}, expected one after another")
        return self._packed.seek(position)

    def tell(self) -> int:
        return self._packed.tell()


def _extract_members(archive: tarfile.TarFile, directory: Path, name: str) -> None:
    free = shutil.disk_usage(directory).free
    taken = 0
    for number, member in enumerate(archive, start=1):
        if number > MAX_MEMBERS:
            raise ArchiveError(f"{name}: expected at most {MAX_MEMBERS} files, received more")
        target = _target(member, directory, name)
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        taken += member.size
        if taken > free:
            raise ArchiveError(
                f"{name}: unpacked it takes at least {_mebibytes(taken)}, but {directory.parent} has "
                f"{_mebibytes(free)} left: {_MORE}"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        content = archive.extractfile(member)
        assert content is not None  # it is a file
        with target.open("wb") as unpacked:
            shutil.copyfileobj(content, unpacked, PIECE)
        # a time beyond all clocks is none
        time = member.mtime if 0 <= member.mtime < LATEST else 0
        os.utime(target, (time, time))


def _target(member: tarfile.TarInfo, directory: Path, name: str) -> Path:
    """Where a member goes; links, devices and the like have no business in an archive of a model."""
    path, where = PurePosixPath(member.name), f"{name}: {shown(member.name)}"
    if len(member.name) > MAX_NAME or "\\" in member.name or "\0" in member.name:
        raise ArchiveError(
            f"{name}: {shown(member.name)} is no name of a file: expected at most {MAX_NAME} characters, no \\"
        )
    inside = not path.is_absolute() and ".." not in path.parts
    if not inside or not (member.isreg() or member.isdir()) or member.issparse():
        raise ArchiveError(
            f"{name}: {shown(member.name)} is no file or directory within the archive; nothing was loaded"
        )
    if member.size < 0:
        raise ArchiveError(f"{where}: expected a size, received {member.size}")
    return directory / path


def _check_rest(stream: _Forward, name: str) -> None:
    """Reads to the end of the stream, where gzip compares its checksum; after the last member tar has only zeros."""
    read = 0
    while piece := stream.read(PIECE):
        read += len(piece)
        if read > PIECE or piece.strip(b"\0"):
            raise ArchiveError(f"{name}: expected the end of the archive after its last file, received more data")


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
