"""Label Studio's JSON export: a list of tasks, each with a text and its labelled regions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from elmo_tagger.text.files import DataError, read_lines, replace_file
from elmo_tagger.text.formats.document import Document, Entity, checked_entity
from elmo_tagger.text.formats.json_lines import document_of_json, json_extras

FROM_NAME, TO_NAME = "label", "text"  # the names in Label Studio's own template for named entities


def read(path: str | Path) -> Iterator[Document]:
    """Reads the regions with labels of each task's one annotation (cancelled ones aside), or of its prediction.

    Relations and classifications are left out. Offsets are taken as characters, or as UTF-16 units (exports before
    2022) where only so they fit the region's text.

    Raises:
        DataError: Another JSON than a list of tasks, several annotations of a task, or offsets that do not fit.
    """
    try:
        tasks = json.loads(b"".join(read_lines(path)).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: no JSON ({error})", path=str(path)) from None
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise DataError(f'{path}: expected a list of tasks, as Label Studio exports it with "JSON"', path=str(path))
    if not tasks:
        raise DataError(f"{path}: no tasks in it", path=str(path))
    for index, task in enumerate(tasks):
        place = f"{path}: task {task.get('id', index + 1)}"
        data = task.get("data")
        document = document_of_json(data if isinstance(data, dict) else {}, place, index)
        document.entities = [
            entity for region in _regions(task, place) for entity in _entities(region, document.text, place)
        ]
        yield document


def write(documents: Iterable[Document], path: str | Path) -> None:
    """Writes a list of tasks that Label Studio imports, offsets in characters.

    Raises:
        DataError: A text with lone surrogates.
    """
    with replace_file(path) as file:
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


def _regions(task: dict[str, Any], place: str) -> list[dict[str, Any]]:
    kept = [item for item in task.get("annotations") or task.get("predictions") or [] if not item.get("was_cancelled")]
    if len(kept) > 1:
        raise DataError(f"{place}: {len(kept)} annotations, expected one: decide in Label Studio which one counts")
    return [region for item in kept for region in item.get("result", []) if region.get("type") == "labels"]


def _entities(region: dict[str, Any], text: str, place: str) -> list[Entity]:
    value = region.get("value", {})
    start, end, shown = value.get("start"), value.get("end"), value.get("text")
    if isinstance(start, int) and isinstance(end, int) and isinstance(shown, str) and text[start:end] != shown:
        units = text.encode("utf-16-le", errors="surrogatepass")
        before, within = units[: 2 * start], units[2 * start : 2 * end]
        if within.decode("utf-16-le", errors="replace") != shown:
            raise DataError(f"{place}: region {start} to {end} is {text[start:end]!r}, but was exported as {shown!r}")
        start = len(before.decode("utf-16-le"))
        end = start + len(shown)
    return [checked_entity(start, end, label, text, place) for label in value.get("labels", [])]


def _region(number: int, entity: Entity, text: str) -> dict[str, Any]:
    value = {"start": entity.start, "end": entity.end, "text": text[entity.start : entity.end], "labels": [entity.type]}
    return {"id": f"e{number}", "from_name": FROM_NAME, "to_name": TO_NAME, "type": "labels", "value": value}
