"""An annotated file of any format as a stream of tagged sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from elmo_tagger.corpus.roles import find_columns, why_untagged
from elmo_tagger.corpus.tokens import with_tokens
from elmo_tagger.tagging.schemes import spans_to_tags
from elmo_tagger.text.columns import DOCUMENT_MARKER
from elmo_tagger.text.files import DataError, Report, give_or_raise, read_lines
from elmo_tagger.text.formats.document import Document
from elmo_tagger.text.formats.format import DEFAULTS, FileOptions, Format
from elmo_tagger.text.formats.registry import FORMATS, format_of_file, get_format
from elmo_tagger.text.formats.spans import sentences_of
from elmo_tagger.text.sentence import Sentence
from elmo_tagger.text.tokenize import Tokenizer

COLUMNS = "columns"


@dataclass(frozen=True)
class Source:
    """A file, and how to read it.

    Attributes:
        path: The file, or brat's folder.
        format: Its format.
        columns: What the columns of a table hold; empty for other formats.
        options: As its user gave them, and for a table the columns that were found.
    """

    path: str
    format: Format
    columns: tuple[str, ...]
    options: FileOptions

    @property
    def tagged(self) -> bool:
        """Whether its sentences have tags."""
        return not self.options.untagged

    def documents(self, *, report: Report | None = None) -> Iterator[Document]:
        """Begins to read; errors go to `report` where it is given and are raised otherwise."""
        return self.format.read(self.path, self.options, report)

    def sentences(self, *, report: Report | None = None) -> Iterator[Sentence]:
        """As `documents`; where the format has character offsets spaCy's tokens get tags in BIO."""
        if self.format.has_tags:
            for document in self.documents(report=report):
                yield from sentences_of(document)
            return
        tokenizer = Tokenizer()
        for index, document in enumerate(self.documents(report=report)):
            try:
                document, spans = with_tokens(document, index, tokenizer)
            except DataError as error:
                give_or_raise(error, report)
                continue
            for sentence, found in zip(document.sentences, spans, strict=True):
                tags = spans_to_tags(found, len(sentence.tokens), "BIO")
                yield Sentence(sentence.tokens, tags, document.where(index), [], document.number)


def open_source(path: str, options: FileOptions = DEFAULTS) -> Source:
    """Finds out how a file is to be read; reading begins with `documents` or `sentences`.

    Args:
        path: The file; `.gz` and `.xz` are unpacked.
        options: What is known about it. What looks like no format is taken for a column file.

    Raises:
        OSError: The file cannot be opened.
        DataError: The format is unknown.
    """
    if options.format is not None:
        found = get_format(options.format)
    else:
        found = format_of_file(path, encoding=options.encoding) or FORMATS[COLUMNS]
    if found.table is None:
        return Source(path, found, (), options)
    columns = find_columns(path, found, options)
    known = replace(
        options,
        separator=columns.separator,
        token_column=columns.token_column if options.token_column is None else options.token_column,
        tag_column=columns.tag_column if options.tag_column is None else options.tag_column,
    )
    return Source(path, found, columns.names, replace(known, untagged=known.tag_column is None))


def open_tagged(path: str, options: FileOptions = DEFAULTS) -> Source:
    """As `open_source`, for what makes no sense without tags.

    Raises:
        DataError: No column looks like tags.
    """
    source = open_source(path, options)
    if not source.tagged:
        why = why_untagged(path, source.format, source.options) if source.columns else "it is empty"
        raise DataError(f"{path}: found no tags: {why}", path=path)
    return source


def count_markers(source: Source) -> int:
    """How many `-DOCSTART-` lines a column file has; 0 for other formats."""
    if source.format.name != COLUMNS:
        return 0
    marker = DOCUMENT_MARKER.encode()
    return sum(line.split()[:1] == [marker] for line in read_lines(source.path) if marker in line)
