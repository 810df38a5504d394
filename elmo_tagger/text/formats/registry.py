"""All formats, and which of them a file is in. A new format is a file beside this one and a line here."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from elmo_tagger.text.files import DataError, read_text_lines
from elmo_tagger.text.formats import brat, column_files, conllu, csv_files, json_lines, label_studio
from elmo_tagger.text.formats.format import HEAD_LINES, Format

# Where a file looks like several, the first of them counts.
FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        column_files.FORMAT,
        csv_files.FORMAT,
        conllu.FORMAT,
        *json_lines.FORMATS,
        label_studio.FORMAT,
        brat.FORMAT,
    )
}


def get_format(name: str) -> Format:
    """A format by name.

    Raises:
        DataError: There is none of this name; the message lists them.
    """
    if name not in FORMATS:
        raise DataError(f"format {name!r}: expected one of {', '.join(FORMATS)}")
    return FORMATS[name]


def format_of_name(path: str | os.PathLike[str]) -> Format:
    """The format that a path's suffix tells; a folder is brat's.

    Raises:
        DataError: The suffix says nothing; the message lists the formats.
    """
    path = Path(path)
    if path.is_dir():
        return brat.FORMAT
    suffix = (path.with_suffix("") if path.suffix.lower() in (".gz", ".xz") else path).suffix.lower()
    found = next((each for each in FORMATS.values() if suffix in each.suffixes), None)
    if found is None:
        raise DataError(f"{path}: the name does not tell the format, expected one of {', '.join(FORMATS)}")
    return found


def format_of_file(path: str | os.PathLike[str], *, encoding: str = "utf-8") -> Format | None:
    """The format of a file that is there, told by its suffix, else by its first lines.

    The suffixes of column files say little: other formats have them too.

    Returns:
        None for what looks like no format: plain text, as far as one can tell.

    Raises:
        OSError: The file cannot be opened.
    """
    path = Path(path)
    try:
        named = format_of_name(path)
    except DataError:
        named = column_files.FORMAT
    if named is not column_files.FORMAT:
        return named
    if all(file.exists() for file in brat.pair_of(path)):
        return brat.FORMAT
    return format_of_lines(first_lines(path, encoding=encoding))


def first_lines(path: str | Path, *, encoding: str = "utf-8") -> list[str]:
    """The lines that tell a file's format.

    Raises:
        OSError: The file cannot be opened.
    """
    lines = read_text_lines(path, encoding=encoding, report=lambda _: None)
    return [line for _, line in islice(lines, HEAD_LINES)]


def format_of_lines(lines: list[str]) -> Format | None:
    """The format of a file that begins with these lines; None where they look like none."""
    return next((each for each in FORMATS.values() if each.looks_like(lines)), None)
