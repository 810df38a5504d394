"""A JSON file that is one long list, element by element, so that the file is never in memory as a whole."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from elmo_tagger.text.files import DataError, read_pieces

_SPACE: Final = " \t\n\r"
_PIECE: Final = 1 << 20  # bytes that are read at once


def read_json_array(path: str | Path, *, expected: str = "a list") -> Iterator[object]:
    """The elements of the list that a file holds.

    Args:
        path: The file, in UTF-8; `.gz` and `.xz` are unpacked.
        expected: What the file should hold, for messages.

    Raises:
        DataError: No JSON, or no list; names the file. Elements before the malformed place have been given then.
        OSError: The file cannot be opened or unpacked.
    """
    buffer = _Buffer(str(path))
    if buffer.next_character() != "[":
        raise buffer.error(f"expected {expected}, found {buffer.rest(40)!r}")
    buffer.skip()
    if buffer.next_character() == "]":
        buffer.skip()
    else:
        while True:
            yield buffer.value()
            mark = buffer.next_character()
            if mark not in (",", "]"):
                raise buffer.error(f"no JSON (expected a comma or ] after an element, found {buffer.rest(20)!r})")
            buffer.skip()
            if mark == "]":
                break
    if buffer.next_character():
        raise buffer.error(f"no JSON (more after the list: {buffer.rest(20)!r})")


class _Buffer:
    """What is read of a file and not yet used."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._pieces = read_pieces(path, _PIECE)
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._done = False

    def next_character(self) -> str:
        """The next character that is no white space, or nothing at the end of the file."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if self._done:
                return ""
            self._read(1)

    def skip(self) -> None:
        """Goes over that character."""
        self._at += 1

    def value(self) -> object:
        """The value that begins at the next character that is no white space."""
        self.next_character()
        pieces = 1
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if self._done or not isinstance(error, json.JSONDecodeError):
                    raise self.error(f"no JSON ({_reason(error)})") from None
            else:
                # A number may go on behind what has been read: "2" and "2." may be the beginning of "2.5".
                whole = not isinstance(value, int | float) or self._text[end : end + 1] in tuple(",]" + _SPACE)
                if self._done or whole:
                    self._at = end
                    return value
            self._read(pieces)
            pieces *= 2  # so that a value of n bytes is tried log n times

    def rest(self, length: int) -> str:
        """The next characters, for messages."""
        return self._text[self._at : self._at + length]

    def error(self, problem: str) -> DataError:
        """An error of the file as a whole."""
        return DataError(f"{self._path}: {problem}", path=self._path)

    def _read(self, number: int) -> None:
        pieces = list(islice(self._pieces, number))
        self._done = len(pieces) < number
        try:
            text = self._decode(b"".join(pieces), final=self._done)
        except UnicodeDecodeError as error:
            raise self.error(f"no JSON ({error})") from None
        self._text = self._text[self._at :] + text
        self._at = 0


def _reason(error: Exception) -> str:
    # Line and column would count from within the file.
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error)
