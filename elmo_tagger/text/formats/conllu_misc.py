"""CoNLL-U's last column, MISC, and how it writes the white space between tokens."""

from __future__ import annotations

import re

from elmo_tagger.errors import shown
from elmo_tagger.text.files import DataError
from elmo_tagger.text.formats.document import Document

_ESCAPES = {"\\": "\\\\", " ": "\\s", "\t": "\\t", "\n": "\\n", "\r": "\\r", "|": "\\p"}
_UNESCAPED = {escape: character for character, escape in _ESCAPES.items()}
SPACING = ("SpaceAfter", "SpacesAfter", "SpacesBefore")


def misc_of(row: list[str]) -> dict[str, str]:
    """The entries of a row's last cell by their names."""
    return {name: value for name, _, value in (entry.partition("=") for entry in row[-1].split("|"))}


def spacing_of(document: Document, number: int, token: int, place: str) -> list[str]:
    """MISC's entries about the white space around a token."""
    sentence = document.sentences[number]
    entries = []
    end = sentence.ends[token]
    if token + 1 < len(sentence.tokens):
        following = sentence.starts[token + 1]
    elif number + 1 < len(document.sentences):
        following = document.sentences[number + 1].starts[0]
    else:
        following = len(document.text)
    gap, implied = document.text[end:following], "" if following == len(document.text) else " "
    before = document.text[: sentence.starts[0]] if number == token == 0 else ""
    if (gap + before).strip():
        raise DataError(f"{place}: {shown((gap + before).strip())} in no token: CoNLL-U cannot express it")
    if gap != implied:
        entries.append(f"SpacesAfter={_escaped(gap)}" if gap else "SpaceAfter=No")
    if before:
        entries.append(f"SpacesBefore={_escaped(before)}")
    return entries


def _escaped(spaces: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in spaces)


def unescaped(spaces: str) -> str:
    """White space as its escapes mean it."""
    return re.sub(r"\\.", lambda escape: _UNESCAPED.get(escape[0], escape[0]), spaces)
