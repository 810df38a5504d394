"""What taggers write: column files, and the JSON lines of `allennlp predict` and `allennlp evaluate`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from elmo_tagger.corpus.sources import open_tagged
from elmo_tagger.errors import shown
from elmo_tagger.text.files import DataError, read_text_lines
from elmo_tagger.text.formats.format import DEFAULTS, FileOptions
from elmo_tagger.text.formats.registry import first_lines

TOKEN_KEYS = ("tokens", "words")  # "words" is what AllenNLP's own taggers write


class Predicted(NamedTuple):
    """Predicted tags of a sentence or a document.

    Attributes:
        tokens: Its tokens; None where the file holds tags alone.
        tags: One tag a token.
        gold: The gold tags, where the file has them.
        where: `path:line`.
        confidences: For each token, the confidence in [0, 1] of the entity that begins there, None where none does;
            None where the file has no confidences.
    """

    tokens: list[str] | None
    tags: list[str]
    gold: list[str] | None
    where: str
    confidences: list[float | None] | None = None


@dataclass(frozen=True)
class Predictions:
    """A file of predictions.

    Attributes:
        path: The file.
        shuffled: Whether sentences may stand in another order than in the gold file, as batches of `evaluate` do.
        read: Begins to read it.
    """

    path: str
    shuffled: bool
    read: Callable[[], Iterator[Predicted]]


def open_predictions(path: str, options: FileOptions = DEFAULTS) -> Predictions:
    """Finds out how a file of predictions is to be read.

    JSON lines with "tags" are AllenNLP's output; anything else is an annotated file as for `open_tagged`, its last
    column of tags being the prediction.

    Raises:
        OSError: The file cannot be opened.
        DataError: The first line is no JSON though the file says so, or there are no tags.
    """
    lines = first_lines(path, encoding=options.encoding)
    number, first = next(((number, line) for number, line in enumerate(lines, start=1) if line.strip()), (0, ""))
    if options.format is None and first.lstrip().startswith("{"):
        record = _record(path, number, first)
        if "tags" in record:
            return Predictions(path, _is_batch(record["tags"]), lambda: read_allennlp(path))
    source = open_tagged(path, options)
    return Predictions(
        path,
        False,
        lambda: (Predicted(s.tokens, s.tags or [], None, s.where()) for s in source.sentences() if s.tokens),
    )


def read_allennlp(path: str) -> Iterator[Predicted]:
    """Reads JSON lines that `allennlp predict` or `allennlp evaluate --predictions-output-file` wrote.

    Each line is an object with "tags" (and "tokens" or "words", and "gold_tags") that are lists of strings, for a
    sentence or a document, or lists of such lists, for a batch. Of "entities" the confidences are read. Other keys are
    passed over.

    Raises:
        DataError: A line is no such object, or its lists differ in length; names the line.
        OSError: The file cannot be opened.
    """
    for number, line in read_text_lines(path):
        if not line.strip():
            continue
        record = _record(path, number, line)
        tokens = next((record[key] for key in TOKEN_KEYS if record.get(key) is not None), None)
        columns: dict[str, Any] = {"tags": record.get("tags"), "tokens": tokens, "gold_tags": record.get("gold_tags")}
        where = f"{path}:{number}"
        if columns["tags"] is None:
            raise DataError(
                f'{where}: no "tags"; its keys are {shown(", ".join(record), quoted=False)}', path=path, line=number
            )
        entities = record.get("entities")
        if not _is_batch(columns["tags"]):
            columns = {name: value if value is None else [value] for name, value in columns.items()}
            entities = [entities]
        yield from _sentences(columns, entities, where, path=path, number=number)


def _sentences(columns: dict[str, Any], entities: Any, where: str, *, path: str, number: int) -> Iterator[Predicted]:
    """The sentences of a line, once every list is known to be as long as the tags."""
    tags = columns["tags"]
    for name, value in columns.items():
        if value is not None and not (isinstance(value, list) and all(_is_strings(item) for item in value)):
            raise DataError(f'{where}: "{name}" is no list of strings nor a list of such lists', path=path, line=number)
        if value is not None and len(value) != len(tags):
            raise DataError(
                f'{where}: {len(value)} sentences of "{name}" for {len(tags)} of "tags"', path=path, line=number
            )
    for index, sentence in enumerate(tags):
        parts: dict[str, Any] = {name: value and value[index] for name, value in columns.items()}
        for name, part in parts.items():
            if part is not None and len(part) != len(sentence):
                raise DataError(
                    f'{where}: {len(part)} of "{name}" for {len(sentence)} "tags" in sentence {index + 1} of the line',
                    path=path,
                    line=number,
                )
        found = entities[index] if isinstance(entities, list) and index < len(entities) else None
        confidences = _confidences(found, len(sentence), where, path=path, number=number)
        yield Predicted(parts["tokens"], sentence, parts["gold_tags"], where, confidences)


def _confidences(entities: Any, length: int, where: str, *, path: str, number: int) -> list[float | None] | None:
    """`Predicted.confidences`; None unless all entities have one.

    Raises:
        DataError: A confidence is no probability, or its entity begins at no token.
    """
    if not isinstance(entities, list) or not all(isinstance(item, dict) and "confidence" in item for item in entities):
        return None
    confidences: list[float | None] = [None] * length
    for item in entities:
        begin, confidence = item.get("token_start", item.get("start")), item["confidence"]
        if not isinstance(begin, int) or not 0 <= begin < length:
            raise DataError(
                f"{where}: an entity begins at token {shown(str(begin))} of {length}", path=path, line=number
            )
        if not isinstance(confidence, (int, float)) or not 0 <= confidence <= 1:
            problem = f"confidence {shown(str(confidence))}, expected a probability in [0, 1]"
            raise DataError(f"{where}: {problem}", path=path, line=number)
        confidences[begin] = float(confidence)
    return confidences


def _record(path: str, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise DataError(f"{path}:{number}: no JSON: {error}", path=path, line=number) from None
    except RecursionError:
        raise DataError(
            f"{path}:{number}: no JSON that can be read: too deeply nested", path=path, line=number
        ) from None
    if not isinstance(record, dict):
        raise DataError(f"{path}:{number}: a JSON {type(record).__name__}, expected an object", path=path, line=number)
    return record


def _is_batch(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], list)


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
