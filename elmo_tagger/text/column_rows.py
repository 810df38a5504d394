"""The lines of a column file taken apart, one by one or a paragraph at once."""

from __future__ import annotations

from elmo_tagger.text.files import DataError
from elmo_tagger.text.sentence import Sentence

_SPACES = (
    "if tokens or tags contain spaces, only tabs part the columns: "
    'give "separator": "\\t" in a config, --separator \'\\t\' to elmo-tagger'
)


class Rows:
    """Takes lines apart and sees to it that all have as many columns as the first.

    Args:
        path: The file, for messages.
        token_column: As for `read_columns`.
        tag_column: As there.
        separator: As there.

    Raises:
        DataError: The separator is empty.
    """

    def __init__(self, path: str, *, token_column: int, tag_column: int | None, separator: str | None):
        if separator == "":
            raise DataError("separator '': expected at least one character, or None for runs of spaces and tabs")
        self.path = path
        self.token_column = token_column
        self.tag_column = tag_column
        self.separator = separator
        self.width = 0
        self.first_line = 0
        self._line_has_tabs = self._first_has_tabs = False

    def sentence(self, *, document: int) -> Sentence:
        """An empty sentence to fill."""
        return Sentence([], None if self.tag_column is None else [], self.path, [], document)

    def extend(self, sentence: Sentence, paragraph: str, number: int) -> bool:
        r"""Adds the lines of a paragraph at once; False, and nothing added, where they are to be looked at one by one.

        Lines that have the first line's columns with one space or tab between them need no second look: all the work
        is in a handful of calls for all of them together.

        Args:
            sentence: Takes tokens and tags.
            paragraph: Lines with `\n` between them, without markers and comments.
            number: Of the first.
        """
        if not self.width or self.separator is not None:
            return False
        lines = paragraph.count("\n") + 1
        cells = paragraph.replace("\t", " ").replace("\n", " \n ").split(" ")
        # A line feed is a cell of its own: it has to be the last of each row, and there only.
        stride = self.width + 1
        if len(cells) != lines * stride - 1 or cells[self.width :: stride] != ["\n"] * (lines - 1) or "" in cells:
            return False
        sentence.tokens += cells[self.token_column % self.width :: stride]
        if self.tag_column is not None and sentence.tags is not None:
            sentence.tags += cells[self.tag_column % self.width :: stride]
        sentence.lines += range(number, number + lines)
        return True

    def split(self, line: str) -> list[str]:
        """The cells of a line; none if it is blank."""
        self._line_has_tabs = "\t" in line
        cells = [cell for cell in line.replace("\t", " ").split(" ") if cell]
        return line.split(self.separator) if cells and self.separator is not None else cells

    def append(self, sentence: Sentence, cells: list[str], number: int) -> None:
        """Adds a line's token and tag to the sentence."""
        if len(cells) != self.width:
            self._check_width(cells, number)
        token = cells[self.token_column]
        if not token:
            raise self._error(number, f"empty token (column {self.token_column % self.width + 1} of {self.width})")
        if self.tag_column is not None and sentence.tags is not None:
            tag = cells[self.tag_column]
            if not tag:
                raise self._error(number, f"empty tag (column {self.tag_column % self.width + 1} of {self.width})")
            sentence.tags.append(tag)
        sentence.tokens.append(token)
        sentence.lines.append(number)

    def _check_width(self, cells: list[str], number: int) -> None:
        if self.width:
            has_tabs = self._line_has_tabs or self._first_has_tabs
            advice = f" ({_SPACES})" if self.separator is None and has_tabs else ""
            found = _count(len(cells))
            raise self._error(number, f"{found}, expected {self.width} as in line {self.first_line}{advice}")
        for name, column in (("token", self.token_column), ("tag", self.tag_column)):
            if column is not None and not -len(cells) <= column < len(cells):
                raise self._error(number, f"{_count(len(cells))}, but the {name} column is {column} (counted from 0)")
        if self.tag_column is not None and self.tag_column % len(cells) == self.token_column % len(cells):
            raise self._error(
                number,
                f"{_count(len(cells))}, expected one for tokens and another for tags"
                f" (token column {self.token_column}, tag column {self.tag_column})",
            )
        self.width, self.first_line, self._first_has_tabs = len(cells), number, self._line_has_tabs

    def _error(self, number: int, problem: str) -> DataError:
        message = f"{self.path}:{number}: {problem}"
        return DataError(message, path=self.path, line=number, reading="the line is left out")


def _count(columns: int) -> str:
    return f"{columns} column{'s' if columns != 1 else ''}"
