"""An annotated file of any format as a stream of tagged sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elmo_tagger.corpus.roles import guess_roles
from elmo_tagger.tagging.schemes import spans_to_tags
from elmo_tagger.text.columns import read_columns
from elmo_tagger.text.files import DataError, read_text_lines
from elmo_tagger.text.sentence import Sentence

Report = Callable[[DataError], None]
COLUMNS = "columns"


@dataclass(frozen=True)
class Source:
    """A file, and how to read it.

    Attributes:
        path: The file, or brat's folder.
        format: Name of its format.
        columns: What its columns hold; empty where the format has none that are told apart.
        token_column: Column of the tokens, in a column file.
        tag_column: Column of the tags; None where there is none.
        sentences: Begins to read; errors go to `report` where it is given and are raised otherwise. Where the format
            has character offsets the tags are BIO.
    """

    path: str
    format: str
    columns: tuple[str, ...]
    token_column: int
    tag_column: int | None
    sentences: Callable[..., Iterator[Sentence]]

    @property
    def tagged(self) -> bool:
        """Whether its sentences have tags."""
        return self.format != COLUMNS or self.tag_column is not None


def open_source(
    path: str,
    *,
    format: str | None = None,
    token_column: int | None = None,
    tag_column: int | None = None,
    separator: str | None = None,
) -> Source:
    """Finds out how a file is to be read; reading begins with `sentences`.

    Args:
        path: The file; `.gz` and `.xz` are unpacked.
        format: Name of its format; by default told by its name and its first character.
        token_column: Column of the tokens in a column file, from 0 or from the end if negative; guessed by default.
        tag_column: Column of the tags, likewise.
        separator: What parts its columns; any run of spaces and tabs by default.

    Raises:
        OSError: The file cannot be opened.
        DataError: The format is unknown.
    """
    format = format or guess_format(path)
    if format != COLUMNS:
        return Source(path, format, (), 0, None, lambda *, report=None: _documents(path, format, report))
    roles = guess_roles(path, separator=separator)
    tokens = roles.token_column if token_column is None else token_column
    tags = roles.tag_column if tag_column is None else tag_column

    def sentences(*, report: Report | None = None) -> Iterator[Sentence]:
        return read_columns(path, token_column=tokens, tag_column=tags, separator=separator, report=report)

    return Source(path, format, roles.names, tokens, tags, sentences)


def open_tagged(
    path: str,
    *,
    format: str | None = None,
    token_column: int | None = None,
    tag_column: int | None = None,
    separator: str | None = None,
) -> Source:
    """As `open_source`, for what makes no sense without tags.

    Raises:
        DataError: No column looks like tags.
    """
    source = open_source(path, format=format, token_column=token_column, tag_column=tag_column, separator=separator)
    if not source.tagged:
        columns = f"its columns look like {', '.join(source.columns)}" if source.columns else "it is empty"
        raise DataError(f"{path}: found no tags, {columns}", path=path)
    return source


def guess_format(path: str) -> str:
    """The name of a file's format: told by its suffix, else JSON lines if it begins with a brace, else columns.

    Raises:
        OSError: The file cannot be opened.
    """
    from elmo_tagger.text.formats.registry import format_of

    try:
        named = format_of(path)
    except DataError:
        named = COLUMNS
    if named != COLUMNS or Path(path).is_dir():
        return named
    if Path(path).suffix == ".txt" and Path(path).with_suffix(".ann").exists():
        return "brat"
    first = next((line.lstrip() for _, line in read_text_lines(path, report=lambda _: None) if line.strip()), "")
    return "jsonl" if first.startswith('{"') else COLUMNS


def _documents(path: str, format: str, report: Report | None) -> Iterator[Sentence]:
    """The sentences of a format that is read document by document; what follows an error in the file is not read."""
    from elmo_tagger.text.formats.registry import get_format

    reader = get_format(format)
    try:
        if reader.has_tags:
            yield from _as_tagged(path, reader.read)
        else:
            yield from _from_offsets(path, reader.read, report)
    except DataError as error:
        if report is None:
            raise
        report(error)


def _as_tagged(path: str, read: Callable[..., Iterator[object]]) -> Iterator[Sentence]:
    """The sentences with the tags that the file has, caught where the reader would have them read as spans."""
    caught: list[Sentence] = []

    def catch(sentence: Sentence) -> list[object]:
        caught.append(sentence)
        return []

    for _ in read(path, spans_of=catch):
        yield from caught
        caught.clear()


def _from_offsets(path: str, read: Callable[..., Iterator[Any]], report: Report | None) -> Iterator[Sentence]:
    from elmo_tagger.text.formats.alignment import token_spans, tokenized
    from elmo_tagger.text.tokenize import Tokenizer

    tokenizer = Tokenizer()
    for index, document in enumerate(read(path)):
        document = tokenized(document, tokenizer)
        try:
            spans = token_spans(document, index)
        except DataError as error:
            if report is None:
                raise
            report(error)
            continue
        for sentence, found in zip(document.sentences, spans, strict=True):
            tags = spans_to_tags(found, len(sentence.tokens), "BIO")
            yield Sentence(sentence.tokens, tags, document.where(index), [], document.number)
