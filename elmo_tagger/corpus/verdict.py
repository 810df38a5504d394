"""Whether training on checked files would fail, and what it must be told.

Files are judged by what the dataset reader `conll_columns` does with them: it reads column files, by default tokens
first and tags last; finds the tag scheme of each file on its own; and refuses ill-formed lines and tags.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from elmo_tagger.corpus.check_report import FileReport
from elmo_tagger.corpus.sources import COLUMNS, FileOptions, Source
from elmo_tagger.tagging.schemes import OUTSIDE


def reader_options(source: Source, options: FileOptions) -> dict[str, int | str]:
    """The options that `conll_columns` needs to read a column file as it was read here."""
    if source.format != COLUMNS:
        return {}
    width = len(source.columns)
    needed: dict[str, int | str] = {}
    if source.token_column not in (0, -width):
        needed["token_column"] = source.token_column
    if source.tag_column is not None and source.tag_column not in (-1, width - 1):
        needed["tag_column"] = source.tag_column
    if options.separator is not None:
        needed["separator"] = options.separator
    return needed


def failures_of(file: FileReport, *, train: str) -> list[str]:
    """Why training would fail on a file."""
    failures = list(file.unreadable)
    if file.errors:
        failures.append(f"{file.path}: {file.errors:,} ill-formed line{'s' if file.errors > 1 else ''}")
    if file.format != COLUMNS:
        target = Path(file.path).with_suffix(".conll")
        failures.append(
            f"{file.path}: conll_columns reads column files alone, not {file.format}; convert it first: "
            f"elmo-tagger convert {file.path} {target}"
        )
    if not file.sentences:
        failures += [] if file.unreadable else [f"{file.path}: no sentences"]
    elif file.scheme is None:
        failures.append(f"{file.path}: no tags: {file.untagged}")
    elif file.path == train and not file.entities:
        failures.append(f"{file.path}: every tag is {OUTSIDE}, nothing to learn")
    return failures


def warnings_of(files: Sequence[FileReport], scheme: str | None) -> list[str]:
    """What the configuration of training must say about the files.

    Args:
        files: All of them.
        scheme: The tag scheme that they should have, if one was asked for.
    """
    warnings = []
    for file in files:
        if file.reader:
            needed = ", ".join(f'"{name}": {json.dumps(value)}' for name, value in file.reader.items())
            warnings.append(f"{file.path}: not in the reader's default columns; its dataset_reader needs {needed}")
    tagged = [file for file in files if file.scheme is not None]
    common = [name for name in (tagged[0].broken if tagged else {}) if not any(file.broken[name] for file in tagged)]
    well_formed = all(not file.broken[file.scheme or ""] for file in tagged)
    if scheme is None and len(tagged) > 1 and well_formed and not common:
        mixture = ", ".join(f"{file.path} {file.scheme}" for file in tagged)
        warnings.append(
            f'the files mix tag schemes: {mixture}; the dataset_reader needs a "coding_scheme", such as '
            '"BIOUL", to which it converts each of them'
        )
    return warnings
