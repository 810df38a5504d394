"""An annotated text as all formats share it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple, TypeGuard

from elmo_tagger.errors import shown
from elmo_tagger.text.files import DataError
from elmo_tagger.text.tokenize import TokenizedSentence


class Entity(NamedTuple):
    """An entity in a text: characters `start` to `end`, end exclusive, of one `type`."""

    start: int
    end: int
    type: str


@dataclass(slots=True)
class Document:
    """A text with its entities and, where the format knows them, its tokens.

    Formats with tags leave `tags` as the file has them, and `entities` empty: only the scheme of all tags of a file
    tells what they mean, see `spans.read_tags`.

    Attributes:
        text: The text.
        entities: In the order of the file; they may overlap.
        sentences: Tokens with their places in `text`; empty where the format has none (see `spans.tokenized`).
        tags: One tag a token of each sentence; empty where the format has none.
        lines: The line of each token of each sentence; empty where the format has none.
        number: Index of the document it belongs to within its file, counted from 0; where the file has no document
            boundaries its sentences are read one by one and share a number.
        name: What the file calls it; empty if it has no name.
        marked: Whether the file marks its beginning, which tells a document of one sentence from a sentence.
        path: The file, for messages.
        place: Where it stands, for messages: "dev.jsonl:3".
        extra: What the format says beyond that, by its own keys; written again by the same family of formats.
    """

    text: str
    entities: list[Entity] = field(default_factory=list)
    sentences: list[TokenizedSentence] = field(default_factory=list)
    tags: list[list[str]] = field(default_factory=list)
    lines: list[list[int]] = field(default_factory=list)
    number: int = 0
    name: str = ""
    marked: bool = False
    path: str = ""
    place: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def where(self, index: int) -> str:
        """For messages: its place, else its name, else that it is the `index`th, counted from 0."""
        return self.place or self.name or f"document {index + 1}"


def checked_entity(start: object, end: object, type_: object, text: str, place: str) -> Entity:
    """An entity whose offsets lie within its text.

    Raises:
        DataError: They do not, are no whole numbers, or the type is no string or empty.
    """
    found = f"{place}: entity [{shown(start)}, {shown(end)}, {shown(type_)}]"
    if not (is_whole_number(start) and is_whole_number(end)):
        raise DataError(f"{found}: expected whole numbers as start and end")
    if not isinstance(type_, str) or not type_:
        raise DataError(f"{found}: expected a type as third")
    if not 0 <= start < end <= len(text):
        raise DataError(f"{found}: expected 0 <= start < end <= {len(text)}, the text's length")
    return Entity(start, end, type_)


def is_whole_number(value: object) -> TypeGuard[int]:
    """Whether this is a JSON number without fraction; Python's `True` is an int, JSON's is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def are_whole(documents: Iterable[Document]) -> tuple[bool, Iterator[Document]]:
    """Whether these are documents rather than the sentences of a document one by one, told by the first two of them.

    Returns:
        The answer, and all the documents.
    """
    stream = iter(documents)
    first = list(islice(stream, 2))
    if len(first) == 2:
        whole = first[0].number != first[1].number
    else:
        whole = any(found.marked or found.name or len(found.sentences) > 1 for found in first)
    return whole, chain(first, stream)
