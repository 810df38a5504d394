"""The formats by name, with one signature for all readers and one for all writers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from elmo_tagger.text.files import DataError
from elmo_tagger.text.formats import brat, column_files, conllu, json_lines, label_studio
from elmo_tagger.text.formats.document import Document
from elmo_tagger.text.outputs import Target


@dataclass(frozen=True, kw_only=True)
class Format:
    """A way to keep annotated texts.

    Attributes:
        read: Path -> documents; takes `spans_of` where the format has tags.
        write: Documents, path; takes `tags_of` where the format has tags, and documents with tokens.
        has_tags: Whether entities are written as tags of tokens, else as character offsets.
        suffixes: Of file names, without `.gz` or `.xz`.
        description: For a list of formats.
    """

    read: Callable[..., Iterator[Document]]
    write: Callable[..., None]
    has_tags: bool
    suffixes: tuple[str, ...] = ()
    description: str


def _json_lines(entity_key: str, suffixes: tuple[str, ...], description: str) -> Format:
    write: Callable[[Iterable[Document], Target], Any] = partial(json_lines.write, entity_key=entity_key)
    return Format(read=json_lines.read, write=write, has_tags=False, suffixes=suffixes, description=description)


FORMATS = {
    "columns": Format(
        read=column_files.read,
        write=column_files.write,
        has_tags=True,
        suffixes=(".conll", ".iob", ".iob2", ".bio", ".txt", ".tsv"),
        description="one token and its tag a line",
    ),
    "conllu": Format(
        read=conllu.read,
        write=conllu.write,
        has_tags=True,
        suffixes=(".conllu",),
        description="CoNLL-U with tags in MISC",
    ),
    "jsonl": _json_lines("entities", (".jsonl", ".ndjson"), 'JSON lines: {"text", "entities": [[start, end, type]]}'),
    "spans": _json_lines("spans", (), 'JSON lines: {"text", "spans": [{"start", "end", "label"}]}'),
    "doccano": _json_lines("label", (), 'Doccano\'s JSON lines: {"text", "label": [[start, end, type]]}'),
    "label-studio": Format(
        read=label_studio.read,
        write=label_studio.write,
        has_tags=False,
        suffixes=(".json",),
        description="Label Studio's JSON export",
    ),
    "brat": Format(
        read=brat.read,
        write=brat.write,
        has_tags=False,
        suffixes=(".ann",),
        description="a folder of brat's .txt and .ann files",
    ),
}


def format_of(path: str | os.PathLike[str]) -> str:
    """The name of a path's format, told by its suffix; a folder is brat's.

    Raises:
        DataError: The suffix says nothing; the message lists the formats.
    """
    path = Path(path)
    if path.is_dir():
        return "brat"
    suffix = (path.with_suffix("") if path.suffix.lower() in (".gz", ".xz") else path).suffix.lower()
    found = next((name for name, format_ in FORMATS.items() if suffix in format_.suffixes), None)
    if found is None:
        raise DataError(f"{path}: the name does not tell the format, expected one of {', '.join(FORMATS)}")
    return found


def get_format(name: str) -> Format:
    """A format by name.

    Raises:
        DataError: There is none of this name; the message lists them.
    """
    if name not in FORMATS:
        raise DataError(f"format {name!r}: expected one of {', '.join(FORMATS)}")
    return FORMATS[name]
