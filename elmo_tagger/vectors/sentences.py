"""Sentences to embed, from a text file, JSON lines or raw text, one at a time."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from elmo_tagger.errors import shown
from elmo_tagger.text.files import DataError, decode_lines, read_lines
from elmo_tagger.text.formats import json_lines, label_studio
from elmo_tagger.text.formats.format import HEAD_LINES, Format
from elmo_tagger.text.formats.json_lines import document_of_json
from elmo_tagger.text.formats.registry import format_of_file, format_of_lines
from elmo_tagger.text.tokenize import Tokenizer, split_at_spaces

STANDARD_INPUT = "-"
LAYOUTS = ("text", "jsonl")
JSON_SUFFIXES = (".jsonl", ".ndjson")
_PACKED = (".gz", ".xz")
_PARAGRAPH = 100_000  # characters of raw text that are tokenised at once, at most


def layout_of(path: str) -> str:
    """The layout that a file's name tells."""
    name = path.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    return "jsonl" if name.endswith(JSON_SUFFIXES) else "text"


@dataclass(frozen=True, slots=True)
class InputSentence:
    """A sentence and its place.

    Attributes:
        text: The sentence as a line of text, without white space around it.
        tokens: Its words.
        paragraph: Bytes of the input before the line, or the paragraph of raw text, that it is from.
        paragraph_line: Number of that line, from 1.
        line: Number of the line that the sentence begins in: another one within a paragraph of raw text.
        end: Bytes of the input read so far.
    """

    text: str
    tokens: list[str]
    paragraph: int
    paragraph_line: int
    line: int
    end: int


@dataclass(frozen=True, kw_only=True)
class SentenceSource:
    """An input of sentences.

    Attributes:
        path: A file, packed if named `.gz` or `.xz`; `-` for standard input.
        layout: `text`, one sentence a line, its words set apart by spaces; `jsonl`, one JSON object a line with
            `tokens` (a list of words), or `sentence` or `text` (a string), with `token_offsets` as
            `elmo-tagger convert` writes them where it has several sentences.
        tokenizer: For raw text: finds sentences and words. Text is then taken paragraph by paragraph, and blank lines
            only separate; otherwise an empty line is a sentence without words.
    """

    path: str
    layout: str = "text"
    tokenizer: Tokenizer | None = None

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise DataError(f"layout: expected one of {', '.join(LAYOUTS)}, received {self.layout!r}")

    @property
    def name(self) -> str:
        """For messages."""
        return "standard input" if self.path == STANDARD_INPUT else self.path

    @property
    def size(self) -> int | None:
        """Bytes, or None where only reading would tell."""
        if self.path == STANDARD_INPUT or Path(self.path).suffix.lower() in _PACKED:
            return None
        return Path(self.path).stat().st_size

    def read(self, *, offset: int = 0, first_line: int = 1) -> Iterator[InputSentence]:
        """The sentences, in order.

        Args:
            offset: Begin at this byte, a sentence's `paragraph`; for files that are not packed.
            first_line: That sentence's `paragraph_line`.

        Raises:
            DataError: A line is not UTF-8 or not what the layout says; names the line. Or the text is a column file or
                JSON.
            OSError: The file cannot be read.
        """
        counter = _Counter(self._lines(offset), offset)
        lines = _placed(decode_lines(counter, name=self.name, first_line=first_line, offset=offset), counter)
        if self.layout == "jsonl":
            return self._json(lines)
        if not offset:
            lines = self._text_only(lines)
        if self.tokenizer is not None:
            return self._raw(lines, self.tokenizer)
        return (_sentence(line.text, line) for line in lines)

    def _lines(self, offset: int) -> Iterator[bytes]:
        if self.path == STANDARD_INPUT:
            yield from sys.stdin.buffer
        elif offset:
            with Path(self.path).open("rb") as file:
                file.seek(offset)
                yield from file
        else:
            yield from read_lines(self.path)

    def _text_only(self, lines: Iterator[_Line]) -> Iterator[_Line]:
        """Refuses other formats, though each of their lines could be read as a sentence."""
        head = list(islice(lines, HEAD_LINES))
        found = format_of_lines([line.text for line in head])
        if found in json_lines.FORMATS:
            advice = "give it a name that ends in .jsonl, or --layout jsonl"
            raise DataError(f"{self.name}: JSON lines, expected a sentence a line: {advice}", path=self.path)
        if found is not None:
            more = ", and read that with --raw" if found is label_studio.FORMAT else ""
            advice = f"convert it first: {_conversion(self.path, found)}{more}"
            raise DataError(
                f"{self.name}: in the format {found.name}, expected a sentence a line: {advice}", path=self.path
            )
        return chain(head, lines)

    def _raw(self, lines: Iterator[_Line], tokenizer: Tokenizer) -> Iterator[InputSentence]:
        for paragraph in _paragraphs(lines):
            text = "\n".join(line.text for line in paragraph)
            yield from _tokenized(text, paragraph[0], paragraph[-1].end, tokenizer, of_lines=True)

    def _json(self, lines: Iterator[_Line]) -> Iterator[InputSentence]:
        for line in lines:
            value = self._json_value(line)
            if isinstance(value, list):
                for tokens in value:
                    yield InputSentence(" ".join(tokens), tokens, line.start, line.number, line.number, line.end)
            elif self.tokenizer is not None:
                yield from _tokenized(value, line, line.end, self.tokenizer)
            else:
                yield _sentence(value, line)

    def _json_value(self, line: _Line) -> str | list[list[str]]:
        """A text, or the tokens of sentences."""
        try:
            fields: Any = json.loads(line.text)
        except (ValueError, RecursionError) as error:
            raise self._not_a_sentence(line, f"received no JSON ({error})") from None
        if not isinstance(fields, dict):
            raise self._not_a_sentence(line, f"received {shown(line.text, limit=60)}")
        tokens = fields.get("tokens")
        if isinstance(tokens, list) and all(isinstance(token, str) for token in tokens):
            return [tokens]
        text = fields.get("sentence", fields.get("text"))
        if tokens is not None or not isinstance(text, str):
            raise self._not_a_sentence(line, f"received {shown(line.text, limit=60)}")
        if "token_offsets" in fields:
            return [sentence.tokens for sentence in document_of_json(fields, self._place(line), 0).sentences]
        return text

    def _place(self, line: _Line) -> str:
        return f"{self.name}:{line.number}"

    def _not_a_sentence(self, line: _Line, received: str) -> DataError:
        return DataError(
            f'{self._place(line)}: expected a JSON object with "tokens" (a list of strings), or "sentence" or '
            f'"text" (a string), {received}',
            path=self.path,
            line=line.number,
        )


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    number: int
    start: int
    end: int


class _Counter:
    """Lines as they are read, and the bytes read so far."""

    def __init__(self, lines: Iterable[bytes], offset: int) -> None:
        self._lines = lines
        self.bytes = offset

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.bytes += len(line)
            yield line


def _placed(lines: Iterable[tuple[int, str]], counter: _Counter) -> Iterator[_Line]:
    start = counter.bytes
    for number, text in lines:
        yield _Line(text, number, start, counter.bytes)
        start = counter.bytes


def _paragraphs(lines: Iterable[_Line]) -> Iterator[list[_Line]]:
    """Runs of lines that are not blank, cut where they grow too long."""
    run: list[_Line] = []
    characters = 0
    for line in lines:
        if run and (not line.text.strip() or characters + len(line.text) > _PARAGRAPH):
            yield run
            run, characters = [], 0
        if line.text.strip():
            run.append(line)
            characters += len(line.text)
    if run:
        yield run


def _tokenized(
    text: str, first: _Line, end: int, tokenizer: Tokenizer, *, of_lines: bool = False
) -> Iterator[InputSentence]:
    """The sentences of a text; `of_lines` if its line breaks are those of the file."""
    number, counted = first.number, 0
    for sentence in tokenizer(text):
        if of_lines:
            number, counted = number + text.count("\n", counted, sentence.starts[0]), sentence.starts[0]
        yield InputSentence(" ".join(sentence.tokens), sentence.tokens, first.start, first.number, number, end)


def _sentence(text: str, line: _Line) -> InputSentence:
    return InputSentence(text.strip(), split_at_spaces(text).tokens, line.start, line.number, line.number, line.end)


def _conversion(path: str, source: Format) -> str:
    """The command that makes JSON lines of a file."""
    file = Path("FILE" if path == STANDARD_INPUT else path)
    target = (file.with_suffix("") if file.suffix.lower() in _PACKED else file).with_suffix(".jsonl")
    told = "" if path != STANDARD_INPUT and format_of_file(path) is source else f" --in-format {source.name}"
    return f"elmo-tagger convert {shlex.quote(str(file))} {shlex.quote(str(target))}{told}"
