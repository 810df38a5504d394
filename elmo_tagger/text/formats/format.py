"""What a file format is: one object, which `registry` lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from elmo_tagger.text.files import Report, check_encoding
from elmo_tagger.text.formats.document import Document
from elmo_tagger.text.outputs import Target

HEAD_LINES = 1000
"""Lines by which a format is told from the others."""


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """How a file is to be read, as far as its user says.

    Attributes:
        format: Name of its format; told by its name and its first lines by default.
        token_column: Column of the tokens in a table, from 0 or from the end if negative; the first by default.
        tag_column: Column of the tags, likewise; the last by default.
        separator: What parts the columns; any run of spaces and tabs in column files, found in CSV by default.
        untagged: Whether no column of a table holds tags.
        encoding: Of the file's text.
    """

    format: str | None = None
    token_column: int | None = None
    tag_column: int | None = None
    separator: str | None = None
    untagged: bool = False
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        check_encoding(self.encoding)


DEFAULTS = FileOptions()


@dataclass(frozen=True)
class Table:
    """The rows of a file that is a table, whose columns have to be told apart.

    Attributes:
        rows: Line and cells of each row that is no boundary of sentences or documents.
        token_column: The column of the tokens, where the file says it by a name; None where it does not.
        tag_column: The column of the tags, likewise.
    """

    rows: Iterator[tuple[int, list[str]]]
    token_column: int | None = None
    tag_column: int | None = None


@dataclass(frozen=True, kw_only=True)
class Format:
    """A way to keep annotated texts.

    A reader takes a path, the options, and what takes the error of each part that cannot be read (without it the first
    one is raised); it gives documents. A writer takes documents and what to write to.

    Attributes:
        name: As users type it.
        description: For a list of formats.
        suffixes: Of file names, without `.gz` or `.xz`.
        has_tags: Whether entities are kept as tags of tokens, else as character offsets.
        read: The reader; of a format with tags it leaves them in `Document.tags`, as the file has them.
        write: The writer; of a format with tags it writes `Document.tags`.
        looks_like: Whether a file that begins with these lines, at most `HEAD_LINES`, is in this format.
        table: For tables: begins to read the rows as they are.
        files: What is read of a path, where that is more than the path itself.
    """

    name: str
    description: str
    suffixes: tuple[str, ...] = ()
    has_tags: bool
    read: Callable[[str | Path, FileOptions, Report | None], Iterator[Document]]
    write: Callable[[Iterable[Document], Target], None]
    looks_like: Callable[[list[str]], bool] = field(default=lambda lines: False)
    table: Callable[[str | Path, FileOptions], Table] | None = None
    files: Callable[[Path], list[Path]] = field(default=lambda path: [path])
