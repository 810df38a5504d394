"""What occurs more than once in annotated files: sentences (leakage), and phrases that are annotated in several ways.

The files are in memory as a whole, with one string for each distinct word.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from elmo_tagger.tagging.schemes import OUTSIDE
from elmo_tagger.text.sentence import Sentence, Span

EXAMPLES = 5
LONG = 6
"""Tokens from which a repeated sentence is hardly chance; shorter ones are datelines, scores and "Yes ."."""

Annotated = tuple[Sentence, Sequence[Span]]
"""A sentence and its entities."""
_Phrase = tuple[str, ...]


@dataclass
class Duplicates:
    """Sentences of `second` that occur in `first`; where both are the same file, that occur earlier in it.

    Attributes:
        first, second: Paths.
        sentences: Repeated sentences of `second`.
        long_sentences: Those of at least `LONG` tokens.
        examples: At most `EXAMPLES`, the longest first: (line in `first`, line in `second`, text); lines are 0 where a
            format has none.
    """

    first: str
    second: str
    sentences: int = 0
    long_sentences: int = 0
    examples: list[tuple[int, int, str]] = field(default_factory=list)


def find_duplicates(files: Mapping[str, Sequence[Annotated]], *, train: str) -> list[Duplicates]:
    """All pairs of files, and files with themselves, that share sentences: the same tokens, case included.

    Args:
        files: By path.
        train: The training file: how much of another file it holds is counted, not how much of it others hold.
    """
    files = {train: files[train], **files}
    earliest: dict[str, dict[_Phrase, int]] = {path: {} for path in files}
    for path, sentences in files.items():
        for index, (sentence, _) in enumerate(sentences):
            earliest[path].setdefault(tuple(sentence.tokens), index)
    found = []
    for number, second in enumerate(files):
        for first in list(files)[: number + 1]:
            known = earliest[first]
            places = ((known.get(tuple(sentence.tokens)), index) for index, (sentence, _) in enumerate(files[second]))
            matches = [
                (there, here) for there, here in places if there is not None and (first != second or there != here)
            ]
            if matches:
                found.append(_describe(Duplicates(first, second), files, matches))
    return found


def _describe(pair: Duplicates, files: Mapping[str, Sequence[Annotated]], matches: list[tuple[int, int]]) -> Duplicates:
    sentences = [(files[pair.first][there][0], files[pair.second][here][0]) for there, here in matches]
    pair.sentences = len(sentences)
    pair.long_sentences = sum(len(here.tokens) >= LONG for _, here in sentences)
    for there, here in sorted(sentences, key=lambda match: -len(match[1].tokens))[:EXAMPLES]:
        lines = [sentence.lines[0] if sentence.lines else 0 for sentence in (there, here)]
        pair.examples.append((lines[0], lines[1], " ".join(here.tokens)))
    return pair


@dataclass(frozen=True)
class Inconsistency:
    """A phrase with more than one annotation: the commonest sign of a labelling error, or of real ambiguity.

    Attributes:
        phrase: Its tokens.
        readings: How often it is each type, and `O` where it stands outside every entity; commonest first.
        places: `path:line` of the first occurrence of each reading.
    """

    phrase: tuple[str, ...]
    readings: dict[str, int]
    places: dict[str, str]


def find_inconsistencies(files: Mapping[str, Sequence[Annotated]], *, limit: int) -> tuple[list[Inconsistency], int]:
    """Entity phrases that also occur as another type, or outside every entity.

    A phrase that is part of a longer entity somewhere ("York" in "New York") is not inconsistent for that.

    Args:
        files: By path.
        limit: How many to describe.

    Returns:
        Those in which the most occurrences disagree with the majority, and how many there are in all.
    """
    readings: dict[_Phrase, Counter[str]] = defaultdict(Counter)
    places: dict[tuple[_Phrase, str], str] = {}
    for path, number, sentence, spans in _sentences(files):
        for span in spans:
            phrase = tuple(sentence.tokens[span.start : span.end])
            readings[phrase][span.type] += 1
            places.setdefault((phrase, span.type), _place(path, number, sentence, span.start))
    lengths = defaultdict(set)  # of the phrases that begin with a word
    for phrase in readings:
        lengths[phrase[0]].add(len(phrase))
    for path, number, sentence, spans in _sentences(files):
        for start, phrase in _phrases_outside(sentence.tokens, spans, lengths):
            if phrase in readings:
                readings[phrase][OUTSIDE] += 1
                places.setdefault((phrase, OUTSIDE), _place(path, number, sentence, start))
    disputed = [phrase for phrase, counts in readings.items() if len(counts) > 1]
    disputed.sort(key=lambda phrase: _rank(readings[phrase]))
    described = []
    for phrase in disputed[:limit]:
        counts = dict(readings[phrase].most_common())
        described.append(Inconsistency(phrase, counts, {name: places[phrase, name] for name in counts}))
    return described, len(disputed)


def _sentences(files: Mapping[str, Sequence[Annotated]]) -> Iterator[tuple[str, int, Sentence, Sequence[Span]]]:
    for path, sentences in files.items():
        for number, (sentence, spans) in enumerate(sentences, start=1):
            yield path, number, sentence, spans


def _phrases_outside(
    tokens: list[str], spans: Sequence[Span], lengths: Mapping[str, set[int]]
) -> Iterator[tuple[int, _Phrase]]:
    """The phrases outside all entities that begin with a word and have a length that `lengths` knows of it."""
    inside = {position for span in spans for position in range(span.start, span.end)}
    for start, token in enumerate(tokens):
        if token in lengths and start not in inside:
            for length in lengths[token]:
                if start + length <= len(tokens) and inside.isdisjoint(range(start, start + length)):
                    yield start, tuple(tokens[start : start + length])


def _rank(counts: Counter[str]) -> tuple[int, int]:
    """First what has the most occurrences that are not annotated as the majority is, then what occurs most."""
    total = counts.total()
    return max(counts.values()) - total, -total


def _place(path: str, number: int, sentence: Sentence, token: int) -> str:
    return f"{path}:{sentence.lines[token]}" if sentence.lines else f"{path}, sentence {number}"
