"""JSON lines with character offsets, as spaCy's and Doccano's users keep them: one text with its entities a line.

Offsets count characters (code points), end exclusive. A line may also hold "token_offsets", for each sentence the
[start, end] of its tokens, and "document_index", which of the file's documents it belongs to; all other keys are kept
as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from elmo_tagger.text.files import DataError, read_text_lines, replace_file
from elmo_tagger.text.formats.document import Document, Entity, checked_entity
from elmo_tagger.text.tokenize import TokenizedSentence

ENTITY_KEYS = ("entities", "spans", "label", "labels")
TYPE_KEYS = ("label", "type")


def read(path: str | Path) -> Iterator[Document]:
    """Reads the entities of the first of `ENTITY_KEYS` that a line has: [start, end, type] or an object of these.

    Raises:
        DataError: A line that is no such object; names it.
    """
    index = -1
    for number, line in read_text_lines(path):
        if line.strip():
            index += 1
            yield document_of_json(_parsed(line, f"{path}:{number}"), f"{path}:{number}", index)
    if index < 0:
        raise DataError(f"{path}: no texts in it", path=str(path))


def write(documents: Iterable[Document], path: str | Path, *, entity_key: str = "entities") -> None:
    """Writes a line a document.

    Args:
        documents: With or without tokens.
        path: The file.
        entity_key: "entities" (spaCy), "spans" (with objects as in spaCy's span lists) or "label" (Doccano).

    Raises:
        DataError: A text that JSON cannot hold (surrogates in pairs).
    """
    if entity_key not in ENTITY_KEYS:
        raise DataError(f"entity_key {entity_key!r}: expected one of {', '.join(map(repr, ENTITY_KEYS))}")
    with replace_file(path) as file:
        for index, document in enumerate(documents):
            entities: list[Any] = [list(entity) for entity in document.entities]
            if entity_key == "spans":
                entities = [{"start": start, "end": end, "label": type_} for start, end, type_ in document.entities]
            content = json_extras(document, index) | {"text": document.text, entity_key: entities}
            file.write(_encoded(content, document.where(index)) + b"\n")


def document_of_json(content: dict[str, Any], place: str, index: int) -> Document:
    """The document in an object; takes the known keys out of it and keeps the others."""
    content = dict(content)
    text = content.pop("text", None)
    if not isinstance(text, str):
        raise DataError(f'{place}: "text" is {text!r}, expected a string')
    key = next((key for key in ENTITY_KEYS if isinstance(content.get(key), list)), None)
    entities = [_entity(item, text, place) for item in content.pop(key)] if key else []
    sentences = [_sentence(offsets, text, place) for offsets in content.pop("token_offsets", None) or []]
    number = content.pop("document_index", index)
    if not isinstance(number, int):
        raise DataError(f'{place}: "document_index" is {number!r}, expected a whole number')
    return Document(text, entities, sentences, number, str(content.get("id", "")), place, content)


def json_extras(document: Document, index: int) -> dict[str, Any]:
    """What a line says beyond the text and its entities."""
    extras: dict[str, Any] = {"text": document.text}
    if document.sentences:
        extras["token_offsets"] = [
            [list(offsets) for offsets in zip(sentence.starts, sentence.ends, strict=True)]
            for sentence in document.sentences
        ]
    if document.number != index:
        extras["document_index"] = document.number
    if document.name:
        extras["id"] = document.name
    return extras | document.extra


def _parsed(line: str, place: str) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{place}: no JSON ({error})") from None
    if not isinstance(content, dict):
        raise DataError(f'{place}: expected an object such as {{"text": "...", "entities": []}}, found {line[:40]}')
    return content


def _entity(item: object, text: str, place: str) -> Entity:
    if isinstance(item, dict):
        type_ = next((item[key] for key in TYPE_KEYS if key in item), None)
        return checked_entity(item.get("start"), item.get("end"), type_, text, place)
    if isinstance(item, list) and len(item) == 3:
        return checked_entity(item[0], item[1], item[2], text, place)
    raise DataError(f"{place}: entity {item!r}: expected [start, end, type]")


def _sentence(offsets: object, text: str, place: str) -> TokenizedSentence:
    pairs = [tuple(pair) for pair in offsets] if isinstance(offsets, list) else []
    at = 0
    for pair in pairs:
        if (
            len(pair) != 2
            or not all(isinstance(place, int) for place in pair)
            or not at <= pair[0] < pair[1] <= len(text)
        ):
            raise DataError(
                f"{place}: token {list(pair)}: expected [start, end] behind the last token and within the text"
            )
        at = pair[1]
    if not pairs:
        raise DataError(f"{place}: a sentence without tokens")
    return TokenizedSentence(
        [text[start:end] for start, end in pairs], [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    )


def _encoded(content: dict[str, Any], place: str) -> bytes:
    try:
        return json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a lone surrogate; JSON can hold it as an escape
        line = json.dumps(content)
    if json.loads(line) != content:
        raise DataError(f"{place}: the text has surrogates in pairs, which JSON would read as one character")
    return line.encode()
