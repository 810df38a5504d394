"""Everything about annotated files that is better known before training than in the middle of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from elmo_tagger.corpus.duplicates import Duplicates, find_duplicates
from elmo_tagger.corpus.inconsistency import Inconsistency, find_inconsistencies
from elmo_tagger.corpus.sources import COLUMNS, Source, open_source
from elmo_tagger.corpus.store import Ids, Store, StoreBuilder
from elmo_tagger.tagging.detection import SchemeDetector
from elmo_tagger.tagging.schemes import OUTSIDE, conlleval_spans, problems
from elmo_tagger.text.files import DataError

TOKEN_BYTES = 48
"""UTF-8 bytes of a token that ELMo's character CNN sees; it reads 50 places, two of which mark begin and end."""
KEPT = 1000
"""Messages of a kind that a report keeps; the counts go on."""


@dataclass
class FileReport:
    """What one file holds.

    Attributes:
        path: The file.
        format: Its format.
        columns: The guessed role of each column; empty where the format has none.
        scheme: The tag scheme that the fewest sentences break.
        broken: By scheme, how many sentences are ill-formed in it; 0 means that all tags fit.
        sentences, tokens: How many.
        entities: By type, how many, commonest first.
        sentence_lengths, entity_lengths: How many sentences or entities there are of each length in tokens.
        errors: How many lines cannot be read or have ill-formed tags.
        messages: The first of them, as `path:line: what is wrong and how it would be read`.
        empty_sentences: Blank lines in a row that part no sentences.
        long_tokens: How many tokens have more than `TOKEN_BYTES` bytes.
        long_token_places: The first of them, as `path:line: token`.
    """

    path: str
    format: str = ""
    columns: list[str] = field(default_factory=list)
    scheme: str | None = None
    broken: dict[str, int] = field(default_factory=dict)
    sentences: int = 0
    tokens: int = 0
    entities: dict[str, int] = field(default_factory=dict)
    sentence_lengths: dict[int, int] = field(default_factory=dict)
    entity_lengths: dict[int, int] = field(default_factory=dict)
    errors: int = 0
    messages: list[str] = field(default_factory=list)
    empty_sentences: int = 0
    long_tokens: int = 0
    long_token_places: list[str] = field(default_factory=list)

    def say(self, message: str) -> None:
        """Note an error that would stop a training run."""
        self.errors += 1
        if len(self.messages) < KEPT:
            self.messages.append(message)


@dataclass
class CheckReport:
    """What several files hold, alone and together.

    Attributes:
        files: One report a file.
        train: The path that is taken for the training file.
        failures: Why training on these files would fail; empty if it would not.
        missing_types: By path, the entity types that the training file lacks.
        duplicates: Sentences that occur more than once, within and across files.
        inconsistencies: Phrases annotated in several ways, those first in which the most occurrences disagree.
        inconsistent_phrases: How many there are; the list may be shorter.
    """

    files: list[FileReport]
    train: str
    failures: list[str] = field(default_factory=list)
    missing_types: dict[str, list[str]] = field(default_factory=dict)
    duplicates: list[Duplicates] = field(default_factory=list)
    inconsistencies: list[Inconsistency] = field(default_factory=list)
    inconsistent_phrases: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries and lists."""
        return asdict(self)


def check_files(
    paths: Sequence[str | Path],
    *,
    train: str | Path | None = None,
    scheme: str | None = None,
    format: str | None = None,
    token_column: int | None = None,
    tag_column: int | None = None,
    separator: str | None = None,
) -> CheckReport:
    """Reads the files once and reports on them; an error in a line is noted and reading goes on.

    Args:
        paths: Annotated files of any format.
        train: The one to train on; by default the first with "train" in its name, else the first.
        scheme: The tag scheme that they should have; by default each file's own is found.
        format: Their format; told by name and content by default.
        token_column: Column of the tokens, as for `open_source`.
        tag_column: Column of the tags, likewise.
        separator: What parts columns, likewise.

    Raises:
        OSError: A file cannot be opened or unpacked.
        ValueError: A file whose format cannot be read at all, or `train` is none of `paths`.
    """
    names = list(dict.fromkeys(str(path) for path in paths))
    report = CheckReport([], _training_file(names, train))
    words, types = Ids(), Ids()
    stores: dict[str, Store] = {}
    for name in names:
        source = open_source(name, format=format, token_column=token_column, tag_column=tag_column, separator=separator)
        file, stores[name] = _read(source, words, types, scheme)
        report.files.append(file)
    _find_long_tokens(report.files, stores, words)
    report.missing_types = _missing_types(report)
    report.duplicates = find_duplicates(stores)
    report.inconsistencies, report.inconsistent_phrases = find_inconsistencies(stores, limit=KEPT)
    report.failures = _failures(report, scheme)
    return report


def _training_file(names: Sequence[str], train: str | Path | None) -> str:
    if not names:
        raise ValueError("no files to check: expected at least one")
    if train is not None:
        if str(train) not in names:
            raise ValueError(f"the training file {train} is none of the files to check: {', '.join(names)}")
        return str(train)
    return next((name for name in names if "train" in Path(name).name.lower()), names[0])


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
        file.say(str(error))

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
            file.say(f"{where}: {message}")


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


def _failures(report: CheckReport, scheme: str | None) -> list[str]:
    failures = []
    for file in report.files:
        if file.errors:
            failures.append(f"{file.path}: {file.errors:,} ill-formed line{'s' if file.errors > 1 else ''}")
        if not file.sentences:
            failures.append(f"{file.path}: no sentences")
        elif file.scheme is None:
            failures.append(f"{file.path}: no tags")
        elif file.path == report.train and not file.entities:
            failures.append(f"{file.path}: every tag is {OUTSIDE}, nothing to learn")
    tagged = [file for file in report.files if file.scheme is not None]
    common = [name for name in (tagged[0].broken if tagged else {}) if not any(file.broken[name] for file in tagged)]
    if scheme is None and not common and all(not file.broken[file.scheme or ""] for file in tagged) and len(tagged) > 1:
        mixture = ", ".join(f"{file.path} {file.scheme}" for file in tagged)
        failures.append(f"the files mix tag schemes: {mixture}")
    return failures
