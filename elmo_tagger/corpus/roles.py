"""What the columns of a file hold, guessed from its first rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from elmo_tagger.tagging.schemes import SCHEMES, split_tag
from elmo_tagger.text.columns import DOCUMENT_MARKER
from elmo_tagger.text.files import read_text_lines

SAMPLE_LINES = 20_000
"""Lines that a guess looks at."""
_TAG_LETTERS = frozenset("".join(scheme.letters for scheme in SCHEMES.values()))
_TELLING = frozenset({"O", "B"})  # of these, columns of bare letters have one (word segmentation: B, M, E, S)
_LABELS_AT_MOST = 100  # distinct values of a column of labels; Penn Treebank has 45 parts of speech


@dataclass(frozen=True)
class Roles:
    """The columns of a file.

    Attributes:
        names: One of "tags", "tokens", "numbers", "labels", "words" a column; empty where the file is.
        token_column: Index of the tokens.
        tag_column: Index of the entity tags (the last column of tags); None where no column looks like tags.
    """

    names: tuple[str, ...]
    token_column: int
    tag_column: int | None


def guess_roles(path: str | Path, *, separator: str | None = None) -> Roles:
    """Guesses from the rows whose number of columns is the commonest among the first `SAMPLE_LINES` lines.

    A column of `O` and of tag letters, with types or bare, is "tags"; integers are "numbers"; few distinct values are
    "labels"; the first column left is "tokens" and the others are "words".

    Raises:
        OSError: The file cannot be opened or unpacked.
    """
    rows = _sample(path, separator)
    if not rows:
        return Roles((), 0, None)
    columns = list(zip(*rows, strict=True))
    names = [_role(column) for column in columns]
    token_column = _token_column(names)
    names[token_column] = "tokens"
    tag_columns = [index for index, name in enumerate(names) if name == "tags"]
    return Roles(tuple(names), token_column, tag_columns[-1] if tag_columns else None)


def why_untagged(path: str | Path, *, separator: str | None = None) -> str:
    """Of a file in which no column looks like tags: what is in the place of tags, and what may be missing.

    Raises:
        OSError: The file cannot be opened or unpacked.
    """
    rows = list(_rows(path, separator))
    if not rows:
        return f"none of its first {SAMPLE_LINES:,} lines has a column"
    number, cells = rows[0]
    found = (
        f"its last column begins with {cells[-1][:40]!r} ({path}:{number}), expected O or a letter and type such as "
        "B-PER"
    )
    commas = separator is None and all(len(cells) == 1 and "," in cells[0] for _, cells in rows)
    return found + ("; every line has a comma: try --separator ," if commas else "")


def _sample(path: str | Path, separator: str | None) -> list[list[str]]:
    by_width: dict[int, list[list[str]]] = {}
    for _, cells in _rows(path, separator):
        by_width.setdefault(len(cells), []).append(cells)
    return max(by_width.values(), key=len, default=[])


def _rows(path: str | Path, separator: str | None) -> Iterator[tuple[int, list[str]]]:
    """The cells of the first lines that have any, with the lines' numbers."""
    for number, line in islice(read_text_lines(path, report=lambda error: None), SAMPLE_LINES):
        cells = line.replace("\t", " ").split(" ") if separator is None else line.split(separator)
        cells = [cell for cell in cells if cell] if separator is None else cells
        if cells and cells != [""] and DOCUMENT_MARKER not in cells:
            yield number, cells


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
    letter = split_tag(cell)[0]
    return letter == "O" or letter in _TAG_LETTERS


def _share(column: Sequence[str], holds: Callable[[str], bool]) -> float:
    return sum(map(holds, column)) / len(column)
