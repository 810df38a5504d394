"""Column files: one token a line, its tags in further columns, blank lines between sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from elmo_tagger.errors import shown
from elmo_tagger.text.column_rows import Rows
from elmo_tagger.text.files import BOM, DataError, Report, give_or_raise, read_text_blocks
from elmo_tagger.text.outputs import Target, new_file
from elmo_tagger.text.sentence import Sentence

DOCUMENT_MARKER = "-DOCSTART-"  # CoNLL-2003


def read_columns(
    path: str | Path,
    *,
    token_column: int = 0,
    tag_column: int | None = -1,
    separator: str | None = None,
    comment_prefix: str | None = None,
    document_marker: str | None = DOCUMENT_MARKER,
    encoding: str = "utf-8",
    report: Report | None = None,
) -> Iterator[Sentence]:
    r"""Reads a column file sentence by sentence.

    Lines end at `\n` (a `\r` before it is dropped) and columns at ASCII spaces and tabs: every other character,
    Unicode spaces and control characters included, belongs to its token. A byte order mark is skipped.

    Args:
        path: The file; `.gz` and `.xz` are unpacked.
        token_column: The column of the tokens, counted from 0, or from the end if negative.
        tag_column: The column of the tags, counted likewise; None where the file has none.
        separator: What stands between columns; by default any run of spaces and tabs. With `"\t"` tokens may contain
            spaces.
        comment_prefix: Lines that begin so are skipped. None by default, because tokens may begin with `#`.
        document_marker: A line with this in a column begins a document; None where there are no documents.
        encoding: Any encoding that writes a line feed as one byte.
        report: Takes the error of each ill-formed line, and reading goes on without that line (bytes that are no text
            are replaced by U+FFFD). Without it the first error is raised.

    Yields:
        Sentences with `path`, `lines` and `document` filled in.

    Raises:
        DataError: Another number of columns than in the first line, an empty token or tag, bytes that are no text,
            an empty file, a file without sentences. Names the line.
        OSError: The file cannot be opened or unpacked.
    """
    rows = Rows(str(path), token_column=token_column, tag_column=tag_column, separator=separator)
    reading = _Reading(rows, marker=document_marker or "", comment=comment_prefix or "", report=report)
    for number, text in read_text_blocks(path, encoding=encoding, report=report):
        yield from reading.block(text, number)
    yield from reading.end()


class _Reading:
    """The sentence that is being read, and what is known of those before it."""

    def __init__(self, rows: Rows, *, marker: str, comment: str, report: Report | None) -> None:
        self._rows = rows
        self._marker = marker
        self._comment = comment
        self._signs = [sign for sign in (marker, comment) if sign]  # of lines that are no rows
        self._report = report
        self._current = rows.sentence(document=0)
        self._document_begun = self._found = False
        self._lines = 0

    def block(self, text: str, number: int) -> Iterator[Sentence]:
        """Sentences that end within these lines, the first of which has this number."""
        for index, paragraph in enumerate(text.split("\n\n")):
            if index:  # an empty line lies between
                yield from self._finish()
                number += 1
            special = any(sign in paragraph for sign in self._signs)
            if special or not self._rows.extend(self._current, paragraph, number):
                for each, line in enumerate(paragraph.split("\n"), start=number):
                    yield from self._line(line, each)
            number += paragraph.count("\n") + 1
        self._lines = number - 1

    def end(self) -> Iterator[Sentence]:
        """The last sentence."""
        yield from self._finish()
        if not self._found:
            path = self._rows.path
            message = f"no sentences in its {self._lines} lines" if self._lines else "the file is empty"
            give_or_raise(DataError(f"{path}: {message}", path=path), self._report)

    def _line(self, line: str, number: int) -> Iterator[Sentence]:
        if self._comment and line.startswith(self._comment):
            return
        cells = self._rows.split(line)
        marker = bool(self._marker) and (self._marker in cells or line.startswith(self._marker + " "))
        if not cells or marker:
            yield from self._finish(new_document=marker)
            return
        try:
            self._rows.append(self._current, cells, number)
        except DataError as error:
            give_or_raise(error, self._report)

    def _finish(self, *, new_document: bool = False) -> Iterator[Sentence]:
        document = self._current.document
        if self._current.tokens:
            yield self._current
            self._document_begun = self._found = True
        new_document = new_document and self._document_begun
        self._current = self._rows.sentence(document=document + new_document)
        self._document_begun = self._document_begun and not new_document


def write_columns(
    sentences: Iterable[Sentence],
    path: Target,
    *,
    separator: str = " ",
    document_marker: str | None = DOCUMENT_MARKER,
) -> None:
    r"""Writes tokens, and tags where there are any, so that `read_columns` reads the same sentences.

    Args:
        sentences: A marker is written where their `document` changes (and before the first unless it is 0).
        path: The file; compressed when named `.gz` or `.xz`. It takes its name only when all has been written.
        separator: `" "`, or `"\t"`, which lets tokens contain spaces (to be read with `separator="\t"`).
        document_marker: None leaves document boundaries out.

    Raises:
        DataError: A sentence that a column file cannot hold; names it (counted from 1) and the token.
        OSError: The file cannot be written.
    """
    if separator not in (" ", "\t"):
        raise DataError(f"separator {separator!r}: expected ' ' or '\\t'")
    document, tagged = 0, None
    with new_file(path) as file:
        for number, sentence in enumerate(sentences, start=1):
            place = f"sentence {number} ({sentence.where()})" if sentence.lines else f"sentence {number}"
            tagged = sentence.tags is not None if tagged is None else tagged
            block = _block(sentence, place, tagged=tagged, separator=separator, marker=document_marker)
            if document_marker is not None and sentence.document != document:
                document = sentence.document
                block = document_marker + (f"{separator}O" if tagged else "") + "\n\n" + block
            # A first token that begins with U+FEFF would be taken for a byte order mark: give it one to lose.
            file.write(BOM + block.encode() if number == 1 and block.startswith("\ufeff") else block.encode())


def _block(sentence: Sentence, place: str, *, tagged: bool, separator: str, marker: str | None) -> str:
    if not sentence.tokens:
        raise DataError(f"{place}: no tokens, expected at least one")
    if (sentence.tags is not None) != tagged:
        raise DataError(f"{place}: {'no tags' if tagged else 'tags'}, unlike the sentences before it")
    if sentence.tags is None:
        rows: list[tuple[str, ...]] = [(token,) for token in sentence.tokens]
    elif len(sentence.tags) != len(sentence.tokens):
        raise DataError(f"{place}: {len(sentence.tags)} tags for {len(sentence.tokens)} tokens")
    else:
        rows = list(zip(sentence.tokens, sentence.tags, strict=True))
    for row in rows:
        _check_cells(row, place, separator=separator, marker=marker)
    return "".join(separator.join(row) + "\n" for row in rows) + "\n"


def _check_cells(row: tuple[str, ...], place: str, *, separator: str, marker: str | None) -> None:
    forbidden = {"\n": "a line feed", "\t": "a tab"} | ({" ": "a space"} if separator == " " else {})
    for cell, kind in zip(row, ("token", "tag"), strict=False):
        problem = next((name for character, name in forbidden.items() if character in cell), "")
        if not cell.strip(" \t"):
            problem = "nothing but spaces" if cell else "nothing"
        elif cell == marker and kind == "token":
            problem = "the document marker"
        elif cell.endswith("\r") and cell is row[-1]:
            problem = "a carriage return at the end of its line"
        elif not _encodable(cell):
            problem = "a lone surrogate, which UTF-8 cannot hold"
        if problem:
            raise DataError(f"{place}: {kind} {shown(cell)} contains {problem}: a column file cannot hold it")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
