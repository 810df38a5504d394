"""Tables of texts and labels: CSV, TSV and JSON lines, one text a row, their columns given by name or number."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from elmo_tagger.errors import shown
from elmo_tagger.text.files import DataError, Report, give_or_raise, read_text_lines
from elmo_tagger.text.formats.csv_files import Dialect
from elmo_tagger.text.formats.format import HEAD_LINES

_DELIMITERS = (",", ";", "\t")
_JSON_SUFFIXES = (".jsonl", ".ndjson")
Column = str | int


@dataclass(frozen=True)
class LabelledText:
    """A row.

    Attributes:
        text: Its text.
        label: Its label; None where no column of labels is read.
        line: Of the file, from 1: where the row ends.
    """

    text: str
    label: str | None
    line: int


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """How a file is to be read.

    Attributes:
        text_column: The column of the texts: a name in the first row, or a number from 0, negative from the end.
        label_column: That of the labels, likewise; None to read none.
        separator: What parts values; by default whichever of comma, semicolon and tab the first row has most of.
        header: Whether the first row holds names; by default if a column is given by its name.
        encoding: Of the file.
    """

    text_column: Column = "text"
    label_column: Column | None = "label"
    separator: str | None = None
    header: bool | None = None
    encoding: str = "utf-8"

    def read(self, path: str | Path, *, report: Report | None = None) -> Iterator[LabelledText]:
        """The rows of a file that have any value, in order.

        Args:
            path: Named `.jsonl` or `.ndjson` for JSON lines, else CSV or TSV; `.gz` and `.xz` are unpacked.
            report: Takes the errors of single rows, which are left out; without it the first is raised.

        Raises:
            DataError: A column is missing, or a row cannot be read; names the line.
            OSError: The file cannot be read.
        """
        name = str(path).lower().removesuffix(".gz").removesuffix(".xz")
        found = False
        for row in self._json_rows(path, report) if name.endswith(_JSON_SUFFIXES) else self._rows(path, report):
            found = True
            yield row
        if not found:
            raise DataError(f"{path}: no texts in it", path=str(path))

    def _json_rows(self, path: str | Path, report: Report | None) -> Iterator[LabelledText]:
        for number, line in read_text_lines(path, encoding=self.encoding, report=report):
            if not line.strip():
                continue
            try:
                fields = json.loads(line)
            except (ValueError, RecursionError):
                fields = None
            try:
                if not isinstance(fields, Mapping):
                    raise DataError(
                        f"{path}:{number}: expected a JSON object, received {shown(line, limit=60)}",
                        path=str(path),
                        line=number,
                        reading="the line is left out",
                    )
                yield self._row({str(key): value for key, value in fields.items()}, path, number)
            except DataError as error:
                give_or_raise(error, report)

    def _rows(self, path: str | Path, report: Report | None) -> Iterator[LabelledText]:
        dialect, names = self._dialect(path)
        rows = dialect.rows(line for _, line in read_text_lines(path, encoding=self.encoding, report=report))
        width = 0
        while True:
            try:
                number, cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                raise DataError(f"{path}: no table of values ({error})", path=str(path)) from None
            if not any(cell.strip() for cell in cells):
                continue
            width = width or len(names) or len(cells)
            try:
                if len(cells) != width:
                    raise DataError(
                        f"{path}:{number}: expected {width} values, as in the first row, received {len(cells)}: "
                        f"{shown(dialect.delimiter.join(cells), limit=60)}",
                        path=str(path),
                        line=number,
                        reading="the row is left out",
                    )
                columns = dict(enumerate(cells)) | {index - width: cell for index, cell in enumerate(cells)}
                yield self._row(columns | dict(zip(names, cells, strict=False)), path, number)
            except DataError as error:
                give_or_raise(error, report)

    def _row(self, values: Mapping[Column, object], path: str | Path, number: int) -> LabelledText:
        wanted = [self.text_column] + ([] if self.label_column is None else [self.label_column])
        cells = []
        for column in wanted:
            value = values.get(column)
            if isinstance(value, (int, float)) and column != self.text_column:
                value = str(value)  # a label in JSON
            if not isinstance(value, str) or not value.strip():
                raise DataError(
                    f"{path}:{number}: expected a text in the column {column!r}, received {shown(value)}",
                    path=str(path),
                    line=number,
                    reading="the row is left out",
                )
            cells.append(value.strip())
        return LabelledText(cells[0], cells[1] if len(cells) > 1 else None, number)

    def _dialect(self, path: str | Path) -> tuple[Dialect, tuple[str, ...]]:
        """How the file is written, and the names in its first row; none where that is no header."""
        lines = read_text_lines(path, encoding=self.encoding, report=lambda _: None)
        head = [line for _, line in islice(lines, HEAD_LINES)]
        first = next((line for line in head if line.strip()), "")
        delimiter = self.separator or max(_DELIMITERS, key=first.count)
        quoted = _is_quoted(head, delimiter)
        columns = [column for column in (self.text_column, self.label_column) if column is not None]
        named = any(isinstance(column, str) for column in columns)
        if not (named if self.header is None else self.header):
            return Dialect(delimiter, quoted), ()
        names = next((tuple(cells) for _, cells in Dialect(delimiter, quoted).rows(iter([first]))), ())
        names = tuple(name.strip() for name in names)
        for column in columns:
            if isinstance(column, str) and column not in names:
                raise DataError(
                    f"{path}:1: expected a column named {column!r}, received {', '.join(map(repr, names)) or 'no row'}"
                    "; a column may also be given by its number, from 0",
                    path=str(path),
                    line=1,
                )
        return Dialect(delimiter, quoted, names), names


def _is_quoted(lines: list[str], delimiter: str) -> bool:
    """Whether quotation marks hold values together: unless more rows are as long as the first where they do not."""
    alike = {}
    for quoted in (True, False):
        try:
            rows = [cells for _, cells in Dialect(delimiter, quoted).rows(iter(lines)) if cells]
        except csv.Error:
            rows = []
        alike[quoted] = sum(len(cells) == len(rows[0]) for cells in rows[:-1]) / len(rows) if rows else 0.0
    return alike[True] >= alike[False]


def split(size: int, shares: Mapping[str, float], *, seed: int) -> dict[str, list[int]]:
    """Shuffles places and cuts them into parts, the same way for the same size, shares and seed.

    Args:
        size: How many places there are.
        shares: The share of each part by its name; they add up to 1.
        seed: Of the order.

    Returns:
        The places, from 0 and in ascending order, of each part.

    Raises:
        DataError: The shares are none, or do not add up to 1.
    """
    if any(not 0.0 <= share <= 1.0 for share in shares.values()) or abs(sum(shares.values()) - 1.0) > 1e-6:
        raise DataError(f"split: expected shares that add up to 1, received {shown(dict(shares))}")
    order = list(range(size))
    random.Random(seed).shuffle(order)
    parts: dict[str, list[int]] = {}
    before, total = 0, 0.0
    for name, share in shares.items():
        total += share
        after = round(total * size)
        parts[name] = sorted(order[before:after])
        before = after
    return parts
