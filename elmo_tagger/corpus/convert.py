"""Annotated files from any format and tag scheme to any other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from elmo_tagger.corpus.sources import COLUMNS, Source, open_tagged
from elmo_tagger.corpus.tokens import with_tokens
from elmo_tagger.errors import shown
from elmo_tagger.tagging import partial
from elmo_tagger.tagging.detection import SchemeDetector
from elmo_tagger.tagging.schemes import TagSchemeError, get_scheme, spans_to_tags, tags_to_spans
from elmo_tagger.text.files import DataError, Report, read_text_lines, skipping
from elmo_tagger.text.formats.document import Document
from elmo_tagger.text.formats.format import DEFAULTS, FileOptions, Format
from elmo_tagger.text.formats.registry import format_of_name, get_format
from elmo_tagger.text.formats.spans import TagsOf, read_tags, sentences_of, write_tags
from elmo_tagger.text.outputs import Target, new_file
from elmo_tagger.text.sentence import Sentence, Span
from elmo_tagger.text.tokenize import Tokenizer

KEPT = 10
"""Messages about skipped lines that a report keeps."""
_CELL = re.compile(r"[^ \t]+")


@dataclass
class Conversion:
    """What a conversion did.

    Attributes:
        source_format, target_format: Names of formats.
        source_scheme, target_scheme: Tag schemes; None on a side that has character offsets.
        sentences: Sentences (of tagged files) or documents (of others) that were written.
        entities: Entities among them; where labels are partial, those that are certain.
        partial_labels: Tokens of the source whose label is left open.
        skipped: How many lines, or documents, could not be read and were left out.
        messages: What was wrong with the first of them.
    """

    source_format: str
    target_format: str
    source_scheme: str | None
    target_scheme: str | None
    sentences: int = 0
    entities: int = 0
    partial_labels: int = 0
    skipped: int = 0
    messages: list[str] = field(default_factory=list)

    def skip(self, error: DataError) -> None:
        """Takes note of what cannot be read."""
        self.skipped += 1
        if len(self.messages) < KEPT:
            self.messages.append(f"{error}; {error.reading}" if error.reading else str(error))


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
    skip_bad_lines: bool = False,
    unannotated: Sequence[str] = (),
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
        skip_bad_lines: Leave out lines (of column files), or documents, that cannot be read, instead of refusing them.
        unannotated: Types that the source does not annotate: where it has `O`, the target has a choice of that and
            their tags.
        language: Of spaCy's tokenizer, for texts without tokens.

    Raises:
        ValueError: What cannot be read, or what the target's format cannot express; names the sentence.
        OSError: A file cannot be opened or written.
    """
    found = open_tagged(str(source), options)
    writer = get_format(target_format) if target_format else _target_format(target, found)
    if to and not writer.has_tags:
        raise DataError(f"--to {to}: {writer.name} has character offsets, and no tags that could be {to}")
    _check_unannotated(unannotated, writer)
    scheme = _source_scheme(found, scheme, lenient, skip_bad_lines) if found.format.has_tags else None
    target_scheme = get_scheme(to or scheme or "BIO").name if writer.has_tags else None
    done = Conversion(found.format.name, writer.name, scheme, target_scheme)
    report = skipping(done.skip) if skip_bad_lines else None

    def spans_of(sentence: Sentence) -> list[Span]:
        _refuse_partial_labels(sentence, writer)
        return _count(sentence, done, lenient=lenient)

    def retagged(sentence: Sentence) -> list[str]:
        _count(sentence, done, lenient=lenient)
        tags = partial.convert(sentence, scheme or "", target_scheme or "", strict=not lenient)
        return partial.with_unannotated(tags, unannotated, target_scheme or "") if unannotated else tags

    def tags_of(spans: Sequence[Span], length: int) -> list[str]:
        tags = spans_to_tags(spans, length, target_scheme or "")
        return partial.with_unannotated(tags, unannotated, target_scheme or "") if unannotated else tags

    if writer is found.format and writer.name == COLUMNS:
        _retag(found, target, retagged, report)
    elif writer.has_tags and found.format.has_tags:
        writer.write(_with_tags(found, retagged, report), target)
    else:
        documents = _read(found, spans_of, done, report)
        if writer.has_tags:
            documents = _tagged(documents, Tokenizer(language=language), tags_of, split=split_tokens)
        writer.write(documents, target)
    return done


def _count(sentence: Sentence, done: Conversion, *, lenient: bool) -> list[Span]:
    """Takes note of a sentence, and gives its entities."""
    assert done.source_scheme is not None
    tags = sentence.tags or []
    if partial.is_partial(tags):
        spans = partial.read_entities(sentence, done.source_scheme).certain
        done.partial_labels += sum(partial.open_tokens(tags))
    else:
        spans = tags_to_spans(sentence, done.source_scheme, strict=not lenient)
    done.sentences += 1
    done.entities += len(spans)
    return spans


def _refuse_partial_labels(sentence: Sentence, writer: Format) -> None:
    for position, is_open in enumerate(partial.open_tokens(sentence.tags or [])):
        if is_open:
            label = shown((sentence.tags or [])[position])
            raise TagSchemeError(
                f"{sentence.where(position)}: {label} leaves open what the token is, which {writer.name} cannot "
                "express: expected a target with tags, such as columns"
            )


def _check_unannotated(unannotated: Sequence[str], writer: Format) -> None:
    if unannotated and not writer.has_tags:
        raise DataError(f"--unannotated: {writer.name} has character offsets, and no tags that could leave types open")
    for entity_type in unannotated:
        if not entity_type or any(character.isspace() or character == "|" for character in entity_type):
            raise DataError(f"--unannotated {shown(entity_type)}: expected a type such as MISC, without spaces and |")


def _with_tags(source: Source, tags_of: Callable[[Sentence], list[str]], report: Report | None) -> Iterator[Document]:
    """The documents of a file that has tags, with others."""
    for document in source.documents(report=report):
        document.tags = [tags_of(sentence) for sentence in sentences_of(document)]
        yield document


def _target_format(target: Target, source: Source) -> Format:
    """A name without a suffix that says something keeps the source's format."""
    try:
        return format_of_name(target)
    except DataError:
        if Path(target).suffix in ("", ".gz", ".xz"):
            return source.format
        raise


def _source_scheme(source: Source, scheme: str | None, lenient: bool, skip_bad_lines: bool) -> str:
    if scheme is not None:
        return get_scheme(scheme).name
    detector = SchemeDetector()
    for sentence in source.sentences(report=skipping(lambda _: None) if skip_bad_lines else None):
        detector.add(sentence)
    return detector.result(strict=not lenient)


def _read(
    source: Source, spans_of: Callable[[Sentence], list[Span]], done: Conversion, report: Report | None
) -> Iterator[Document]:
    for document in source.documents(report=report):
        if source.format.has_tags:
            read_tags(document, spans_of)
        else:
            done.sentences += 1
            done.entities += len(document.entities)
        yield document


def _tagged(documents: Iterable[Document], tokenizer: Tokenizer, tags_of: TagsOf, *, split: bool) -> Iterator[Document]:
    for index, document in enumerate(documents):
        whole = with_tokens(document, index, tokenizer, split=split)[0]
        write_tags(whole, index, tags_of)
        yield whole


def _retag(source: Source, target: Target, tags_of: Callable[[Sentence], list[str]], report: Report | None) -> None:
    """Copies a column file line by line, with other tags and without the lines that cannot be read."""
    options = source.options
    skipped: set[int] = set()

    def skip(error: DataError) -> None:
        assert report is not None
        report(error)
        skipped.add(error.line)

    lines = read_text_lines(source.path, encoding=options.encoding, report=lambda _: None)
    with new_file(target) as file:

        def copy_until(stop: int | None, tag: str = "") -> None:
            for number, line in lines:
                if number == stop:
                    line = _with_tag(line, tag, options.tag_column or 0, options.separator)
                if number not in skipped:
                    file.write(line.encode() + b"\n")
                if number == stop:
                    return

        for sentence in source.sentences(report=skip if report else None):
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
