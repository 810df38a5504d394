"""Everything about annotated files that is better known before training than in the middle of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from sys import intern

from elmo_tagger.corpus.check_report import KEPT, TOKEN_BYTES, CheckReport, FileReport
from elmo_tagger.corpus.repetition import Annotated, find_duplicates, find_inconsistencies
from elmo_tagger.corpus.roles import why_untagged
from elmo_tagger.corpus.sources import COLUMNS, Source, open_source
from elmo_tagger.corpus.verdict import failures_of, reader_options, warnings_of, why_defaults_fail
from elmo_tagger.errors import shown
from elmo_tagger.tagging.detection import SchemeDetector
from elmo_tagger.tagging.partial import is_partial, is_well_formed, open_tokens, problems, read_entities
from elmo_tagger.tagging.schemes import (
    BEGINS,
    ENDS,
    UNKNOWN,
    alternatives,
    conlleval_spans,
    is_tag,
    split_tag,
)
from elmo_tagger.text.files import DataError
from elmo_tagger.text.formats.format import DEFAULTS, FileOptions
from elmo_tagger.text.sentence import Sentence, Span

_TRAIN = re.compile(r"(?<![a-z])train", re.IGNORECASE)  # as in eng.train or WNUT17train, not in constrained


def check_files(
    paths: Sequence[str | Path],
    *,
    train: str | Path | None = None,
    scheme: str | None = None,
    options: FileOptions = DEFAULTS,
    skip_bad_lines: bool = False,
) -> CheckReport:
    """Reads the files once and reports on them; an error in a line is noted and reading goes on.

    Args:
        paths: Annotated files of any format.
        train: The one to train on; by default the first whose name has a word that begins with "train", else the first.
        scheme: The tag scheme that they should have; by default each file's own is found.
        options: What is known about all of them.
        skip_bad_lines: Whether the dataset reader of the training will be told so.

    Raises:
        OSError: A file cannot be opened or unpacked.
        ValueError: A file whose format cannot be read at all, or `train` is none of `paths`.
    """
    names = list(dict.fromkeys(str(path) for path in paths))
    report = CheckReport([], _training_file(names, train))
    files: dict[str, list[Annotated]] = {}
    for name in names:
        source = open_source(name, options)
        file, files[name] = _read(source, scheme)
        file.reader = reader_options(source, options)
        if file.reader:
            file.untold = why_defaults_fail(source, options, skip_bad_lines=skip_bad_lines)
        if file.sentences and not source.tagged:
            file.untagged = why_untagged(name, source.format, source.options)
        report.files.append(file)
    report.missing_types = _missing_types(report)
    report.missing_tags = _missing_tags(report, files)
    report.duplicates = find_duplicates(files, train=report.train)
    report.inconsistencies, report.inconsistent_phrases = find_inconsistencies(files, limit=KEPT)
    for file in report.files:
        report.failures += failures_of(file, train=report.train, skip_bad_lines=skip_bad_lines)
    report.warnings = warnings_of(report.files, scheme, skip_bad_lines=skip_bad_lines)
    return report


def _training_file(names: Sequence[str], train: str | Path | None) -> str:
    if not names:
        raise ValueError("no files to check: expected at least one")
    if train is not None:
        if str(train) not in names:
            raise ValueError(f"the training file {train} is none of the files to check: {', '.join(names)}")
        return str(train)
    return next((name for name in names if _TRAIN.search(Path(name).name)), names[0])


def _read(source: Source, scheme: str | None) -> tuple[FileReport, list[Annotated]]:
    file = FileReport(
        source.path, format=source.format.name, columns=list(source.columns), encoding=source.options.encoding
    )
    sentences: list[Annotated] = []
    detector = SchemeDetector()
    line, document, readable = 0, 0, True

    def note(error: DataError) -> None:
        nonlocal readable
        readable = False
        file.note(error)

    for sentence in source.sentences(report=note):
        sentence.tokens = list(map(intern, sentence.tokens))
        sentence.tags = list(map(intern, sentence.tags or []))
        detector.add(sentence)
        sentences.append((sentence, conlleval_spans(sentence.tags)))
        if source.format.name == COLUMNS and sentence.lines:
            if readable and sentence.document == document:
                file.empty_sentences += max(sentence.lines[0] - line - 2, 0) if line else 0
            line, document, readable = sentence.lines[-1], sentence.document, True
    if sentences and source.tagged:
        file.broken = dict(detector.broken)
        file.scheme = scheme or detector.ranking()[0]
        sentences = [_with_certain_entities(file, sentence, spans, file.scheme) for sentence, spans in sentences]
    _count(file, sentences)
    if file.scheme is not None:
        _find_ill_formed(file, sentences, file.scheme)
    return file, sentences


def _with_certain_entities(file: FileReport, sentence: Sentence, spans: Sequence[Span], scheme: str) -> Annotated:
    """A sentence and its entities, of one with partial labels those that are certain; counts these labels."""
    tags = sentence.tags or []
    if not is_partial(tags):
        return sentence, spans
    for tag, is_open in zip(tags, open_tokens(tags), strict=True):
        file.unknown_labels += is_open and alternatives(tag) == (UNKNOWN,)
        file.choices += is_open and alternatives(tag) != (UNKNOWN,)
    return sentence, read_entities(tags, scheme).certain if is_well_formed(tags, scheme) else []


def _count(file: FileReport, sentences: list[Annotated]) -> None:
    sentence_lengths = Counter(len(sentence.tokens) for sentence, _ in sentences)
    entities = Counter(span.type for _, spans in sentences for span in spans)
    file.empty_sentences += sentence_lengths[0]
    file.sentences = len(sentences)
    file.tokens = sum(length * count for length, count in sentence_lengths.items())
    file.entities = dict(entities.most_common())
    file.entity_lengths = dict(
        sorted(Counter(end - start for _, spans in sentences for start, end, _ in spans).items())
    )
    file.sentence_lengths = dict(sorted(sentence_lengths.items()))
    for number, (sentence, _) in enumerate(sentences, start=1):
        for position, token in enumerate(sentence.tokens):
            # a character has at most four bytes
            if len(token) * 4 > TOKEN_BYTES and (size := len(token.encode(errors="replace"))) > TOKEN_BYTES:
                file.long_tokens += 1
                if len(file.long_token_places) < KEPT:
                    where = _where(file.path, sentence.lines, number, position)
                    file.long_token_places.append(f"{where}: {shown(token, quoted=False)} ({size} bytes)")


def _find_ill_formed(file: FileReport, sentences: list[Annotated], scheme: str) -> None:
    for number, (sentence, _) in enumerate(sentences, start=1):
        tags = sentence.tags or []
        for position, message in () if is_well_formed(tags, scheme) else problems(tags, scheme):
            tag = tags[position]
            lenient = "" if is_tag(tag, scheme) or is_partial(tags) else _reading_of_foreign(tag)
            where = _where(file.path, sentence.lines, number, position)
            file.say(f"{where}: {message}{lenient}")


def _where(path: str, lines: list[int], number: int, position: int) -> str:
    return f"{path}:{lines[position]}" if lines else f"{path}: sentence {number}, token {position + 1}"


def _reading_of_foreign(tag: str) -> str:
    """What counts here make of a tag that the scheme does not have."""
    letter, entity_type = split_tag(tag)
    if letter in BEGINS or letter in ENDS:
        what = "the first token" if letter in BEGINS else "the last token"
    else:
        what = "a token"
    return f"; leniently read as {what} of an entity of type {shown(entity_type)}"


def _missing_types(report: CheckReport) -> dict[str, list[str]]:
    known = next(set(file.entities) for file in report.files if file.path == report.train)
    missing = {file.path: sorted(set(file.entities) - known) for file in report.files}
    return {path: types for path, types in missing.items() if types}


def _missing_tags(report: CheckReport, files: dict[str, list[Annotated]]) -> dict[str, list[str]]:
    """A tag such as I-DATE can be missing where B-DATE is not: the model cannot learn it either."""
    train = next(file for file in report.files if file.path == report.train)
    tags = {path: {tag for sentence, _ in read for tag in sentence.tags or []} for path, read in files.items()}
    missing = {}
    for file in report.files:
        if train.scheme is not None and not file.broken.get(train.scheme, 1):
            certain = {tag for tag in tags[file.path] if not alternatives(tag)}
            known = {part for tag in tags[train.path] for part in alternatives(tag) or (tag,)}
            missing[file.path] = sorted(tag for tag in certain - known if split_tag(tag)[1] in train.entities)
    return {path: tags for path, tags in missing.items() if tags}
