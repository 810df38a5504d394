"""Column files as documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from elmo_tagger.text.columns import DOCUMENT_MARKER, read_columns, write_columns
from elmo_tagger.text.files import DataError, read_text_lines
from elmo_tagger.text.formats.alignment import document_of, token_spans
from elmo_tagger.text.formats.document import Document, SpansOf, TagsOf, are_whole
from elmo_tagger.text.outputs import Target
from elmo_tagger.text.sentence import Sentence


def read(
    path: str | Path, *, spans_of: SpansOf, token_column: int = 0, tag_column: int = -1, separator: str | None = None
) -> Iterator[Document]:
    """Reads a file that begins with a document marker document by document, another sentence by sentence.

    Raises:
        DataError: As `elmo_tagger.text.read_columns`.
    """
    sentences = read_columns(path, token_column=token_column, tag_column=tag_column, separator=separator)
    if _begins_with_marker(path):
        for _, group in groupby(sentences, key=lambda sentence: sentence.document):
            members = list(group)
            document = document_of(members, [spans_of(sentence) for sentence in members])
            document.marked = True
            yield document
    else:
        for sentence in sentences:
            yield document_of([sentence], [spans_of(sentence)])


def write(documents: Iterable[Document], path: Target, *, tags_of: TagsOf, separator: str = " ") -> None:
    """Writes tokens and tags; the white space between tokens is not kept.

    Raises:
        DataError: Entities that tags cannot express, or tokens that a column file cannot hold.
    """
    whole, documents = are_whole(documents)
    # Counting from 1 makes the first document begin with a marker.
    write_columns(_sentences(documents, tags_of, first=int(whole)), path, separator=separator)


def _sentences(documents: Iterable[Document], tags_of: TagsOf, *, first: int) -> Iterator[Sentence]:
    for index, document in enumerate(documents):
        if not document.sentences and not document.text.strip():
            raise DataError(f"{document.where(index)}: no tokens: a column file cannot express an empty text")
        for sentence, spans in zip(document.sentences, token_spans(document, index), strict=True):
            tags = list(tags_of(spans, len(sentence.tokens)))
            yield Sentence(sentence.tokens, tags, path=document.place, document=document.number + first)


def _begins_with_marker(path: str | Path) -> bool:
    first = next((line for _, line in read_text_lines(path, report=lambda _: None) if line.strip(" \t")), "")
    return DOCUMENT_MARKER in first.replace("\t", " ").split(" ")
