"""Text files of any size, cut into blocks of whole lines for several processes to work on."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from elmo_tagger.pipes import open_kept
from elmo_tagger.text.files import BOM

BLOCK_BYTES = 1 << 22  # large against the cost of handing a block over, small against memory
Report = Callable[[int, int], None]
"""Takes how many bytes of the files are done, as they lie on disk, and how many tokens were found there."""


@dataclass(frozen=True)
class TextBlock:
    """Some whole lines of a file.

    Attributes:
        path: The file.
        data: The lines' bytes, unpacked; each ends with a line feed, but perhaps the file's last one.
        first_line: Number of the first line in the file, from 1.
        offset: Place of the first byte in the unpacked file.
        read: Bytes of the file, as it lies on disk, that had been read after this block.
        last: Whether the file ends here.
    """

    path: str
    data: bytes
    first_line: int
    offset: int
    read: int
    last: bool


def read_blocks(paths: Iterable[str | Path], *, block_bytes: int = BLOCK_BYTES) -> Iterator[TextBlock]:
    """The lines of files, one file after the other; `.gz` and `.xz` are unpacked on the way.

    Pipes, and `-` for standard input, are read within `pipes_kept`. A line longer than a block
    makes its block longer. A file's byte order mark is taken off.

    Raises:
        OSError: A file cannot be read, or a compressed one is cut off or damaged.
    """
    for path in paths:
        with open_kept(path) or Path(path).open("rb") as raw:
            try:
                yield from _blocks(str(path), raw, block_bytes)
            except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
                raise OSError(f"{path}: the compressed file is cut off or damaged ({error})") from error


def _blocks(path: str, raw: IO[bytes], block_bytes: int) -> Iterator[TextBlock]:
    stream = _unpacked(raw, Path(path).suffix.lower())
    data = stream.read(block_bytes)
    offset, line = 0, 1
    if data.startswith(BOM):
        data, offset = data[len(BOM) :], len(BOM)
    while True:
        more = stream.read(block_bytes)
        end = data.rfind(b"\n") + 1 if more else len(data)
        if end or not more:
            yield TextBlock(path, data[:end], line, offset, raw.tell(), last=not more)
            if not more:
                return
            line += data.count(b"\n", 0, end)
            offset += end
        data = data[end:] + more


def _unpacked(raw: IO[bytes], suffix: str) -> IO[bytes]:
    if suffix == ".gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if suffix == ".xz":
        return cast(IO[bytes], lzma.LZMAFile(raw))
    return raw
