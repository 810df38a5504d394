"""The plain data types that the engines exchange."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Span(NamedTuple):
    """An entity in a sentence: tokens `start` to `end`, end exclusive, of one `type`."""

    start: int
    end: int
    type: str


@dataclass(slots=True)
class Sentence:
    """A sentence as it was read.

    Attributes:
        tokens: The words.
        tags: One tag a token, in whatever scheme the file uses; None where the source has no tags.
        path: The file, for messages; empty where there is none.
        lines: The line of each token in `path`, counted from 1; empty where there is no file.
        document: Index of the document within its file, counted from 0.
    """

    tokens: list[str]
    tags: list[str] | None = None
    path: str = ""
    lines: list[int] = field(default_factory=list)
    document: int = 0

    def where(self, token: int = 0) -> str:
        """`path:line` of a token, for error messages."""
        if not self.lines:
            return self.path or f"token {token}"
        return f"{self.path}:{self.lines[token]}"
