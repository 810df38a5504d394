r"""CoNLL-U with tags in the last column, MISC (`NER=B-PER`).

The text is rebuilt from the forms and MISC's `SpaceAfter=No`, `SpacesAfter` and `SpacesBefore` (UDPipe's escapes: `\s`,
`\t`, `\n`, `\r`, `\p` for a bar, `\\`), so that every text survives. A multiword token is one token here; its words,
empty nodes, comments and all other columns are kept and written again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from elmo_tagger.errors import shown
from elmo_tagger.text.files import DataError, Report, give_or_raise, read_text_lines
from elmo_tagger.text.formats.conllu_misc import SPACING, misc_of, spacing_of, unescaped
from elmo_tagger.text.formats.document import Document, are_whole
from elmo_tagger.text.formats.format import FileOptions, Format
from elmo_tagger.text.outputs import Target, new_file
from elmo_tagger.text.tokenize import TokenizedSentence

COLUMNS = 10
KEY = "NER"
"""MISC's key of the tags."""
_ID = re.compile(r"(\d{1,9})(?:-(\d{1,9})|\.\d+)?")


@dataclass(slots=True)
class ConlluSentence(TokenizedSentence):
    """Tokens with the rows that they come from.

    Attributes:
        rows: All rows of the sentence, each of ten cells.
        row_of: The row of each token.
        comments: The lines before the rows, without `# newdoc` and `# text`.
    """

    rows: list[list[str]] = field(default_factory=list)
    row_of: list[int] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Block:
    """The lines of one sentence."""

    comments: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    @property
    def new_document(self) -> str | None:
        """The comment that begins a document, if there is one."""
        return next((comment for comment in self.comments if re.match(r"#\s*newdoc\b", comment)), None)


def read(path: str | Path, options: FileOptions, report: Report | None = None) -> Iterator[Document]:
    """Reads a file that begins with `# newdoc` document by document, another sentence by sentence.

    A token without a tag has the tag `O`.

    Raises:
        DataError: A line without ten columns, an ill-formed ID, an empty form, no sentences; names the line.
    """
    document: Document | None = None
    whole = False
    for block in _blocks(path, options.encoding, report):
        new = block.new_document
        if document is None or new or not whole:
            if document is None:
                number, whole = 0, new is not None
            else:
                number = document.number + (new is not None)
                yield _without_last_space(document)
            name = new.partition("id =")[2].strip() if new else ""
            place = f"{path}:{block.lines[0]}"
            document = Document("", number=number, name=name, marked=bool(new), path=str(path), place=place)
        _append(document, block)
    if document is None:
        give_or_raise(DataError(f"{path}: no sentences in it", path=str(path)), report)
        return
    yield _without_last_space(document)


def write(documents: Iterable[Document], path: Target) -> None:
    """Writes tokens with their tags in MISC; columns that are not known are `_`.

    Raises:
        DataError: A token or tag that a row cannot hold, text outside of tokens.
    """
    whole, documents = are_whole(documents)
    previous = None if whole else 0
    with new_file(path) as file:
        for index, document in enumerate(documents):
            place = document.where(index)
            if not document.sentences:
                raise DataError(f"{place}: no tokens: CoNLL-U cannot express an empty text")
            for number, sentence in enumerate(document.sentences):
                misc = [[f"{KEY}={tag}"] for tag in document.tags[number]]
                for token, entries in enumerate(misc):
                    entries += spacing_of(document, number, token, place)
                comments = []
                if document.number != previous:
                    comments.append(f"# newdoc id = {' '.join(document.name.split())}" if document.name else "# newdoc")
                    previous = document.number
                shown = " ".join(document.text[sentence.starts[0] : sentence.ends[-1]].split())
                comments += [*getattr(sentence, "comments", []), f"# text = {shown}"]
                lines = comments + ["\t".join(row) for row in _rows(sentence, misc, place)]
                try:
                    file.write("".join(line + "\n" for line in [*lines, ""]).encode())
                except UnicodeEncodeError:
                    raise DataError(f"{place}: the text has a lone surrogate, which UTF-8 cannot hold") from None


def _blocks(path: str | Path, encoding: str, report: Report | None) -> Iterator[_Block]:
    block = _Block()
    for number, line in read_text_lines(path, encoding=encoding, report=report):
        if not line:
            if block.rows:
                yield block
                block = _Block()
        elif line.startswith("#") and not block.rows:
            block.comments.append(line)
        else:
            row = line.split("\t")
            problem = _problem(row)
            if problem:
                place = f"{path}:{number}"
                reading = "the line is left out"
                give_or_raise(DataError(f"{place}: {problem}", path=str(path), line=number, reading=reading), report)
                continue
            block.rows.append(row)
            block.lines.append(number)
    if block.rows:
        yield block


def _problem(row: list[str]) -> str:
    """What is wrong with a row; empty if nothing is."""
    if len(row) != COLUMNS:
        return f"{len(row)} columns, expected {COLUMNS} set apart by tabs"
    if not _ID.fullmatch(row[0]):
        return f"ID {shown(row[0])}, expected a number such as 3, 3-4 or 3.1"
    return "" if row[1] else "empty FORM (column 2)"


def _append(document: Document, block: _Block) -> None:
    """Adds a sentence to a document, whose text ends with the white space before it."""
    comments = [comment for comment in block.comments if not re.match(r"#\s*(newdoc\b|text\s*=)", comment)]
    sentence = ConlluSentence([], [], [], block.rows, _surface_rows(block.rows), comments)
    tags, text = [], document.text
    for row in sentence.row_of:
        form, misc = block.rows[row][1], misc_of(block.rows[row])
        text += unescaped(misc.get("SpacesBefore", ""))
        sentence.tokens.append(form)
        sentence.starts.append(len(text))
        sentence.ends.append(len(text) + len(form))
        first_word = misc_of(block.rows[row + 1]) if "-" in block.rows[row][0] and row + 1 < len(block.rows) else {}
        tags.append(misc.get(KEY) or first_word.get(KEY) or "O")
        spaces = (
            unescaped(misc["SpacesAfter"]) if "SpacesAfter" in misc else "" if misc.get("SpaceAfter") == "No" else " "
        )
        text += form + spaces
    document.text = text
    document.sentences.append(sentence)
    document.tags.append(tags)
    document.lines.append([block.lines[row] for row in sentence.row_of])


def _surface_rows(rows: list[list[str]]) -> list[int]:
    """The rows of tokens as the text has them: no empty nodes, and no words within multiword tokens."""
    surface, covered = [], 0
    for number, row in enumerate(rows):
        first, last = _ID.fullmatch(row[0]).groups()  # type: ignore[union-attr] # checked by _blocks
        if "." not in row[0] and int(first) > covered:
            surface.append(number)
            covered = int(last or first)
    return surface


def _without_last_space(document: Document) -> Document:
    """Nothing follows the last token unless its MISC says so."""
    last = document.sentences[-1]
    assert isinstance(last, ConlluSentence)
    if not {"SpaceAfter", "SpacesAfter"} & misc_of(last.rows[last.row_of[-1]]).keys():
        document.text = document.text.removesuffix(" ")
    return document


def _rows(sentence: TokenizedSentence, misc: list[list[str]], place: str) -> Iterator[list[str]]:
    if isinstance(sentence, ConlluSentence):
        rows, row_of = [list(row) for row in sentence.rows], sentence.row_of
    else:
        rows = [[str(number), token, *["_"] * (COLUMNS - 2)] for number, token in enumerate(sentence.tokens, start=1)]
        row_of = list(range(len(rows)))
    for row, entries in zip(row_of, misc, strict=True):
        if any(character in cell for character in "\t\n" for cell in (rows[row][1], *entries)) or "|" in entries[0]:
            found = f"token {shown(rows[row][1])} with {shown(entries[0])}"
            raise DataError(f"{place}: {found}: CoNLL-U holds no tabs, line feeds or bars")
        kept = [entry for entry in rows[row][-1].split("|") if entry.partition("=")[0] not in (*SPACING, KEY, "_")]
        rows[row][-1] = "|".join(kept + entries)
    yield from rows


def looks_like(lines: list[str]) -> bool:
    """Whether the first line that is no comment is a row of ten columns with an ID."""
    rows = (line.split("\t") for line in lines if line and not line.startswith("#"))
    first = next(rows, [])
    return len(first) == COLUMNS and _ID.fullmatch(first[0]) is not None


FORMAT = Format(
    name="conllu",
    description="CoNLL-U with tags in MISC",
    suffixes=(".conllu",),
    has_tags=True,
    read=read,
    write=write,
    looks_like=looks_like,
)
