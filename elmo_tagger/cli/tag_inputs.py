"""What `elmo-tagger tag` reads: plain text, JSON lines, or any annotated file, as a stream of documents."""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from elmo_tagger.errors import shown
from elmo_tagger.pipes import STANDARD_INPUT
from elmo_tagger.tagger.documents import check_input
from elmo_tagger.text.files import DataError, Report, decode_lines, give_or_raise, read_text_lines
from elmo_tagger.text.formats.format import FileOptions, Format
from elmo_tagger.text.formats.json_lines import FORMATS as JSON_LINES
from elmo_tagger.text.formats.registry import first_lines, format_of_file, format_of_lines, format_of_name, get_format
from elmo_tagger.text.sentence import Sentence

TEXT = "text"
"""The name of what is in no format."""
MAX_CHARACTERS = 20_000
"""Of a document of plain text; a longer paragraph is cut at a line."""
_HEAD_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Item:
    """A document to tag, and where it stands.

    Attributes:
        given: As `Tagger` takes it.
        path: The file.
        line: Of its first line, from 1.
        number: Of the document within its file, where an annotated file marks documents.
        bytes: Of the input that it took.
    """

    given: dict[str, Any]
    path: str
    line: int
    number: int = 0
    bytes: int = 0


def check_inputs(paths: Iterable[str], options: FileOptions, *, model: str) -> None:
    """Looks at what can be wrong before a model is loaded.

    Args:
        paths: As of `read_items`.
        options: As there.
        model: What the user calls it, for messages.

    Raises:
        DataError: There is no format of this name, or text stands where the name of a file should.
        OSError: There is no such file.
    """
    if options.format is not None and options.format != TEXT:
        get_format(options.format)
    for path in paths:
        if path != STANDARD_INPUT:
            try:
                Path(path).stat()
            except OSError as error:
                if not _reads_like_text(path):
                    raise
                problem = f"no such file; to tag a text itself: echo '...' | elmo-tagger tag {shlex.quote(model)} -"
                raise DataError(f"{shown(path)}: {problem}") from error


def _reads_like_text(path: str) -> bool:
    """Whether what should name a file is rather a sentence: several words, and no suffix as files have it."""
    return len(path.split()) > 1 and not re.search(r"\.[A-Za-z]\w{0,4}$", path)


def read_items(
    paths: Iterable[str], options: FileOptions, *, per_line: bool = False, report: Report | None = None
) -> Iterator[Item]:
    """The documents of files, one file after the other.

    Of plain text a document is what stands between blank lines, or a line; of JSON lines a line; of annotated files a
    sentence, its tokens as they are and its tags, where it has any, as `gold_tags`.

    Args:
        paths: Files, packed if named `.gz` or `.xz`; `-` for standard input, which is read as it comes.
        options: How they are to be read; the format `TEXT` too.
        per_line: Whether each line of plain text is a document.
        report: Takes the error of each line that is bad, which is left out. Without it the first one is raised.

    Raises:
        DataError: A line is wrong; names it.
        OSError: A file cannot be read.
    """
    for path in paths:
        name = options.format or _format_of(path, options.encoding)
        if name == TEXT:
            yield from _texts(path, _lines(path, options.encoding), per_line=per_line)
        elif get_format(name) in JSON_LINES:
            yield from _objects(path, _lines(path, options.encoding), report)
        else:
            yield from _sentences(path, replace(options, format=name), report)


def _format_of(path: str, encoding: str) -> str:
    if path == STANDARD_INPUT:
        found = format_of_lines(_head_of_standard_input())
    elif Path(path).suffix.lower() == ".txt":  # beside annotations it is a text all the same
        found = format_of_lines(first_lines(path, encoding=encoding))
    else:
        found = format_of_file(path, encoding=encoding) or _named(path)
    return TEXT if found is None else found.name


def _named(path: str) -> Format | None:
    try:
        return format_of_name(path)
    except DataError:
        return None


def _head_of_standard_input() -> list[str]:
    """The first lines that are there already, which are read again; none of what is typed."""
    stream = sys.stdin.buffer
    if sys.stdin.isatty():
        return []
    if isinstance(stream, io.BufferedReader):
        head = stream.peek(_HEAD_BYTES)
    else:  # memory
        place = stream.tell()
        head = stream.read(_HEAD_BYTES)
        stream.seek(place)
    lines = head.decode(errors="replace").split("\n")
    return lines[:-1] if len(head) >= _HEAD_BYTES else lines


def _lines(path: str, encoding: str) -> Iterator[tuple[int, str]]:
    if path == STANDARD_INPUT:
        return decode_lines(iter(sys.stdin.buffer.readline, b""), name="standard input", encoding=encoding)
    return read_text_lines(path, encoding=encoding)


def _texts(path: str, lines: Iterable[tuple[int, str]], *, per_line: bool) -> Iterator[Item]:
    block: list[str] = []
    first = size = characters = 0
    for number, line in lines:
        size += len(line.encode(errors="replace")) + 1
        blank = not line.strip()
        if block and (blank or per_line or characters + len(line) > MAX_CHARACTERS):
            yield Item({"text": "\n".join(block)}, path, first, bytes=size)
            block, size, characters = [], 0, 0
        if not blank:
            first = first if block else number
            block.append(line)
            characters += len(line) + 1
            if per_line:
                yield Item({"text": line}, path, number, bytes=size)
                block, size, characters = [], 0, 0
    if block:
        yield Item({"text": "\n".join(block)}, path, first, bytes=size)


def _objects(path: str, lines: Iterable[tuple[int, str]], report: Report | None) -> Iterator[Item]:
    for number, line in lines:
        if line.strip():
            try:
                given = _object(line)
            except DataError as error:
                bad = DataError(f"{path}:{number}: {error}", path=path, line=number, reading="the line is left out")
                give_or_raise(bad, report)
            else:
                yield Item(given, path, number, bytes=len(line.encode(errors="replace")) + 1)


def _object(line: str) -> dict[str, Any]:
    try:
        given = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"no JSON ({error}), found {shown(line, limit=40)}") from None
    check_input(given)
    found: dict[str, Any] = given
    return found


def _sentences(path: str, options: FileOptions, report: Report | None) -> Iterator[Item]:
    from elmo_tagger.corpus.sources import open_source

    source = open_source(path, options)
    if source.format.has_tags:
        for sentence in source.sentences(report=report):
            yield _item(path, sentence)
        return
    for document in source.documents(report=report):
        line = document.place.rpartition(":")[2]
        given = {"text": document.text} | ({"id": document.name} if document.name else {})
        yield Item(given, path, int(line) if line.isdecimal() else 0, document.number)


def _item(path: str, sentence: Sentence) -> Item:
    given: dict[str, Any] = {"tokens": sentence.tokens}
    if sentence.tags is not None:
        given["gold_tags"] = sentence.tags
    size = sum(len(token) + 2 for token in sentence.tokens)
    return Item(given, path, sentence.lines[0] if sentence.lines else 0, sentence.document, size)
