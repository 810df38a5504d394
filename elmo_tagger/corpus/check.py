"""Everything about annotated files that is better known before training than in the middle of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from elmo_tagger.corpus.check_report import KEPT, TOKEN_BYTES, CheckReport, FileReport
from elmo_tagger.corpus.duplicates import find_duplicates
from elmo_tagger.corpus.inconsistency import find_inconsistencies
from elmo_tagger.corpus.roles import why_untagged
from elmo_tagger.corpus.sources import COLUMNS, DEFAULTS, FileOptions, Source, open_source
from elmo_tagger.corpus.store import Ids, Store, StoreBuilder
from elmo_tagger.corpus.verdict import failures_of, reader_options, warnings_of
from elmo_tagger.tagging.detection import SchemeDetector
from elmo_tagger.tagging.schemes import BEGINS, ENDS, conlleval_spans, is_tag, problems, split_tag
from elmo_tagger.text.files import DataError

_TRAIN = re.compile(r"(?<![a-z])train", re.IGNORECASE)  # as in eng.train or WNUT17train, not in constrained


def check_files(
    paths: Sequence[str | Path],
    *,
    train: str | Path | None = None,
    scheme: str | None = None,
    options: FileOptions = DEFAULTS,
) -> CheckReport:
    """Reads the files once and reports on them; an error in a line is noted and reading goes on.

    Args:
        paths: Annotated files of any format.
        train: The one to train on; by default the first whose name has a word that begins with "train", else the first.
        scheme: The tag scheme that they should have; by default each file's own is found.
        options: What is known about all of them.

    Raises:
        OSError: A file cannot be opened or unpacked.
        ValueError: A file whose format cannot be read at all, or `train` is none of `paths`.
    """
    names = list(dict.fromkeys(str(path) for path in paths))
    report = CheckReport([], _training_file(names, train))
    words, types = Ids(), Ids()
    stores: dict[str, Store] = {}
    for name in names:
        source = open_source(name, options)
        file, stores[name] = _read(source, words, types, scheme)
        file.reader = reader_options(source, options)
        if file.sentences and not source.tagged:
            file.untagged = why_untagged(name, separator=options.separator)
        report.files.append(file)
    _find_long_tokens(report.files, stores, words)
    report.missing_types = _missing_types(report)
    report.missing_tags = _missing_tags(report, stores)
    report.duplicates = find_duplicates(stores, train=report.train)
    report.inconsistencies, report.inconsistent_phrases = find_inconsistencies(stores, limit=KEPT)
    report.failures = [failure for file in report.files for failure in failures_of(file, train=report.train)]
    report.warnings = warnings_of(report.files, scheme)
    return report


def _training_file(names: Sequence[str], train: str | Path | None) -> str:
    if not names:
        raise ValueError("no files to check: expected at least one")
    if train is not None:
        if str(train) not in names:
            raise ValueError(f"the training file {train} is none of the files to check: {', '.join(names)}")
        return str(train)
    return next((name for name in names if _TRAIN.search(Path(name).name)), names[0])


def _read(source: Source, words: Ids, types: Ids, scheme: str | None) -> tuple[FileReport, Store]:
    file = FileReport(source.path, format=source.format, columns=list(source.columns))
    builder, detector = StoreBuilder(words, types), SchemeDetector()
    entities: Counter[str] = Counter()
    entity_lengths: Counter[int] = Counter()
    sentence_lengths: Counter[int] = Counter()
    line, document, readable = 0, 0, True

    def note(error: DataError) -> None:
        nonlocal readable
        readable = False
        file.note(error)

    for sentence in source.sentences(report=note):
        tags = sentence.tags or []
        detector.add(tags)
        spans = conlleval_spans(tags)
        builder.add(sentence, spans)
        if spans:
            entities.update([span.type for span in spans])
            entity_lengths.update([span.end - span.start for span in spans])
        sentence_lengths[len(sentence.tokens)] += 1
        if source.format == COLUMNS and sentence.lines:
            if readable and sentence.document == document:
                file.empty_sentences += max(sentence.lines[0] - line - 2, 0) if line else 0
            line, document, readable = sentence.lines[-1], sentence.document, True
    file.empty_sentences += sentence_lengths[0]
    file.sentences = sentence_lengths.total()
    file.tokens = sum(length * count for length, count in sentence_lengths.items())
    file.entities = dict(entities.most_common())
    file.entity_lengths = dict(sorted(entity_lengths.items()))
    file.sentence_lengths = dict(sorted(sentence_lengths.items()))
    store = builder.build()
    if file.sentences and source.tagged:
        file.broken = dict(detector.broken)
        file.scheme = scheme or detector.ranking()[0]
        _find_ill_formed(file, store, file.scheme)
    return file, store


def _find_ill_formed(file: FileReport, store: Store, scheme: str) -> None:
    for sentence in store.broken_sentences(scheme):
        for position, message in problems(store.tags_of(sentence), scheme):
            line = store.line_of(sentence, position)
            where = f"{file.path}:{line}" if line else f"{file.path}: sentence {sentence + 1}, token {position + 1}"
            tag = store.tags_of(sentence)[position]
            file.say(f"{where}: {message}" + ("" if is_tag(tag, scheme) else _reading_of_foreign(tag)))


def _reading_of_foreign(tag: str) -> str:
    """What counts here make of a tag that the scheme does not have."""
    letter, entity_type = split_tag(tag)
    if letter in BEGINS or letter in ENDS:
        what = "the first token" if letter in BEGINS else "the last token"
    else:
        what = "a token"
    return f"; leniently read as {what} of an entity of type {entity_type!r}"


def _find_long_tokens(files: Sequence[FileReport], stores: dict[str, Store], words: Ids) -> None:
    long_words = {number: word for word, number in words.items() if len(word.encode(errors="replace")) > TOKEN_BYTES}
    if not long_words:
        return
    for file in files:
        store = stores[file.path]
        positions = np.flatnonzero(np.isin(store.tokens, list(long_words)))
        file.long_tokens = len(positions)
        for position in positions[:KEPT].tolist():
            sentence = store.sentence_of(position)
            line = store.line_of(sentence, position - int(store.starts[sentence]))
            word = long_words[int(store.tokens[position])]
            file.long_token_places.append(f"{file.path}:{line}: {word} ({len(word.encode(errors='replace'))} bytes)")


def _missing_types(report: CheckReport) -> dict[str, list[str]]:
    known = next(set(file.entities) for file in report.files if file.path == report.train)
    missing = {file.path: sorted(set(file.entities) - known) for file in report.files}
    return {path: types for path, types in missing.items() if types}


def _missing_tags(report: CheckReport, stores: dict[str, Store]) -> dict[str, list[str]]:
    """A tag such as I-DATE can be missing where B-DATE is not: the model cannot learn it either."""
    train = next(file for file in report.files if file.path == report.train)
    known, missing = set(stores[train.path].tag_names), {}
    for file in report.files:
        if train.scheme is not None and not file.broken.get(train.scheme, 1):
            new = set(stores[file.path].tag_names) - known
            missing[file.path] = sorted(tag for tag in new if split_tag(tag)[1] in train.entities)
    return {path: tags for path, tags in missing.items() if tags}
