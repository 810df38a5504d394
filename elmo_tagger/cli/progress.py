"""The progress bar of long computations, on standard error."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from elmo_tagger.vectors.windows import Window


class WorkProgress:
    """Sentences and tokens done, tokens a second, and the time left; at the end a line with what was done where.

    Args:
        total: Bytes of the input, by which the time left is estimated; None where they are not known.
        where: What computes, for the line at the end.
        shown: False for no bar.
        console: Where to show it; standard error by default.
    """

    def __init__(self, total: int | None, *, where: str, shown: bool = True, console: Console | None = None) -> None:
        known = [BarColumn(), TaskProgressColumn(), TimeRemainingColumn()] if total else [TimeElapsedColumn()]
        self._progress = Progress(
            TextColumn("{task.description}"), *known, console=console or Console(stderr=True), disable=not shown
        )
        self._task = self._progress.add_task("beginning", total=total)
        self._where = where
        self._start = time.monotonic()
        self._sentences = self._tokens = self._computed = 0

    def __enter__(self) -> WorkProgress:
        self._progress.start()
        self._start = time.monotonic()
        return self

    def __exit__(self, *_error: object) -> None:
        self._progress.stop()
        seconds = time.monotonic() - self._start
        if self._computed and not self._progress.disable:
            done = f"{self._computed} tokens in {seconds:.1f} s: {self._rate(seconds):.0f} tokens/s on {self._where}"
            self._progress.console.print(done, highlight=False, soft_wrap=True)

    def advance(self, window: Window, skipped: bool) -> None:
        """A window is done, or was done by an earlier run."""
        self.add(len(window.sentences), window.tokens, skipped=skipped, position=window.sentences[-1].end)

    def add(self, sentences: int, tokens: int, *, skipped: bool = False, position: int | None = None) -> None:
        """So many more are done.

        Args:
            sentences: How many.
            tokens: Theirs.
            skipped: Whether an earlier run did them.
            position: Bytes of the input that are done now.
        """
        self._sentences += sentences
        self._tokens += tokens
        self._computed += 0 if skipped else tokens
        rate = self._rate(time.monotonic() - self._start)
        text = f"{self._sentences:,} sentences, {self._tokens:,} tokens, {rate:,.0f} tokens/s"
        self._progress.update(self._task, description=text, completed=position)

    def _rate(self, seconds: float) -> float:
        return self._computed / max(seconds, 1e-9)
