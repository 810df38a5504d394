"""Column files: one token a line, its tags in further columns, blank lines between sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from elmo_tagger.text.files import BOM, DataError, Report, give_or_raise, read_text_lines, replace_file
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
    rows = _Rows(str(path), token_column=token_column, tag_column=tag_column, separator=separator)
    current = rows.sentence(document=0)
    document_begun = found = False
    marked = document_marker or ""
    number = 0
    for number, line in read_text_lines(path, encoding=encoding, report=report):
        if comment_prefix and line.startswith(comment_prefix):
            continue
        cells = rows.split(line)
        # nearly all lines are done with the first look
        marker = bool(marked) and marked in line and (marked in cells or line.startswith(marked + " "))
        if cells and not marker:
            try:
                rows.append(current, cells, number)
            except DataError as error:
                give_or_raise(error, report)
            continue
        if current.tokens:
            yield current
            document_begun = found = True
        new_document = marker and document_begun
        current = rows.sentence(document=current.document + new_document)
        document_begun = document_begun and not new_document
    if current.tokens:
        yield current
    elif not found:
        message = f"no sentences in its {number} lines" if number else "the file is empty"
        give_or_raise(DataError(f"{path}: {message}", path=str(path)), report)


class _Rows:
    """Takes lines apart and sees to it that all have as many columns as the first."""

    def __init__(self, path: str, *, token_column: int, tag_column: int | None, separator: str | None):
        if separator == "":
            raise DataError("separator '': expected at least one character, or None for runs of spaces and tabs")
        self.path = path
        self.token_column = token_column
        self.tag_column = tag_column
        self.separator = separator
        self.width = 0
        self.first_line = 0

    def sentence(self, *, document: int) -> Sentence:
        """An empty sentence to fill."""
        return Sentence([], None if self.tag_column is None else [], self.path, [], document)

    def split(self, line: str) -> list[str]:
        """The cells of a line; none if it is blank."""
        cells = line.replace("\t", " ").split(" ")
        if "" in cells:
            cells = [cell for cell in cells if cell]
        if self.separator is None or not cells:
            return cells
        return line.split(self.separator)

    def append(self, sentence: Sentence, cells: list[str], number: int) -> None:
        """Adds a line's token and tag to the sentence."""
        if len(cells) != self.width:
            self._check_width(cells, number)
        token = cells[self.token_column]
        if not token:
            raise self._error(number, f"empty token (column {self.token_column % self.width + 1} of {self.width})")
        if self.tag_column is not None and sentence.tags is not None:
            tag = cells[self.tag_column]
            if not tag:
                raise self._error(number, f"empty tag (column {self.tag_column % self.width + 1} of {self.width})")
            sentence.tags.append(tag)
        sentence.tokens.append(token)
        sentence.lines.append(number)

    def _check_width(self, cells: list[str], number: int) -> None:
        if self.width:
            more = self.separator is None and len(cells) > self.width
            advice = " (tokens that contain spaces need separator='\\t')" if more else ""
            found = _columns(len(cells))
            raise self._error(number, f"{found}, expected {self.width} as in line {self.first_line}{advice}")
        for name, column in (("token", self.token_column), ("tag", self.tag_column)):
            if column is not None and not -len(cells) <= column < len(cells):
                raise self._error(number, f"{_columns(len(cells))}, but the {name} column is {column} (counted from 0)")
        if self.tag_column is not None and self.tag_column % len(cells) == self.token_column % len(cells):
            raise self._error(
                number,
                f"{_columns(len(cells))}, expected one for tokens and another for tags"
                f" (token column {self.token_column}, tag column {self.tag_column})",
            )
        self.width, self.first_line = len(cells), number

    def _error(self, number: int, problem: str) -> DataError:
        message = f"{self.path}:{number}: {problem}"
        return DataError(message, path=self.path, line=number, reading="the line is left out")


def write_columns(
    sentences: Iterable[Sentence],
    path: str | Path,
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
    with replace_file(path) as file:
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
            raise DataError(f"{place}: {kind} {cell!r} contains {problem}: a column file cannot hold it")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _columns(count: int) -> str:
    return f"{count} column{'s' if count != 1 else ''}"
