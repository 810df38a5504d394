"""Whether training on checked files would fail, and what it must be told.

Files are judged by what the dataset reader `conll_columns` does with them: it reads column files, by default tokens
first and tags last; finds the tag scheme of each file on its own; and refuses ill-formed lines and tags.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from elmo_tagger.corpus.check_report import FileReport
from elmo_tagger.corpus.sources import COLUMNS, Source
from elmo_tagger.tagging.detection import detect_scheme
from elmo_tagger.tagging.schemes import OUTSIDE, TagSchemeError
from elmo_tagger.text.columns import read_columns
from elmo_tagger.text.files import DataError, skipping
from elmo_tagger.text.formats.format import FileOptions

LONG_SENTENCE = 500
"""Tokens from which a sentence is probably several, with no blank lines between them."""


def reader_options(source: Source, options: FileOptions) -> dict[str, int | str]:
    """The options that `conll_columns` needs to read a column file as it was read here."""
    if source.format.name != COLUMNS:
        return {}
    width, read = len(source.columns), source.options
    needed: dict[str, int | str] = {}
    if read.token_column is not None and read.token_column not in (0, -width):
        needed["token_column"] = read.token_column
    if read.tag_column is not None and read.tag_column not in (-1, width - 1):
        needed["tag_column"] = read.tag_column
    if read.separator is not None:
        needed["separator"] = read.separator
    if read.encoding != "utf-8":
        needed["encoding"] = read.encoding
    return needed


def why_defaults_fail(source: Source, options: FileOptions, *, skip_bad_lines: bool = False) -> str:
    """Why `conll_columns` would fail on a file if its config said what the user has said here and no more.

    Returns:
        Empty if it would not fail.
    """
    sentences = read_columns(
        source.path,
        token_column=options.token_column or 0,
        tag_column=-1 if options.tag_column is None else options.tag_column,
        separator=options.separator,
        encoding=options.encoding,
        report=skipping(lambda _: None) if skip_bad_lines else None,
    )
    try:
        detect_scheme(sentences)
    except (DataError, TagSchemeError) as error:
        return str(error)
    return ""


def failures_of(file: FileReport, *, train: str, skip_bad_lines: bool = False) -> list[str]:
    """Why training would fail on a file.

    Args:
        file: The file.
        train: The training file.
        skip_bad_lines: Whether the reader leaves out lines that it cannot read.
    """
    failures = list(file.unreadable)
    errors = file.errors - (file.unreadable_lines if skip_bad_lines else 0)
    untagged = file.sentences > 0 and file.scheme is None
    if errors and not untagged:  # what has no tags is prose or a wrong column, and its lines need not be alike
        failures.append(f"{file.path}: {errors:,} ill-formed line{'s' if errors > 1 else ''}{_repair(file, errors)}")
    if file.format != COLUMNS:
        target = Path(file.path).with_suffix(".conll")
        failures.append(
            f"{file.path}: conll_columns reads column files alone, not {file.format}; convert it first: "
            f"elmo-tagger convert {shlex.quote(file.path)} {shlex.quote(str(target))}"
        )
    if not file.sentences:
        failures += [] if file.unreadable else [f"{file.path}: no sentences"]
    elif untagged:
        failures.append(f"{file.path}: no tags: {file.untagged}")
    elif file.path == train and not file.entities:
        open_ones = " or leaves open what it is" if file.unknown_labels + file.choices else ""
        failures.append(f"{file.path}: every tag is {OUTSIDE}{open_ones}, nothing to learn")
    if file.untold and file.scheme is not None:
        failures.append(
            f"{file.path}: its columns are not where the reader looks for them: the dataset_reader needs "
            f"{_as_json(file)}; to check with these: {_as_options(file)}; without them: {file.untold}"
        )
    return failures


def _repair(file: FileReport, errors: int) -> str:
    """What mends ill-formed lines; where none can be read, what is wrong with the first."""
    if not file.sentences:
        return f", the first: {file.messages[0]}"
    repairs = []
    if file.unreadable_lines:
        repairs.append("--skip-bad-lines leaves out what cannot be read")
    if errors > file.unreadable_lines:
        repairs.append("--lenient reads tags as conlleval does")
    return f"; of elmo-tagger convert, {' and '.join(repairs)}" if repairs else ""


def _as_json(file: FileReport) -> str:
    return ", ".join(f'"{name}": {json.dumps(value)}' for name, value in file.reader.items())


def _as_options(file: FileReport) -> str:
    values = ((name.replace("_", "-"), r"\t" if value == "\t" else str(value)) for name, value in file.reader.items())
    return " ".join(f"--{name} {shlex.quote(value)}" for name, value in values)


def warnings_of(files: Sequence[FileReport], scheme: str | None, *, skip_bad_lines: bool = False) -> list[str]:
    """What the configuration of training must say about the files, and what is strange about them.

    Args:
        files: All of them.
        scheme: The tag scheme that they should have, if one was asked for.
        skip_bad_lines: Whether the reader leaves out lines that it cannot read.
    """
    warnings = []
    for file in files:
        if file.reader and not file.untold:
            warnings.append(
                f"{file.path}: not in the reader's default columns; its dataset_reader needs {_as_json(file)}"
            )
        if skip_bad_lines and file.unreadable_lines:
            lines = f"{file.unreadable_lines:,} line{'s' if file.unreadable_lines > 1 else ''}"
            warnings.append(f'{file.path}: {lines} left out; the dataset_reader needs "skip_bad_lines": true')
        if file.unknown_labels + file.choices == file.tokens > 0 and file.scheme is not None:
            warnings.append(f"{file.path}: no label is certain, so there is nothing to score")
        longest = max(file.sentence_lengths, default=0)
        if longest >= LONG_SENTENCE:
            which = "its only sentence" if file.sentences == 1 else "its longest sentence"
            warnings.append(f"{file.path}: {which} has {longest:,} tokens: are blank lines between sentences missing?")
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
