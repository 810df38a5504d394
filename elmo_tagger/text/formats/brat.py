"""brat's standoff format: a folder with a text (.txt) and its annotations (.ann) for each document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from elmo_tagger.errors import shown
from elmo_tagger.text.files import DataError, Report, give_or_raise, read_text_lines
from elmo_tagger.text.formats.document import Document, Entity, checked_entity
from elmo_tagger.text.formats.format import FileOptions, Format
from elmo_tagger.text.outputs import Target, new_folder

_PIECE = r"\d{1,18} \d{1,18}"  # more digits are no offset, and Python refuses to read thousands of them
_TEXT_BOUND = re.compile(rf"T\S*\t(\S+) ({_PIECE}(?:;{_PIECE})*)\t(.*)", re.DOTALL)


def read(path: str | Path, options: FileOptions, report: Report | None = None) -> Iterator[Document]:
    """Reads the entities (T lines) of a folder's documents, in the order of their names, or of one .txt or .ann file.

    Relations, events, attributes and notes are left out. Fragments with only white space between them are one entity:
    so brat writes what goes over a line's end.

    Raises:
        DataError: A malformed line, an entity in several pieces, offsets that do not fit, a text without .ann file.
    """
    path = Path(path)
    texts = sorted(path.glob("*.txt")) if path.is_dir() else [path.with_suffix(".txt")]
    if path.is_dir() and not any(path.glob("*.ann")):
        problem = "a folder without .ann files: of folders brat's are read, with a .txt and an .ann for each document"
        raise DataError(f"{path}: {problem}; give the files of others one by one", path=str(path))
    if not texts:
        raise DataError(f"{path}: no .txt files in it", path=str(path))
    for index, file in enumerate(texts):
        annotations = file.with_suffix(".ann")
        try:
            text = _text(file, annotations, options.encoding)
        except DataError as error:
            give_or_raise(error, report)
            continue
        entities = list(_entities(annotations, text, options.encoding, report))
        yield Document(text, entities, number=index, name=file.stem, place=str(file))


def write(documents: Iterable[Document], path: Target) -> None:
    """Writes a folder; texts keep every character, tokens are not kept.

    The files are put into the folder only when all have been written; others that are there stay.

    Raises:
        DataError: A type with white space, an entity that begins or ends with a line break, a name that is no file
            name or comes twice, a text with lone surrogates.
    """
    names: set[str] = set()
    with new_folder(path) as folder:
        for index, document in enumerate(documents):
            name = document.name or f"document{index + 1:06}"
            if name in names or not re.fullmatch(r"[^\s./\\][^/\\\0]*", name):
                problem = "comes twice" if name in names else "is no file name"
                raise DataError(f"{document.where(index)}: the name {shown(name)} {problem}")
            names.add(name)
            for suffix, content in _contents(document, index).items():
                (folder / (name + suffix)).write_bytes(content)


def _text(file: Path, annotations: Path, encoding: str) -> str:
    if not annotations.exists():
        problem = f"{file}: no {annotations.name} beside it"
        raise DataError(problem, path=str(file), reading="the document is left out")
    try:
        return file.read_bytes().decode(encoding)
    except UnicodeDecodeError as error:
        problem = f"{file}: invalid {encoding} at offset {error.start} of the file"
        raise DataError(problem, path=str(file), reading="the document is left out") from None


def _entities(annotations: Path, text: str, encoding: str, report: Report | None) -> Iterator[Entity]:
    for number, line in read_text_lines(annotations, encoding=encoding, report=report):
        if not line.startswith("T"):
            continue
        try:
            entity = _entity(line, text, f"{annotations}:{number}")
        except DataError as error:
            reading = "the entity is left out"
            give_or_raise(DataError(str(error), path=str(annotations), line=number, reading=reading), report)
        else:
            yield entity


def _entity(line: str, text: str, place: str) -> Entity:
    match = _TEXT_BOUND.fullmatch(line)
    if match is None:
        raise DataError(f"{place}: expected 'T1<tab>TYPE START END<tab>TEXT', found {shown(line, limit=60)}")
    type_, offsets, said = match.groups()
    found = f"{place}: {shown(type_, quoted=False)} {shown(said)}"
    fragments = [tuple(map(int, fragment.split(" "))) for fragment in offsets.split(";")]
    for start, end in fragments:
        checked_entity(start, end, type_, text, place)
    for (_, end), (start, _) in pairwise(fragments):
        if start < end or text[end:start].strip():
            raise DataError(f"{found} is in several pieces ({shown(offsets, quoted=False)}), expected one")
    there = " ".join(text[start:end] for start, end in fragments)
    if there != said:
        raise DataError(f"{found} at {shown(offsets, quoted=False)}: the text has {shown(there)} there")
    return Entity(fragments[0][0], fragments[-1][1], type_)


def _contents(document: Document, index: int) -> dict[str, bytes]:
    """The files of a document by their suffixes."""
    lines = [_line(number, entity, document, index) for number, entity in enumerate(document.entities, start=1)]
    try:
        return {".txt": document.text.encode(), ".ann": "".join(lines).encode()}
    except UnicodeEncodeError:
        raise DataError(f"{document.where(index)}: the text has a lone surrogate, which UTF-8 cannot hold") from None


def _line(number: int, entity: Entity, document: Document, index: int) -> str:
    text = document.text[entity.start : entity.end]
    if re.search(r"\s", entity.type):
        raise DataError(
            f"{document.where(index)}: type {shown(entity.type)} contains white space: brat cannot express it"
        )
    if text.strip("\r\n") != text:
        found = f"{entity.type} {shown(text)} ({entity.start} to {entity.end})"
        raise DataError(f"{document.where(index)}: {found} begins or ends with a line break: brat cannot express it")
    fragments = [(entity.start + line.start(), entity.start + line.end()) for line in re.finditer(r"[^\r\n]+", text)]
    offsets = ";".join(f"{start} {end}" for start, end in fragments)
    said = " ".join(document.text[start:end] for start, end in fragments)
    return f"T{number}\t{entity.type} {offsets}\t{said}\n"


def pair_of(path: Path) -> list[Path]:
    """The two files of a document."""
    return [path.with_suffix(".txt"), path.with_suffix(".ann")]


def files(path: Path) -> list[Path]:
    """What is read of a path: of a .txt or .ann file both, else the path itself."""
    pair = pair_of(path)
    return pair if path in pair else [path]


FORMAT = Format(
    name="brat",
    description="a folder of brat's .txt and .ann files",
    suffixes=(".ann",),
    has_tags=False,
    read=read,
    write=write,
    files=files,
)
