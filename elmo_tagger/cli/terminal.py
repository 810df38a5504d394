"""Text for people: through rich on a terminal, plain lines without colours or frames when piped."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NoReturn

import typer

from elmo_tagger.errors import escaped, shown

_BARS = "▏▎▍▌▋▊▉█"
_LEAST_TEXT = 24  # characters that a column of text keeps on a narrow page
_LONGEST_CELL = 300  # characters: several places in files, but not a tag of megabytes
_GAP = 3  # between two columns, in rich's box SIMPLE_HEAD
_INTERRUPTED = 130  # as shells report a command ended by Ctrl-C


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

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]], *, left: int = 1) -> None:
        """A table that never cuts a number: where the page is too narrow for all of them the terminal wraps its lines.

        Args:
            header: Names of the columns.
            rows: Their cells.
            left: The first so many columns hold text, the others numbers, aligned to the right.
        """
        header = [shown(name, quoted=False) for name in header]
        cells = [[shown(_cell(value), limit=_LONGEST_CELL, quoted=False) for value in row] for row in rows]
        if self.rich:
            _rich_table(header, cells, left)
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
        text = "\n".join(map(escaped, text.split("\n")))
        if not self.rich:
            typer.echo(text)
            return
        from rich.console import Console

        Console().print(text, style=style or None, markup=False, highlight=False, emoji=False)


def _rich_table(header: Sequence[str], cells: list[list[str]], left: int) -> None:
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    widest = [max(map(cell_len, column)) for column in zip(header, *cells, strict=True)]
    least = [min(width, _LEAST_TEXT) if index < left else width for index, width in enumerate(widest)]
    for index, (name, width) in enumerate(zip(header, least, strict=True)):
        number = index >= left
        justify: Literal["left", "right"] = "right" if number else "left"
        table.add_column(Text(name), justify=justify, no_wrap=number, overflow="fold", min_width=width)
    for row in cells:
        table.add_row(*map(Text, row))
    console = Console()
    console.width = max(console.width, sum(least) + _GAP * (len(least) - 1))
    console.print(table)


def print_json(value: Any, *, err: bool = False) -> None:
    """One JSON document for machines, on standard output or standard error."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2), err=err)


def warn(message: str) -> None:
    """A line on standard error, so that it never mixes with what a program reads."""
    typer.echo(f"warning: {escaped(message)}", err=True)


def stop(hint: str = "") -> NoReturn:
    """Ends a command that was interrupted, in one line."""
    typer.echo(f"interrupted{hint}", err=True)
    raise typer.Exit(_INTERRUPTED)


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
