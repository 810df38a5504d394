"""An annotated file of any format as a stream of sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from elmo_tagger.corpus.roles import guess_roles
from elmo_tagger.text.columns import read_columns
from elmo_tagger.text.files import DataError
from elmo_tagger.text.sentence import Sentence


@dataclass(frozen=True)
class Source:
    """A file, and how to read it.

    Attributes:
        path: The file.
        format: Name of its format.
        columns: What its columns hold; empty where the format has no columns.
        tagged: Whether its sentences have tags.
        sentences: Begins to read; errors go to `report` where it is given and are raised otherwise.
    """

    path: str
    format: str
    columns: tuple[str, ...]
    tagged: bool
    sentences: Callable[..., Iterator[Sentence]]


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
        format: Its format; by default told by its name and its first lines.
        token_column: Column of the tokens in a column file, from 0 or from the end if negative; guessed by default.
        tag_column: Column of the tags, likewise.
        separator: What parts its columns; any run of spaces and tabs by default.

    Raises:
        OSError: The file cannot be opened.
        ValueError: The format is unknown.
    """
    roles = guess_roles(path, separator=separator)
    tokens = roles.token_column if token_column is None else token_column
    tags = roles.tag_column if tag_column is None else tag_column

    def sentences(*, report: Callable[[DataError], None] | None = None) -> Iterator[Sentence]:
        return read_columns(path, token_column=tokens, tag_column=tags, separator=separator, report=report)

    return Source(path, "columns", roles.names, tags is not None, sentences)


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
