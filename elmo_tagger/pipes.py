"""Pipes that can be read more than once, and from their beginning each time.

A format is told by a file's first characters and a tag scheme by all of its tags, so most commands read a file twice.
A pipe can be read only once: within `pipes_kept` its content is kept in a temporary file.
"""

from __future__ import annotations

import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import IO

STANDARD_INPUT = "-"


class _Kept:
    """Temporary files with the contents of pipes, by the pipes' names."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._files: dict[str, Path] = {}

    def open(self, name: str) -> IO[bytes]:
        if name not in self._files:
            # A named file, not an anonymous one, so that two readers of it have two positions.
            with tempfile.NamedTemporaryFile(prefix="elmo-tagger-", delete=False) as file:
                self._files[name] = Path(file.name)
                self._stack.callback(self._files[name].unlink, missing_ok=True)
                with _source(name) as source:
                    shutil.copyfileobj(source, file)
        return self._files[name].open("rb")


_kept: ContextVar[_Kept | None] = ContextVar("_kept", default=None)


@contextmanager
def pipes_kept() -> Iterator[None]:
    """Within it pipes, and `-` for standard input, are read like files, as often as wanted."""
    with ExitStack() as stack:
        token = _kept.set(_Kept(stack))
        stack.callback(_kept.reset, token)
        yield


def open_kept(path: str | Path) -> IO[bytes] | None:
    """What came through a pipe, from its beginning; None for a path that is no pipe, and outside of `pipes_kept`."""
    kept = _kept.get()
    return kept.open(str(path)) if kept is not None and is_pipe(path) else None


def is_pipe(path: str | Path) -> bool:
    """Whether a path is standard input (`-`) or what can be read only once: a pipe, a terminal, a socket."""
    if str(path) == STANDARD_INPUT:
        return True
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False  # opening it says what is wrong
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


@contextmanager
def _source(name: str) -> Iterator[IO[bytes]]:
    if name == STANDARD_INPUT:
        yield sys.stdin.buffer
    else:
        with Path(name).open("rb") as file:
            yield file
