"""Tables of comma-separated values as Python's csv module reads them; also with semicolons or tabs between the values.

A sentence ends at a row without values, or where a column named "sentence" (as in "Sentence #") has another value.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from elmo_tagger.errors import shown
from elmo_tagger.text.column_rows import Rows
from elmo_tagger.text.columns import DOCUMENT_MARKER
from elmo_tagger.text.files import DataError, Report, give_or_raise, read_text_lines
from elmo_tagger.text.formats.column_files import TAG
from elmo_tagger.text.formats.document import Document, are_whole
from elmo_tagger.text.formats.format import HEAD_LINES, FileOptions, Format, Table
from elmo_tagger.text.formats.spans import document_of
from elmo_tagger.text.outputs import Target, new_file
from elmo_tagger.text.sentence import Sentence

_DELIMITERS = (",", ";", "\t")
# Of a header, in lower case. The first row is one if it has any of these and no tag.
_TOKEN_NAMES = frozenset(["token", "tokens", "word", "words", "form", "text"])
_TAG_NAMES = frozenset(["tag", "tags", "ner", "ner_tag", "ner_tags", "label", "labels", "entity"])
_BOUNDARY_NAMES = ("sentence", "document")


@dataclass(frozen=True)
class Dialect:
    """How a file is written.

    Attributes:
        delimiter: What parts its values.
        quoted: Whether values may stand in quotation marks.
        header: The names in its first row, in lower case; none where that is no header.
    """

    delimiter: str
    quoted: bool
    header: tuple[str, ...] = ()

    def rows(self, lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
        """The values of each row, but for the header, with the number of its last line."""
        reader = csv.reader(
            (line + "\n" for line in lines),
            delimiter=self.delimiter,
            quoting=csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE,
        )
        for index, cells in enumerate(reader):
            if index or not self.header:
                yield reader.line_num, cells

    def column(self, names: Sequence[str] | frozenset[str]) -> int | None:
        """The first column of the header with one of these names."""
        return next((index for index, name in enumerate(self.header) if name in names), None)

    def boundary(self, name: str) -> int | None:
        """The column of the header whose name begins so."""
        return next((index for index, each in enumerate(self.header) if each.startswith(name)), None)


def dialect_of(lines: list[str], separator: str | None = None) -> Dialect | None:
    """How a file that begins with these lines is written; None if it is no table of at least two columns.

    Quotation marks count as such only where all rows are as long then and no value goes over a line's end: files that
    keep a quotation mark as a token do not quote.

    Args:
        lines: The first lines.
        separator: What parts its values, where that is known.
    """
    best, best_share = None, 0.9  # of the rows that must be equally long
    for delimiter in (separator,) if separator else _DELIMITERS:
        for quoted in (True, False):
            dialect = Dialect(delimiter, quoted)
            try:
                rows = [cells for _, cells in dialect.rows(lines) if any(cells)]
            except csv.Error:
                continue
            widths = Counter(map(len, rows))
            width, times = max(widths.items(), key=lambda item: item[1], default=(0, 0))
            over_lines = any("\n" in cell for cells in rows for cell in cells)
            if width > 1 and not over_lines and times / len(rows) > best_share:
                best, best_share = Dialect(delimiter, quoted, _header(rows[0])), times / len(rows)
    return best


def _header(cells: list[str]) -> tuple[str, ...]:
    names = tuple(cell.strip().lower() for cell in cells)
    known = _TOKEN_NAMES | _TAG_NAMES
    return names if known.intersection(names) and not any(map(TAG.fullmatch, cells)) else ()


def looks_like(lines: list[str]) -> bool:
    """Whether it is a table with a column of tags that a column file could not be."""
    dialect = dialect_of(lines)
    if dialect is None:
        return False
    rows = [cells for _, cells in dialect.rows(lines)]
    full = [cells for cells in rows if any(cells)]
    columns = zip(*(cells for cells in full if len(cells) == len(full[0])), strict=True)
    if not any("O" in column and len(set(column)) > 1 and all(map(TAG.fullmatch, column)) for column in columns):
        return False
    quotes = dialect.quoted and any(
        cell[:1] == cell[-1:] == '"' and len(cell) > 2 for line in lines for cell in line.split(dialect.delimiter)
    )
    return (
        dialect.delimiter != "\t" or bool(dialect.header) or quotes or any(cells and not any(cells) for cells in rows)
    )


def table(path: str | Path, options: FileOptions) -> Table:
    """The values of each row that has any, but for the header, whose names may tell the columns."""
    dialect = _dialect(path, options)
    rows = _all_rows(dialect, str(path), options, lambda _: None)
    return Table(
        ((number, cells) for number, cells in rows if any(cells) and DOCUMENT_MARKER not in cells),
        token_column=dialect.column(_TOKEN_NAMES),
        tag_column=dialect.column(_TAG_NAMES),
    )


def read(path: str | Path, options: FileOptions, report: Report | None = None) -> Iterator[Document]:
    """Reads sentence by sentence, or document by document where a column is named "document".

    Raises:
        DataError: No table, a row with another number of values than the first, an empty token or tag. Names the line.
        OSError: The file cannot be opened or unpacked.
    """
    dialect = _dialect(path, options)
    sentences = _sentences(str(path), dialect, options, report)
    if dialect.boundary("document") is None:
        yield from (document_of([sentence]) for sentence in sentences)
        return
    members: list[Sentence] = []
    for sentence in sentences:
        if members and sentence.document != members[0].document:
            yield _marked(members)
            members = []
        members.append(sentence)
    if members:
        yield _marked(members)


def _marked(members: list[Sentence]) -> Document:
    document = document_of(members)
    document.marked = True
    return document


def _sentences(path: str, dialect: Dialect, options: FileOptions, report: Report | None) -> Iterator[Sentence]:
    rows = _rows_of(path, dialect, options)
    boundaries = [dialect.boundary(name) for name in _BOUNDARY_NAMES]
    sentence, found, before = rows.sentence(document=0), False, ["", ""]
    for number, cells in _all_rows(dialect, path, options, report):
        if not any(cell.strip() for cell in cells):
            if sentence.tokens:
                yield sentence
            sentence = rows.sentence(document=sentence.document)
            continue
        ids = [cells[column] if column is not None and column < len(cells) else "" for column in boundaries]
        ends, new_document = (now not in ("", last) for now, last in zip(ids, before, strict=True))
        before = [now or last for now, last in zip(ids, before, strict=True)]
        if ends or new_document:
            if sentence.tokens:
                yield sentence
            sentence = rows.sentence(document=sentence.document + (new_document and found))
        try:
            rows.append(sentence, cells, number)
            found = True
        except DataError as error:
            give_or_raise(error, report)
    if sentence.tokens:
        yield sentence
    if not found:
        give_or_raise(DataError(f"{path}: no sentences in it", path=path), report)


def _rows_of(path: str, dialect: Dialect, options: FileOptions) -> Rows:
    token, tag = options.token_column, options.tag_column
    if token is None:
        token = dialect.column(_TOKEN_NAMES)
    if tag is None:
        tag = dialect.column(_TAG_NAMES)
    tag = None if options.untagged else -1 if tag is None else tag
    return Rows(path, token_column=token or 0, tag_column=tag, separator=dialect.delimiter)


def _all_rows(
    dialect: Dialect, path: str, options: FileOptions, report: Report | None
) -> Iterator[tuple[int, list[str]]]:
    rows = dialect.rows(_lines(path, options, report))
    while True:
        try:
            yield next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{path}: no table of values ({error})", path=path) from None


def _dialect(path: str | Path, options: FileOptions) -> Dialect:
    head = list(islice(_lines(path, options, report=lambda _: None), HEAD_LINES))
    dialect = dialect_of(head, options.separator)
    if dialect is None:
        known = "commas, semicolons or tabs" if options.separator is None else shown(options.separator)
        first = next((line for line in head if line.strip()), "")
        found = f"its first line is {shown(first)}" if first else "it is empty"
        raise DataError(f"{path}: expected rows of as many values each, parted by {known}; {found}", path=str(path))
    return dialect


def _lines(path: str | Path, options: FileOptions, report: Report | None = None) -> Iterator[str]:
    return (line for _, line in read_text_lines(path, encoding=options.encoding, report=report))


def write(documents: Iterable[Document], path: Target) -> None:
    """Writes a header and a row a token: its sentence's number, the token and the tag, the document's number if any.

    Raises:
        DataError: A document without tokens, or with lone surrogates.
    """
    whole, documents = are_whole(documents)
    count = 0
    with new_file(path) as file:
        file.write(line_of([*(["document"] if whole else []), "sentence", "token", "tag"]).encode())
        for index, document in enumerate(documents):
            place = document.where(index)
            if not document.sentences:
                raise DataError(f"{place}: no tokens: a table cannot express an empty text")
            for sentence, tags in zip(document.sentences, document.tags, strict=True):
                count += 1
                for token, tag in zip(sentence.tokens, tags, strict=True):
                    if "\n" in token:
                        raise DataError(f"{place}: token {shown(token)} contains a line feed: a table cannot hold it")
                    cells = [*([document.number + 1] if whole else []), count, token, tag]
                    try:
                        file.write(line_of(cells).encode())
                    except (UnicodeEncodeError, csv.Error):
                        raise DataError(f"{place}: token {shown(token)}: a table in UTF-8 cannot hold it") from None


class _Line:
    """Takes what csv.writer writes."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


def line_of(cells: Sequence[object]) -> str:
    """A row; all its values are quoted where one has a carriage return, which not every version of csv quotes."""
    line = _Line()
    careful = any("\r" in str(cell) for cell in cells)
    writer = csv.writer(line, lineterminator="\n", quoting=csv.QUOTE_ALL if careful else csv.QUOTE_MINIMAL)
    writer.writerow(cells)
    return line.text


FORMAT = Format(
    name="csv",
    description="a table of comma-separated values, one token and its tag a row",
    suffixes=(".csv",),
    has_tags=True,
    read=read,
    write=write,
    looks_like=looks_like,
    table=table,
)
