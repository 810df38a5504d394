"""Files that are no text of one sentence a line, though each of their lines could be read as one."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from elmo_tagger.text.columns import DOCUMENT_MARKER
from elmo_tagger.text.files import DataError
from elmo_tagger.text.tokenize import split_at_spaces

HEAD_LINES = 1000
_TAG = re.compile(r"O|[BILUESMW]-[^\W\d_]\S*")
# The first lines, stripped; words that are set apart have no quotation mark right behind a bracket.
_JSON = re.compile(r'(\[\n?\{\n?|\{\n)"[^"]*"\s*:')
_JSON_LINES = 3  # enough for the first key


class _Line(Protocol):
    @property
    def text(self) -> str: ...


LineT = TypeVar("LineT", bound=_Line)


def sentences_only(lines: Iterable[LineT], *, path: str, name: str) -> Iterator[LineT]:
    """Passes lines on, and refuses what their head tells to be something else.

    Args:
        lines: From the file's first on.
        path: The file, `-` for standard input.
        name: For messages.

    Raises:
        DataError: It is a column file or JSON; says what to do.
    """
    stream, columns, opening = iter(lines), _Columns(), list[str]()
    for line in islice(stream, HEAD_LINES):
        words = split_at_spaces(line.text).tokens
        if words and len(opening) < _JSON_LINES:
            opening.append(line.text.strip())
            _refuse_json(opening, path, name)
        if not words and columns.told:
            break
        yield line
        if words:
            columns.add(words)
        if columns.refuted and len(opening) == _JSON_LINES:
            break
    if columns.told:
        raise DataError(
            f"{name}: a column file (a token and its tag a line), expected a sentence a line: convert it first: "
            f"{_conversion(path)}",
            path=path,
        )
    yield from stream


class _Columns:
    """Whether lines are those of a column file.

    All have as many cells, at least two, and the last is a tag in each: `O` in one, a letter with a type in another.
    Sentences of one length that all end so are not found in text.
    """

    def __init__(self) -> None:
        self.refuted = False
        self._width = 0
        self._tags: set[str] = set()

    @property
    def told(self) -> bool:
        return not self.refuted and "O" in self._tags and len(self._tags) > 1

    def add(self, cells: list[str]) -> None:
        if cells[0] == DOCUMENT_MARKER:
            return
        self._width = self._width or len(cells)
        self._tags.add(cells[-1])
        self.refuted |= len(cells) != self._width or len(cells) < 2 or not _TAG.fullmatch(cells[-1])


def _refuse_json(opening: list[str], path: str, name: str) -> None:
    try:
        value = json.loads(opening[0]) if len(opening) == 1 else None
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict) and not value.keys().isdisjoint(("tokens", "sentence", "text")):
        raise DataError(
            f"{name}: JSON lines, expected a sentence a line: give it a name that ends in .jsonl, or --layout jsonl",
            path=path,
        )
    if _JSON.match("\n".join(opening)):
        raise DataError(
            f"{name}: JSON, expected a sentence a line, or JSON lines: if it is Label Studio's export, convert it "
            f"first: {_conversion(path, json_format=True)}, and read that with --raw",
            path=path,
        )


def _conversion(path: str, *, json_format: bool = False) -> str:
    if path == "-":
        path = "FILE"
    source = Path(path)
    target = (source.with_suffix("") if source.suffix.lower() in (".gz", ".xz") else source).with_suffix(".jsonl")
    told = json_format and ".json" not in source.suffixes
    hint = " --in-format label-studio" if told else ""
    return f"elmo-tagger convert {shlex.quote(path)} {shlex.quote(str(target))}{hint}"
