"""Plain and compressed text files, read as lines."""

from __future__ import annotations

import codecs
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import cast

from elmo_tagger.errors import ElmoTaggerError, shown
from elmo_tagger.pipes import open_kept

BOM = b"\xef\xbb\xbf"
BLOCK = 2**16  # bytes that are decoded at once

# The first bytes of what people take for text because a program shows it as text, and what to call it.
_NO_TEXT = {
    b"%PDF-": "a PDF",
    b"PK\x03\x04": "a zip archive, as .docx, .xlsx and .odt files are",
    b"\xd0\xcf\x11\xe0": "an Office document (.doc, .xls)",
    b"{\\rtf": "a document in RTF",
}

# By Python's names: encodings in which many lines together mean what each means alone. Others may carry a state over.
_STATELESS = frozenset({"utf-8", "ascii", "iso8859-1", "cp1252"})


class DataError(ElmoTaggerError):
    """Text data that cannot be read or written.

    The message is complete: place, what was found, what was expected.

    Attributes:
        path: The file; empty where there is none.
        line: The line, counted from 1; 0 where the error concerns the file as a whole.
        reading: How a reader goes on that only takes note of the error, such as "the line is left out".
    """

    def __init__(self, message: str, *, path: str = "", line: int = 0, reading: str = ""):
        super().__init__(message)
        self.path = path
        self.line = line
        self.reading = reading


class EncodingError(DataError):
    """Bytes that are no text in the encoding that is assumed: of one line, but all of them may be misread."""


Report = Callable[[DataError], None]
"""Takes note of an error, so that reading can go on."""


def skipping(note: Report) -> Report:
    """What takes note of lines that are to be left out; of other errors none, they are raised.

    A file that is empty as a whole cannot be left out, nor can bytes in another encoding: there is a way to read them.
    """

    def report(error: DataError) -> None:
        if isinstance(error, EncodingError) or (error.path and not error.line):
            raise error
        note(error)

    return report


def give_or_raise(error: DataError, report: Report | None) -> None:
    """Hands an error to `report`, or raises it where there is none."""
    if report is None:
        raise error
    report(error)


def read_lines(path: str | Path) -> Iterator[bytes]:
    r"""The lines of a file, each with its line feed; `.gz` and `.xz` are unpacked on the way.

    Lines end at `\n` alone: Unicode has further line separators, and tokens of real corpora contain them.

    Raises:
        DataError: It is a document of a word processor, a PDF or an archive.
        OSError: The file cannot be opened, or a compressed file is cut off or damaged.
    """
    with _undamaged(path), _open(path) as file:
        yield from file


def read_pieces(path: str | Path, size: int) -> Iterator[bytes]:
    """The bytes of a file, `size` at a time; `.gz` and `.xz` are unpacked on the way.

    Raises:
        DataError: As `read_lines`.
        OSError: As `read_lines`.
    """
    with _undamaged(path), _open(path) as file:
        while piece := file.read(size):
            yield piece


def read_text_lines(
    path: str | Path, *, encoding: str = "utf-8", report: Callable[[DataError], None] | None = None
) -> Iterator[tuple[int, str]]:
    r"""The lines of a text file with their numbers, counted from 1; the byte order mark and line ends are taken off.

    Args:
        path: The file; `.gz` and `.xz` are unpacked.
        encoding: Of the text.
        report: Takes the errors of lines that are no text; their bad bytes are then replaced by U+FFFD. Without it the
            first such error is raised.

    Raises:
        DataError: Bytes that are no text in this encoding; names the line and the byte's offset in the (unpacked) file.
            Or, with `report` too, as `read_lines`.
        OSError: The file cannot be opened or unpacked.
    """
    for first, text in read_text_blocks(path, encoding=encoding, report=report):
        yield from enumerate(text.split("\n"), start=first)


def read_text_blocks(
    path: str | Path, *, encoding: str = "utf-8", report: Callable[[DataError], None] | None = None
) -> Iterator[tuple[int, str]]:
    r"""As `read_text_lines`, many lines at a time: the number of the first, and the lines with `\n` between them."""
    check_encoding(encoding)
    pieces = read_pieces(path, BLOCK)
    if not _marks_lines_with_a_byte(encoding):
        pieces, encoding = _as_utf_8(pieces, encoding, name=str(path)), "utf-8"
    number, offset = 1, 0
    for block in _whole_lines(pieces):
        text = _decoded(block.removeprefix(BOM) if number == 1 else block, encoding)
        if text is None:
            yield from decode_lines(
                BytesIO(block), name=str(path), encoding=encoding, report=report, first_line=number, offset=offset
            )
        else:
            text = text.removesuffix("\n")
            yield number, text.replace("\r\n", "\n").removesuffix("\r") if "\r" in text else text
        number += block.count(b"\n")
        offset += len(block)


def _as_utf_8(pieces: Iterable[bytes], encoding: str, *, name: str) -> Iterator[bytes]:
    """The same text, for encodings whose lines show only once they are decoded, such as UTF-16."""
    try:
        for text in codecs.iterdecode(pieces, encoding):
            yield text.encode()
    except UnicodeError as error:
        raise EncodingError(f"{name}: no text in {encoding} ({error})", path=name) from None


def _whole_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, none of the pieces ending within a line."""
    held: list[bytes] = []  # joined once, however many pieces a line takes
    for piece in pieces:
        whole, feed, rest = piece.rpartition(b"\n")
        if feed:
            yield b"".join([*held, whole, feed])
            held.clear()
        held.append(rest)
    if last := b"".join(held):
        yield last


def _decoded(block: bytes, encoding: str) -> str | None:
    """The text of whole lines; None where they are to be decoded line by line."""
    if codecs.lookup(encoding).name not in _STATELESS:
        return None
    try:
        return block.decode(encoding)
    except UnicodeDecodeError:
        return None


def decode_lines(
    lines: Iterable[bytes],
    *,
    name: str,
    encoding: str = "utf-8",
    report: Callable[[DataError], None] | None = None,
    first_line: int = 1,
    offset: int = 0,
) -> Iterator[tuple[int, str]]:
    r"""As `read_text_lines`, of lines that are read already.

    Args:
        lines: Each with its line feed.
        name: Of the file, for messages.
        encoding: As there.
        report: As there.
        first_line: Number of the first of `lines`.
        offset: Bytes of the file before it.

    Raises:
        DataError: As there.
    """
    check_encoding(encoding)
    if not _marks_lines_with_a_byte(encoding):
        raise DataError(f"encoding {encoding!r}: expected one that writes a line feed as one byte, such as 'utf-8'")
    for number, line in enumerate(lines, start=first_line):
        if number == 1:
            _refuse_documents(line, name)
        if number == 1 and line.startswith(BOM):
            line = line[len(BOM) :]
            offset += len(BOM)
        try:
            text = line.decode(encoding)
        except UnicodeDecodeError as error:
            problem = _undecodable(error, path=name, number=number, offset=offset)
            if report is None:
                raise problem from None
            report(problem)
            text = line.decode(encoding, errors="replace")
        offset += len(line)
        yield number, text.removesuffix("\n").removesuffix("\r")


def check_encoding(encoding: str) -> None:
    """Refuses a name that is none of an encoding of text.

    Raises:
        DataError: It is not known.
    """
    try:
        "".encode(encoding)
    except LookupError:
        raise DataError(
            f"encoding {shown(encoding)}: unknown, expected a name such as utf-8, cp1252, latin-1, utf-16 or gb18030"
        ) from None


def _marks_lines_with_a_byte(encoding: str) -> bool:
    """Whether lines can be told before they are decoded."""
    return "\n".encode(encoding) == b"\n"


def _undecodable(error: UnicodeDecodeError, *, path: str, number: int, offset: int) -> DataError:
    line, at = error.object, error.start
    guess = _guess_encoding(line)
    hint = (
        f"; it looks like {guess}: convert it to utf-8 (iconv -f {guess} -t utf-8), or name {guess} where an encoding "
        "can be given"
        if guess
        else "; with NUL bytes in it this is hardly plain text: save it as text (UTF-8) first"
        if b"\0" in line
        else ""
    )
    return EncodingError(
        f"{path}:{number}: invalid {error.encoding}: byte 0x{line[at]:02x} at offset {offset + at} of the file,"
        f" byte {at + 1} of the line{hint}",
        path=path,
        line=number,
        reading="its bad bytes are read as U+FFFD",
    )


def _guess_encoding(line: bytes) -> str:
    """What a line that is no UTF-8 may be in; empty where nothing speaks for anything."""
    if line[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if b"\0" in line:
        return ""
    try:
        line.decode("cp1252")
    except UnicodeDecodeError:
        return ""
    return "cp1252"


@contextmanager
def _undamaged(path: str | Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
        raise OSError(f"{path}: the compressed file is cut off or damaged ({error})") from error


def _open(path: str | Path) -> BufferedReader:
    file = _unpacked(path)
    try:
        _refuse_documents(file.peek(max(map(len, _NO_TEXT))), str(path))
    except BaseException:
        file.close()
        raise
    return file


def _unpacked(path: str | Path) -> BufferedReader:
    kept = open_kept(path)
    if kept is not None:
        return cast(BufferedReader, kept)
    suffix = Path(path).suffix.lower()
    if suffix == ".gz":
        return cast(BufferedReader, gzip.open(path, "rb"))
    if suffix == ".xz":
        return cast(BufferedReader, lzma.open(path, "rb"))
    return Path(path).open("rb")


def _refuse_documents(head: bytes, name: str) -> None:
    """Refuses what begins as no text does, in whatever encoding it may be read."""
    kind = next((kind for magic, kind in _NO_TEXT.items() if head.startswith(magic)), None)
    if kind is not None:
        raise DataError(f"{name}: {kind}: expected plain text: save it as text (UTF-8) first", path=name)
