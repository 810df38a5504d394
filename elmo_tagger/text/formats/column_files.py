"""Column files as documents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from elmo_tagger.text.columns import DOCUMENT_MARKER, read_columns, write_columns
from elmo_tagger.text.files import DataError, Report, read_text_lines
from elmo_tagger.text.formats.document import Document, are_whole
from elmo_tagger.text.formats.format import FileOptions, Format, Table
from elmo_tagger.text.formats.spans import document_of
from elmo_tagger.text.outputs import Target
from elmo_tagger.text.sentence import Sentence

TAG = re.compile(r"\?|(O\|)?[BILUESMW]-[^\W\d_]\S*|O")
"""What is taken for a tag, or a partial label, where nobody has said that there are tags."""


def read(path: str | Path, options: FileOptions, report: Report | None = None) -> Iterator[Document]:
    """Reads a file that begins with a document marker document by document, another sentence by sentence.

    Raises:
        DataError: As `elmo_tagger.text.read_columns`.
    """
    sentences = read_columns(
        path,
        token_column=options.token_column or 0,
        tag_column=None if options.untagged else -1 if options.tag_column is None else options.tag_column,
        separator=options.separator,
        encoding=options.encoding,
        report=report,
    )
    if _begins_with_marker(path, options.encoding):
        for _, group in groupby(sentences, key=lambda sentence: sentence.document):
            document = document_of(list(group))
            document.marked = True
            yield document
    else:
        for sentence in sentences:
            yield document_of([sentence])


def write(documents: Iterable[Document], path: Target) -> None:
    """Writes tokens and tags, with tabs between them in a file named .tsv; white space between tokens is not kept.

    Raises:
        DataError: Tokens that a column file cannot hold.
    """
    whole, documents = are_whole(documents)
    separator = "\t" if ".tsv" in Path(path).suffixes else " "
    # Counting from 1 makes the first document begin with a marker.
    write_columns(_sentences(documents, first=int(whole)), path, separator=separator)


def table(path: str | Path, options: FileOptions) -> Table:
    """The cells of each line that has any, but for document markers; lines with other columns than the rest too."""
    lines = read_text_lines(path, encoding=options.encoding, report=lambda _: None)
    rows = ((number, cells_of(line, options.separator)) for number, line in lines)
    return Table((number, cells) for number, cells in rows if any(cells) and DOCUMENT_MARKER not in cells)


def cells_of(line: str, separator: str | None) -> list[str]:
    """The cells of a line, as `read_columns` takes them apart."""
    if separator is not None:
        return line.split(separator)
    return [cell for cell in line.replace("\t", " ").split(" ") if cell]


def looks_like(lines: list[str]) -> bool:
    """Whether all lines have as many cells, at least two, and the last is a tag in each, `O` in one and no `O` in one.

    Sentences of one length that all end so are not found in text.
    """
    return any(
        _are_columns([cells_of(line, separator) for line in lines if line.strip(" \t")]) for separator in (None, "\t")
    )


def _are_columns(rows: list[list[str]]) -> bool:
    rows = [cells for cells in rows if DOCUMENT_MARKER not in cells]
    tags = {cells[-1] for cells in rows}
    widths = {len(cells) for cells in rows}
    outside = any(tag.split("|")[0] == "O" for tag in tags)
    return len(widths) == 1 and widths != {1} and outside and len(tags) > 1 and all(map(TAG.fullmatch, tags))


def _sentences(documents: Iterable[Document], *, first: int) -> Iterator[Sentence]:
    for index, document in enumerate(documents):
        if not document.sentences:
            raise DataError(f"{document.where(index)}: no tokens: a column file cannot express an empty text")
        for sentence, tags in zip(document.sentences, document.tags, strict=True):
            yield Sentence(sentence.tokens, tags, path=document.place, document=document.number + first)


def _begins_with_marker(path: str | Path, encoding: str) -> bool:
    lines = read_text_lines(path, encoding=encoding, report=lambda _: None)
    first = next((line for _, line in lines if line.strip(" \t")), "")
    return DOCUMENT_MARKER in cells_of(first, None)


FORMAT = Format(
    name="columns",
    description="one token and its tag a line",
    suffixes=(".conll", ".iob", ".iob2", ".bio", ".txt", ".tsv"),
    has_tags=True,
    read=read,
    write=write,
    looks_like=looks_like,
    table=table,
)
