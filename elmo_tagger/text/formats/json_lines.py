"""JSON lines with character offsets, as spaCy's and Doccano's users keep them: one text with its entities a line.

Offsets count characters (code points), end exclusive. A line may also hold "token_offsets", for each sentence the
[start, end] of its tokens, and "document_index", which of the file's documents it belongs to; all other keys are kept
as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from elmo_tagger.errors import shown
from elmo_tagger.text.files import DataError, Report, give_or_raise, read_text_lines
from elmo_tagger.text.formats.document import Document, Entity, checked_entity, is_whole_number
from elmo_tagger.text.formats.format import FileOptions, Format
from elmo_tagger.text.outputs import Target, new_file
from elmo_tagger.text.tokenize import TokenizedSentence

ENTITY_KEYS = ("entities", "spans", "label", "labels")
_ALSO_CATEGORIES = ("label", "labels")  # with a string or a number it is the category of the text
TYPE_KEYS = ("label", "type")
START_KEYS, END_KEYS = ("start", "start_offset"), ("end", "end_offset")  # the second is Doccano's, with relations


def read(path: str | Path, options: FileOptions, report: Report | None = None) -> Iterator[Document]:
    """Reads the entities of the first of `ENTITY_KEYS` that a line has: [start, end, type] or an object of these.

    Raises:
        DataError: A line that is no such object; names it.
    """
    index = -1
    for number, line in read_text_lines(path, encoding=options.encoding, report=report):
        if not line.strip():
            continue
        index += 1
        place = f"{path}:{number}"
        try:
            document = document_of_json(_parsed(line, place), place, index)
        except DataError as error:
            line_error = DataError(str(error), path=str(path), line=number, reading="the line is left out")
            give_or_raise(line_error, report)
        else:
            yield document
    if index < 0:
        give_or_raise(DataError(f"{path}: no texts in it", path=str(path)), report)


def write(documents: Iterable[Document], path: Target, *, entity_key: str = "entities") -> None:
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
    with new_file(path) as file:
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
        raise DataError(f'{place}: "text" is {shown(text)}, expected a string')
    entities = [_entity(item, text, place) for item in _taken_entities(content, place)]
    offsets = content.pop("token_offsets", None)
    if not isinstance(offsets, list | None):
        raise DataError(f'{place}: "token_offsets" is {shown(offsets)}, expected a list of sentences')
    sentences = _sentences(offsets or [], text, place)
    number = content.pop("document_index", index)
    if not is_whole_number(number):
        raise DataError(f'{place}: "document_index" is {shown(number)}, expected a whole number')
    name = str(content.get("id", ""))
    return Document(text, entities, sentences, number=number, name=name, place=place, extra=content)


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
    except (ValueError, RecursionError) as error:  # a ValueError is also what a number of 5,000 digits gives
        raise DataError(f"{place}: no JSON ({error})") from None
    if not isinstance(content, dict):
        found = shown(line, quoted=False, limit=40)
        raise DataError(f'{place}: expected an object such as {{"text": "...", "entities": []}}, found {found}')
    return content


def _taken_entities(content: dict[str, Any], place: str) -> list[object]:
    """The entities of a line, taken out of it."""
    for key in ENTITY_KEYS:
        value = content.get(key)
        if isinstance(value, list):
            return list(content.pop(key))
        if isinstance(value, dict) or (value is not None and key not in _ALSO_CATEGORIES):
            raise DataError(f'{place}: "{key}" is {shown(value)}, expected a list of [start, end, type]')
    return []


def _entity(item: object, text: str, place: str) -> Entity:
    if isinstance(item, dict):
        start, end, type_ = (
            next((item[key] for key in keys if key in item), None) for keys in (START_KEYS, END_KEYS, TYPE_KEYS)
        )
        return checked_entity(start, end, type_, text, place)
    if isinstance(item, list) and len(item) == 3:
        return checked_entity(item[0], item[1], item[2], text, place)
    raise DataError(f"{place}: entity {shown(item)}: expected [start, end, type]")


def _sentences(offsets: list[object], text: str, place: str) -> list[TokenizedSentence]:
    """Every sentence's tokens, one behind the other within the text."""
    sentences = []
    at = 0
    for pairs in offsets:
        if not isinstance(pairs, list) or not pairs:
            found = "a sentence without tokens" if pairs == [] else f"{shown(pairs)} as a sentence"
            raise DataError(f"{place}: {found}, expected a list of [start, end]")
        sentence = TokenizedSentence([], [], [])
        for pair in pairs:
            start, end = pair if isinstance(pair, list) and len(pair) == 2 else (None, None)
            if not (is_whole_number(start) and is_whole_number(end) and at <= start < end <= len(text)):
                raise DataError(
                    f"{place}: token {shown(pair)}: expected [start, end] behind the last token and within the text"
                )
            sentence.tokens.append(text[start:end])
            sentence.starts.append(start)
            sentence.ends.append(end)
            at = end
        sentences.append(sentence)
    return sentences


def _encoded(content: dict[str, Any], place: str) -> bytes:
    try:
        return json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a lone surrogate; JSON can hold it as an escape
        line = json.dumps(content)
    if json.loads(line) != content:
        raise DataError(f"{place}: the text has surrogates in pairs, which JSON would read as one character")
    return line.encode()


def looks_like(lines: list[str]) -> bool:
    """Whether the first line is an object; words that are set apart have no quotation mark right behind a bracket."""
    first = next((line.strip() for line in lines if line.strip()), "")
    return first.startswith(('{"', '{ "')) and first.endswith("}") and not first.startswith('{ " ')


def _format(name: str, entity_key: str, suffixes: tuple[str, ...], description: str) -> Format:
    return Format(
        name=name,
        description=description,
        suffixes=suffixes,
        has_tags=False,
        read=read,
        write=partial(write, entity_key=entity_key),
        looks_like=looks_like,
    )


FORMATS = (
    _format("jsonl", "entities", (".jsonl", ".ndjson"), 'JSON lines: {"text", "entities": [[start, end, type]]}'),
    _format("spans", "spans", (), 'JSON lines: {"text", "spans": [{"start", "end", "label"}]}'),
    _format("doccano", "label", (), 'Doccano\'s JSON lines: {"text", "label": [[start, end, type]]}'),
)
