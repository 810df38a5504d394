"""Annotated files from any format and tag scheme to any other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from elmo_tagger.corpus.sources import COLUMNS, DEFAULTS, FileOptions, Source, open_tagged
from elmo_tagger.corpus.tokens import with_tokens
from elmo_tagger.tagging.detection import SchemeDetector
from elmo_tagger.tagging.schemes import get_scheme, spans_to_tags, tags_to_spans
from elmo_tagger.text.files import DataError, read_text_lines
from elmo_tagger.text.formats.document import Document
from elmo_tagger.text.formats.registry import Format, format_of, get_format
from elmo_tagger.text.outputs import Target, new_file
from elmo_tagger.text.sentence import Sentence, Span
from elmo_tagger.text.tokenize import Tokenizer

_CELL = re.compile(r"[^ \t]+")


@dataclass
class Conversion:
    """What a conversion did.

    Attributes:
        source_format, target_format: Names of formats.
        source_scheme, target_scheme: Tag schemes; None on a side that has character offsets.
        sentences: Sentences (of tagged files) or documents (of others) that were written.
        entities: Entities among them.
    """

    source_format: str
    target_format: str
    source_scheme: str | None
    target_scheme: str | None
    sentences: int = 0
    entities: int = 0


def convert_file(
    source: str | Path,
    target: Target,
    *,
    to: str | None = None,
    scheme: str | None = None,
    options: FileOptions = DEFAULTS,
    target_format: str | None = None,
    lenient: bool = False,
    split_tokens: bool = False,
    language: str = "en",
) -> Conversion:
    """Converts a file, or brat's folder; the target takes its name only once it is complete.

    From a column file to a column file the tags alone change: other columns, comments and spacing stay as they are.

    Args:
        source: The annotated file.
        target: The file to write.
        to: The target's tag scheme; by default the source's, or BIO where that has none.
        scheme: The source's tag scheme; by default the one that all its tags fit.
        options: What is known about the source.
        target_format: By default told by the name, and the source's where that says nothing.
        lenient: Read ill-formed tags as conlleval does instead of refusing them.
        split_tokens: Split tokens where an entity begins or ends within them instead of refusing it.
        language: Of spaCy's tokenizer, for texts without tokens.

    Raises:
        ValueError: What cannot be read, or what the target's format cannot express; names the sentence.
        OSError: A file cannot be opened or written.
    """
    found = open_tagged(str(source), options)
    target_format = target_format or _target_format(target, found.format)
    reader, writer = get_format(found.format), get_format(target_format)
    if to and not writer.has_tags:
        raise DataError(f"--to {to}: {target_format} has character offsets, and no tags that could be {to}")
    source_scheme = _source_scheme(found, scheme, lenient) if reader.has_tags else None
    target_scheme = get_scheme(to or source_scheme or "BIO").name if writer.has_tags else None
    report = Conversion(found.format, target_format, source_scheme, target_scheme)

    def spans_of(sentence: Sentence) -> list[Span]:
        spans = tags_to_spans(sentence, source_scheme or "", strict=not lenient)
        report.sentences += 1
        report.entities += len(spans)
        return spans

    def tags_of(spans: Sequence[Span], length: int) -> list[str]:
        return spans_to_tags(spans, length, target_scheme or "")

    if target_format == found.format == COLUMNS:
        _retag(found, target, lambda each: tags_of(spans_of(each), len(each.tokens)), options.separator)
        return report
    documents = _read(found, reader, spans_of, report, options.separator)
    if writer.has_tags:
        documents = _tokenized(documents, Tokenizer(language=language), split=split_tokens)
        writer.write(documents, target, tags_of=tags_of)
    else:
        writer.write(documents, target)
    return report


def _tokenized(documents: Iterable[Document], tokenizer: Tokenizer, *, split: bool) -> Iterator[Document]:
    for index, document in enumerate(documents):
        yield with_tokens(document, index, tokenizer, split=split)[0]


def _target_format(target: Target, source_format: str) -> str:
    """A name without a suffix that says something keeps the source's format."""
    try:
        return format_of(target)
    except DataError:
        if Path(target).suffix in ("", ".gz", ".xz"):
            return source_format
        raise


def _source_scheme(source: Source, scheme: str | None, lenient: bool) -> str:
    if scheme is not None:
        return get_scheme(scheme).name
    detector = SchemeDetector()
    for sentence in source.sentences():
        detector.add(sentence)
    return detector.result(strict=not lenient)


def _read(
    source: Source,
    reader: Format,
    spans_of: Callable[[Sentence], list[Span]],
    report: Conversion,
    separator: str | None,
) -> Iterator[Document]:
    if source.format == COLUMNS:
        columns = {"token_column": source.token_column, "tag_column": source.tag_column, "separator": separator}
        yield from reader.read(source.path, spans_of=spans_of, **columns)
    elif reader.has_tags:
        yield from reader.read(source.path, spans_of=spans_of)
    else:
        for document in reader.read(source.path):
            report.sentences += 1
            report.entities += len(document.entities)
            yield document


def _retag(source: Source, target: Target, tags_of: Callable[[Sentence], list[str]], separator: str | None) -> None:
    """Copies a column file line by line, with other tags."""
    lines = read_text_lines(source.path)
    with new_file(target) as file:

        def copy_until(stop: int | None, tag: str = "") -> None:
            for number, line in lines:
                if number == stop:
                    line = _with_tag(line, tag, source.tag_column or 0, separator)
                file.write(line.encode() + b"\n")
                if number == stop:
                    return

        for sentence in source.sentences():
            for number, tag in zip(sentence.lines, tags_of(sentence), strict=True):
                copy_until(number, tag)
        copy_until(None)


def _with_tag(line: str, tag: str, column: int, separator: str | None) -> str:
    if separator is not None:
        cells = line.split(separator)
        cells[column] = tag
        return separator.join(cells)
    cell = list(_CELL.finditer(line))[column]
    return line[: cell.start()] + tag + line[cell.end() :]
