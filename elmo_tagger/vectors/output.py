"""What every format of vectors does: take windows in order, commit, finish."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from elmo_tagger.vectors.compute import Array
from elmo_tagger.vectors.partial_file import OutputError, PartialFile, partial_names
from elmo_tagger.vectors.windows import Window


class VectorOutput(ABC):
    """An output; by itself one that cannot be resumed."""

    @property
    def state(self) -> Mapping[str, Any]:
        """What the last commit said; empty before the first."""
        return {}

    def skip(self, window: Window) -> None:  # noqa: B027 - most formats need nothing of it
        """Take note of a window that an earlier run wrote."""

    @abstractmethod
    def write(self, window: Window, arrays: Sequence[Array]) -> None:
        """Add a window's arrays."""

    def commit(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Make all windows so far the point that a later run continues from."""

    def finish(self) -> None:  # noqa: B027
        """Complete the output."""

    def abandon(self) -> None:  # noqa: B027
        """Close, leaving what was committed."""


class FileOutput(VectorOutput):
    """An output into a file, which can be resumed."""

    def __init__(self, file: PartialFile) -> None:
        self._file = file

    @property
    def state(self) -> Mapping[str, Any]:
        """What the last commit said; empty before the first."""
        return self._file.state

    def commit(self, state: Mapping[str, Any]) -> None:
        """Make all windows so far the point that a later run continues from."""
        self._file.commit(state)

    def finish(self) -> None:
        """Complete the file and give it its name."""
        self._file.finish()

    def abandon(self) -> None:
        """Close, leaving what was committed."""
        self._file.abandon()


def check_free(path: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse to write over what nobody gave up.

    Raises:
        OutputError: There is an output, or an interrupted run's beginning of one.
    """
    if resume and overwrite:
        raise OutputError("expected --resume or --overwrite, received both")
    if resume or overwrite:
        return
    part = partial_names(path)[0]
    if part.exists():
        raise OutputError(f"{part}: left by an interrupted run: continue with --resume, or begin anew with --overwrite")
    if path.exists():
        raise OutputError(f"{path}: exists already: expected another name, or --overwrite")
