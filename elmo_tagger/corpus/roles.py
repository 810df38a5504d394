"""What the columns of a table hold, guessed from its first rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from elmo_tagger.errors import shown
from elmo_tagger.tagging.schemes import SCHEMES, UNKNOWN, alternatives, split_tag
from elmo_tagger.text.formats import column_files
from elmo_tagger.text.formats.format import FileOptions, Format, Table

SAMPLE_ROWS = 20_000
"""Rows that a guess looks at."""
_TAG_LETTERS = frozenset("".join(scheme.letters for scheme in SCHEMES.values()))
_TELLING = frozenset({"O", "B", UNKNOWN})  # of these, columns of bare letters have one (word segmentation: B, M, E, S)
_LABELS_AT_MOST = 100  # distinct values of a column of labels; Penn Treebank has 45 parts of speech


@dataclass(frozen=True)
class Columns:
    """The columns of a table.

    Attributes:
        names: One of "tags", "tokens", "numbers", "labels", "words" a column; empty where the table is.
        token_column: Index of the tokens.
        tag_column: Index of the entity tags (the last column of tags); None where no column looks like tags.
        separator: What parts them, if it had to be found; None for what the format takes by itself.
    """

    names: tuple[str, ...]
    token_column: int
    tag_column: int | None
    separator: str | None


def find_columns(path: str, format_: Format, options: FileOptions) -> Columns:
    """Tells them by their names, where a table has names, else by the first `SAMPLE_ROWS` rows.

    Of these, rows of the commonest length count. A column of `O` and of tag letters, with types or bare, is "tags";
    integers are "numbers"; few distinct values are "labels"; the first column left is "tokens" and the others are
    "words". Where nothing is said about the separator of a column file, and its rows are not all as long or have no
    tags, tabs alone are tried as well: tokens may contain spaces then.

    Raises:
        OSError: The file cannot be opened or unpacked.
        DataError: The file is no table.
    """
    found, share = _guess(path, format_, options)
    if format_ is column_files.FORMAT and options.separator is None and (share < 1 or found.tag_column is None):
        by_tabs, share_by_tabs = _guess(path, format_, replace(options, separator="\t"))
        if by_tabs.tag_column is not None and (share_by_tabs > share or found.tag_column is None):
            return by_tabs
    return found


def why_untagged(path: str, format_: Format, options: FileOptions) -> str:
    """Of a table in which no column looks like tags: what is in the place of tags.

    Raises:
        OSError: The file cannot be opened or unpacked.
    """
    first = next(_table(path, format_, options).rows, None)
    if first is None:
        return "it has no rows"
    number, cells = first
    return (
        f"its last column begins with {shown(cells[-1], limit=40)} ({path}:{number}); expected a token and its tag a "
        "line, such as 'London B-LOC' or 'is O'"
    )


def _table(path: str, format_: Format, options: FileOptions) -> Table:
    return Table(iter(())) if format_.table is None else format_.table(path, options)


def _guess(path: str, format_: Format, options: FileOptions) -> tuple[Columns, float]:
    """The columns, and the share of the rows that has all of them."""
    table = _table(path, format_, options)
    by_width: dict[int, list[list[str]]] = {}
    for _, cells in islice(table.rows, SAMPLE_ROWS):
        by_width.setdefault(len(cells), []).append(cells)
    whole = max(by_width.values(), key=len, default=[])
    if not whole:
        return Columns((), 0, None, options.separator), 0.0
    names = [_role(column) for column in zip(*whole, strict=True)]
    token_column = _token_column(names) if table.token_column is None else table.token_column
    names[token_column] = "tokens"
    tag_columns = [index for index, name in enumerate(names) if name == "tags"]
    tag_column = tag_columns[-1] if tag_columns and table.tag_column is None else table.tag_column
    found = Columns(tuple(names), token_column, tag_column, options.separator)
    return found, len(whole) / sum(map(len, by_width.values()))


def _role(column: Sequence[str]) -> str:
    values = set(column)
    if _share(column, _looks_like_a_tag) > 0.9 and (values & _TELLING or any("-" in value for value in values)):
        return "tags"
    if _share(column, str.isdecimal) > 0.9:
        return "numbers"
    if len(values) <= _LABELS_AT_MOST and len(values) * 5 < len(column):
        return "labels"
    return "words"


def _token_column(names: Sequence[str]) -> int:
    for wanted in ("words", "labels", "numbers"):
        if wanted in names:
            return names.index(wanted)
    return 0


def _looks_like_a_tag(cell: str) -> bool:
    return all(
        part == UNKNOWN or (letter := split_tag(part)[0]) == "O" or letter in _TAG_LETTERS
        for part in alternatives(cell) or (cell,)
    )


def _share(column: Sequence[str], holds: Callable[[str], bool]) -> float:
    return sum(map(holds, column)) / len(column)
