"""What `elmo-tagger check` finds out, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from elmo_tagger.corpus.repetition import Duplicates, Inconsistency
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
        entities: By type, how many, commonest first; where labels are partial, those that are certain.
        unknown_labels, choices: How many tokens have a label `?`, or one such as `B-PER|B-ORG`.
        sentence_lengths, entity_lengths: How many sentences or entities there are of each length in tokens.
        encoding: Of its text.
        reader: Options that the dataset reader `conll_columns` needs for this file; empty where its defaults do.
        untold: Why training would fail if the reader is not told these options; empty if it would not.
        untagged: What is in the place of tags; empty where there are tags.
        unreadable: What is wrong with the file as a whole.
        unreadable_lines: How many lines cannot be read.
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
    unknown_labels: int = 0
    choices: int = 0
    sentence_lengths: dict[int, int] = field(default_factory=dict)
    entity_lengths: dict[int, int] = field(default_factory=dict)
    encoding: str = "utf-8"
    reader: dict[str, int | str] = field(default_factory=dict)
    untold: str = ""
    untagged: str = ""
    unreadable: list[str] = field(default_factory=list)
    unreadable_lines: int = 0
    errors: int = 0
    messages: list[str] = field(default_factory=list)
    empty_sentences: int = 0
    long_tokens: int = 0
    long_token_places: list[str] = field(default_factory=list)

    def note(self, error: DataError) -> None:
        """Note what cannot be read, and how reading goes on."""
        if error.path and not error.line:
            self.unreadable.append(str(error))
        else:
            self.unreadable_lines += 1
            self.say(f"{error}; {error.reading} here" if error.reading else str(error))

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
        warnings: What training needs in its configuration, and what it would not notice.
        missing_types: By path, the entity types that the training file lacks.
        missing_tags: By path, the tags that the training file lacks of types that it has; of files in its tag scheme.
        duplicates: Sentences that occur more than once, within and across files.
        inconsistencies: Phrases annotated in several ways, those first in which the most occurrences disagree.
        inconsistent_phrases: How many there are; the list may be shorter.
    """

    files: list[FileReport]
    train: str
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    missing_types: dict[str, list[str]] = field(default_factory=dict)
    missing_tags: dict[str, list[str]] = field(default_factory=dict)
    duplicates: list[Duplicates] = field(default_factory=list)
    inconsistencies: list[Inconsistency] = field(default_factory=list)
    inconsistent_phrases: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries and lists."""
        return asdict(self)
