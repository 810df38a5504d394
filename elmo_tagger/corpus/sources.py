"""An annotated file of any format as a stream of tagged sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elmo_tagger.corpus.roles import guess_roles
from elmo_tagger.tagging.schemes import spans_to_tags
from elmo_tagger.text.columns import DOCUMENT_MARKER, read_columns
from elmo_tagger.text.files import DataError, Report, give_or_raise, read_lines, read_text_lines
from elmo_tagger.text.sentence import Sentence

COLUMNS = "columns"


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """How an annotated file is to be read, as far as its user says.

    Attributes:
        format: Name of its format; by default told by its name and its first character.
        token_column: Column of the tokens in a column file, from 0 or from the end if negative; guessed by default.
        tag_column: Column of the tags, likewise.
        separator: What parts its columns; any run of spaces and tabs by default.
    """

    format: str | None = None
    token_column: int | None = None
    tag_column: int | None = None
    separator: str | None = None


DEFAULTS = FileOptions()


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


def open_source(path: str, options: FileOptions = DEFAULTS) -> Source:
    """Finds out how a file is to be read; reading begins with `sentences`.

    Args:
        path: The file; `.gz` and `.xz` are unpacked.
        options: What is known about it.

    Raises:
        OSError: The file cannot be opened.
        DataError: The format is unknown.
    """
    name = options.format or guess_format(path)
    if name != COLUMNS:
        return Source(path, name, (), 0, None, lambda *, report=None: _documents(path, name, report))
    roles = guess_roles(path, separator=options.separator)
    tokens = roles.token_column if options.token_column is None else options.token_column
    tags = roles.tag_column if options.tag_column is None else options.tag_column

    def sentences(*, report: Report | None = None) -> Iterator[Sentence]:
        return read_columns(path, token_column=tokens, tag_column=tags, separator=options.separator, report=report)

    return Source(path, name, roles.names, tokens, tags, sentences)


def open_tagged(path: str, options: FileOptions = DEFAULTS) -> Source:
    """As `open_source`, for what makes no sense without tags.

    Raises:
        DataError: No column looks like tags.
    """
    source = open_source(path, options)
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


def count_markers(source: Source) -> int:
    """How many `-DOCSTART-` lines a column file has; 0 for other formats."""
    if source.format != COLUMNS:
        return 0
    marker = DOCUMENT_MARKER.encode()
    return sum(line.split()[:1] == [marker] for line in read_lines(source.path) if marker in line)


def _documents(path: str, name: str, report: Report | None) -> Iterator[Sentence]:
    """The sentences of a format that is read document by document."""
    from elmo_tagger.text.formats.registry import get_format

    reader = get_format(name)
    read = _as_tagged if reader.has_tags else _from_offsets
    yield from read(path, reader.read, report)


def _as_tagged(path: str, read: Callable[..., Iterator[object]], report: Report | None) -> Iterator[Sentence]:
    """The sentences with the tags that the file has, caught where the reader would have them read as spans."""
    caught: list[Sentence] = []

    def catch(sentence: Sentence) -> list[object]:
        caught.append(sentence)
        return []

    for _ in read(path, spans_of=catch, report=report):
        yield from caught
        caught.clear()


def _from_offsets(path: str, read: Callable[..., Iterator[Any]], report: Report | None) -> Iterator[Sentence]:
    from elmo_tagger.corpus.tokens import with_tokens
    from elmo_tagger.text.tokenize import Tokenizer

    tokenizer = Tokenizer()
    for index, document in enumerate(read(path, report=report)):
        try:
            document, spans = with_tokens(document, index, tokenizer)
        except DataError as error:
            give_or_raise(error, report)
            continue
        for sentence, found in zip(document.sentences, spans, strict=True):
            tags = spans_to_tags(found, len(sentence.tokens), "BIO")
            yield Sentence(sentence.tokens, tags, document.where(index), [], document.number)
