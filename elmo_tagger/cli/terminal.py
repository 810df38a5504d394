"""Text for people: through rich on a terminal, plain lines without colours or frames when piped."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import typer

_BARS = "▏▎▍▌▋▊▉█"
_LEAST_TEXT = 24  # characters that a column of text keeps on a narrow page before the table is parted
_GAP = 3  # between two columns, in rich's box SIMPLE_HEAD


class Page:
    """Prints headings, lines and tables to standard output.

    Args:
        rich: Frames and colours; by default whether standard output is a terminal.
    """

    def __init__(self, *, rich: bool | None = None) -> None:
        self.rich = sys.stdout.isatty() if rich is None else rich

    def heading(self, text: str) -> None:
        """A section's name, with a blank line before it."""
        self._print(f"\n{text}", style="bold")

    def line(self, text: str = "", *, style: str = "") -> None:
        """A line, coloured on a terminal; its text is taken as it is, never as markup."""
        self._print(text, style=style)

    def table(
        self, header: Sequence[str], rows: Iterable[Sequence[object]], *, left: int = 1, breaks: Sequence[int] = ()
    ) -> None:
        """A table that never cuts a number: where the page is too narrow it becomes several, one below the other.

        Args:
            header: Names of the columns.
            rows: Their cells.
            left: The first so many columns hold text, the others numbers, aligned to the right.
            breaks: Columns before which the table is parted rather than elsewhere. All parts have the first column.
        """
        cells = [[_cell(value) for value in row] for row in rows]
        if self.rich:
            self._rich_table(header, cells, left, breaks)
            return
        widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
        for row in (header, *cells):
            aligned = [
                cell.ljust(width) if index < left else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            typer.echo("  ".join(aligned).rstrip())

    def histogram(self, counts: Sequence[tuple[str, int]], *, width: int = 40) -> None:
        """A bar a row, the longest `width` characters."""
        top = max((count for _, count in counts), default=0)
        bars = [(label, count, _bar(count / top if top else 0.0, width)) for label, count in counts]
        label_width = max((len(label) for label, _ in counts), default=0)
        for label, count, bar in bars:
            self._print(f"{label:>{label_width}}  {count:>9,}  {bar}".rstrip())

    def _print(self, text: str, *, style: str = "") -> None:
        if not self.rich:
            typer.echo(text)
            return
        from rich.console import Console

        Console().print(text, style=style or None, markup=False, highlight=False, emoji=False)

    def _rich_table(self, header: Sequence[str], cells: list[list[str]], left: int, breaks: Sequence[int]) -> None:
        from rich.cells import cell_len
        from rich.console import Console

        width = Console().width
        widths = [max(map(cell_len, column)) for column in zip(header, *cells, strict=True)]
        least = [min(size, _LEAST_TEXT) if index < left else size for index, size in enumerate(widths)]
        for number, columns in enumerate(_parts(least, width, breaks)):
            if number:
                typer.echo()
            self._rich_part(header, cells, columns, least, left)

    def _rich_part(
        self, header: Sequence[str], cells: list[list[str]], columns: list[int], least: list[int], left: int
    ) -> None:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for index in columns:
            number = index >= left
            table.add_column(
                Text(header[index]),
                justify="right" if number else "left",
                no_wrap=number,
                overflow="fold",
                min_width=least[index],
            )
        for row in cells:
            table.add_row(*(Text(row[index]) for index in columns))
        # On a page that is narrower than one number the terminal has to wrap: better than a digit less.
        console = Console()
        console.width = max(console.width, _total([least[index] for index in columns]))
        console.print(table)


def _parts(least: list[int], width: int, breaks: Sequence[int]) -> list[list[int]]:
    """The columns of each table that one is parted into; each has the first column.

    Args:
        least: The least width of each column.
        width: Of the page.
        breaks: Columns that begin a group, which stays together if it fits.
    """
    borders = [1, *breaks, len(least)] if breaks else [*range(1, len(least) + 1)]
    parts: list[list[int]] = [[0]]
    for group in (list(range(begin, end)) for begin, end in pairwise(borders)):
        if not _fits([0, *group], least, width):
            pieces = [[index] for index in group]
        else:
            pieces = [group]
        for piece in pieces:
            if len(parts[-1]) > 1 and not _fits([*parts[-1], *piece], least, width):
                parts.append([0])
            parts[-1] += piece
    return parts


def _fits(columns: list[int], least: list[int], width: int) -> bool:
    return _total([least[index] for index in columns]) <= width


def _total(widths: list[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def print_json(value: Any, *, err: bool = False) -> None:
    """One JSON document for machines, on standard output or standard error."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2), err=err)


def warn(message: str) -> None:
    """A line on standard error, so that it never mixes with what a program reads."""
    typer.echo(f"warning: {message}", err=True)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _bar(share: float, width: int) -> str:
    eighths = round(share * width * 8)
    if share > 0:
        eighths = max(eighths, 1)
    full, rest = divmod(eighths, 8)
    return _BARS[-1] * full + (_BARS[rest - 1] if rest else "")
