"""Label Studio's JSON export: a list of tasks, each with a text and its labelled regions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from elmo_tagger.errors import shown
from elmo_tagger.text.files import BOM, DataError, Report, give_or_raise, read_pieces
from elmo_tagger.text.formats.document import Document, Entity, checked_entity, is_whole_number
from elmo_tagger.text.formats.format import FileOptions, Format
from elmo_tagger.text.formats.json_lines import document_of_json, json_extras
from elmo_tagger.text.outputs import Target, new_file

_EXPECTED = 'a list of tasks, as Label Studio exports it with "JSON"'
# The first lines, stripped; words that are set apart have no quotation mark right behind a bracket.
_JSON = re.compile(r'(\[\n?\{\n?|\{\n)"[^"]*"\s*:')
_OPENING = 3  # lines, enough for the first key
FROM_NAME, TO_NAME = "label", "text"  # the names in Label Studio's own template for named entities


def read(path: str | Path, options: FileOptions, report: Report | None = None) -> Iterator[Document]:
    """Reads the regions with labels of each task's one annotation (cancelled ones aside), or of its prediction.

    Relations and classifications are left out. Offsets are taken as characters, or as UTF-16 units (exports before
    2022) where only so they fit the region's text.

    Raises:
        DataError: Another JSON than a list of tasks, several annotations of a task, or offsets that do not fit.
    """
    try:
        tasks = _tasks(str(path), options.encoding)
    except DataError as error:
        give_or_raise(error, report)
        return
    for index, task in enumerate(tasks):
        try:
            document = _document(task, str(path), index)
        except DataError as error:
            give_or_raise(DataError(str(error), reading="the task is left out"), report)
        else:
            yield document


def _tasks(path: str, encoding: str) -> list[object]:
    content = b"".join(read_pieces(path, 1 << 20)).removeprefix(BOM)
    try:
        tasks = json.loads(content.decode(encoding))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: no JSON ({error})", path=path) from None
    if not isinstance(tasks, list):
        raise DataError(f"{path}: expected {_EXPECTED}, found {shown(tasks)}", path=path)
    if not tasks:
        raise DataError(f"{path}: no tasks in it", path=path)
    return tasks


def write(documents: Iterable[Document], path: Target) -> None:
    """Writes a list of tasks that Label Studio imports, offsets in characters.

    Raises:
        DataError: A text with lone surrogates.
    """
    with new_file(path) as file:
        file.write(b"[")
        for index, document in enumerate(documents):
            regions = [_region(number, entity, document.text) for number, entity in enumerate(document.entities)]
            data = json_extras(document, index)
            task = {"id": index + 1, "data": data, "annotations": [{"result": regions}]}
            try:
                file.write(b",\n" * (index > 0) + json.dumps(task, ensure_ascii=False).encode())
            except UnicodeEncodeError:
                raise DataError(
                    f"{document.where(index)}: the text has a lone surrogate, which UTF-8 cannot hold"
                ) from None
        file.write(b"]\n")


def _document(task: object, path: str, index: int) -> Document:
    if not isinstance(task, dict):
        raise DataError(f"{path}: task {index + 1} is {_kind(task)}, expected an object")
    place = f"{path}: task {task.get('id', index + 1)}"
    data = task.get("data")
    document = document_of_json(data if isinstance(data, dict) else {}, place, index)
    document.entities = [
        entity for region in _regions(task, place) for entity in _entities(region, document.text, place)
    ]
    return document


def _regions(task: dict[str, Any], place: str) -> list[dict[str, Any]]:
    """The regions with labels of the one annotation, or prediction, that counts."""
    key = "annotations" if task.get("annotations") else "predictions"
    kept = [item for item in _objects(task.get(key), f'{place}: "{key}"') if not item.get("was_cancelled")]
    if len(kept) > 1:
        raise DataError(f"{place}: {len(kept)} annotations, expected one: decide in Label Studio which one counts")
    regions = [region for item in kept for region in _objects(item.get("result"), f'{place}: "result"')]
    return [region for region in regions if region.get("type") == "labels"]


def _objects(value: object, name: str) -> list[dict[str, Any]]:
    """A list of objects; none where there is nothing."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise DataError(f"{name} is {_kind(value)}, expected a list of objects")
    for item in value:
        if not isinstance(item, dict):
            raise DataError(f"{name} holds {_kind(item)}, expected objects alone")
    return value


def _entities(region: dict[str, Any], text: str, place: str) -> list[Entity]:
    value = region.get("value")
    if not isinstance(value, dict):
        raise DataError(f'{place}: "value" of a region is {_kind(value)}, expected an object')
    labels = value.get("labels")
    if not isinstance(labels, list):
        raise DataError(f'{place}: "labels" of a region is {_kind(labels)}, expected a list of strings')
    start, end = _in_characters(value.get("start"), value.get("end"), value.get("text"), text, place)
    return [checked_entity(start, end, label, text, place) for label in labels]


def _in_characters(start: object, end: object, exported: object, text: str, place: str) -> tuple[object, object]:
    """Offsets in characters, if they were in UTF-16 units; told by the text that was exported with them."""
    if (
        not (is_whole_number(start) and is_whole_number(end) and isinstance(exported, str))
        or text[start:end] == exported
    ):
        return start, end
    units = text.encode("utf-16-le", errors="surrogatepass")
    before, within = units[: 2 * max(start, 0)], units[2 * max(start, 0) : 2 * max(end, 0)]
    if within.decode("utf-16-le", errors="replace") != exported:
        raise DataError(
            f"{place}: region {start} to {end} is {shown(text[start:end])}, but was exported as {shown(exported)}"
        )
    first = len(before.decode("utf-16-le", errors="replace"))
    return first, first + len(exported)


def _region(number: int, entity: Entity, text: str) -> dict[str, Any]:
    value = {"start": entity.start, "end": entity.end, "text": text[entity.start : entity.end], "labels": [entity.type]}
    return {"id": f"e{number}", "from_name": FROM_NAME, "to_name": TO_NAME, "type": "labels", "value": value}


def _kind(value: object) -> str:
    """What a JSON value is, for messages."""
    names = {"dict": "an object", "list": "a list", "str": "a string", "bool": "a truth value", "NoneType": "null"}
    return names.get(type(value).__name__, "a number")


def looks_like(lines: list[str]) -> bool:
    """Whether it begins as a list of objects, or as one that goes over several lines."""
    opening = "\n".join([line.strip() for line in lines if line.strip()][:_OPENING])
    return _JSON.match(opening) is not None


FORMAT = Format(
    name="label-studio",
    description="Label Studio's JSON export",
    suffixes=(".json",),
    has_tags=False,
    read=read,
    write=write,
    looks_like=looks_like,
)
