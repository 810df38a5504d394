"""Predictions against gold: both ways of counting, and what stands behind the numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from elmo_tagger.corpus.alignment import Pair
from elmo_tagger.corpus.mistakes import CORRECT, KINDS, MistakeTable, pair_up
from elmo_tagger.corpus.pair_schemes import find_schemes, read_strictly
from elmo_tagger.tagging.schemes import (
    OUTSIDE,
    TagSchemeError,
    conlleval_spans,
    get_scheme,
    problems,
    spans_to_tags,
)
from elmo_tagger.tagging.scoring import EntityCounts, Score
from elmo_tagger.text.sentence import Sentence, Span

ENTITY_LENGTHS: Final = (1, 2, 3, 4, 6)
SENTENCE_LENGTHS: Final = (1, 11, 21, 31, 51)
"""Lower edges of the groups that scores are broken down by, in tokens."""


_SCRIPT_LETTERS: Final = frozenset("BIE")  # Source: conlleval (2004), its subroutines for the ends of chunks


@dataclass(frozen=True)
class MarkedSentence:
    """A sentence with mistakes, for display; spans as conlleval reads them."""

    where: str
    tokens: list[str]
    gold: list[Span]
    predicted: list[Span]


@dataclass
class IllFormed:
    """What the two readings make of one side's ill-formed tags.

    Attributes:
        tags: How many tags break the scheme.
        sentences: In how many sentences.
        conlleval, strict: Entities in these sentences by either reading.
        examples: The first few, as `place: what is wrong`.
    """

    tags: int = 0
    sentences: int = 0
    conlleval: int = 0
    strict: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass
class ScoreReport:
    """Everything that `elmo-tagger score` prints.

    Attributes:
        gold_scheme, predicted_scheme: Schemes by which tags are read strictly.
        notes: What a reader of the numbers should know.
        sentences, exact_sentences: How many; how many with all tags right.
        tokens, correct_tokens: How many; how many whose tag is right (in gold's scheme, where the schemes differ).
        conlleval, strict: The counts.
        gold_ill_formed, predicted_ill_formed: Where the two readings differ.
        seen: Counts of entities "seen in training" (phrase and type) and "unseen in training"; None without training
            file. These and all below are read as conlleval reads.
        entity_lengths, sentence_lengths: Counts by length in tokens.
        mistakes: Kinds of mistakes and the most frequent ones.
        confusion: (gold type, predicted type) to how many; `O` stands for no entity.
        marked: The first sentences with mistakes.
    """

    gold_scheme: str
    predicted_scheme: str
    notes: list[str] = field(default_factory=list)
    sentences: int = 0
    exact_sentences: int = 0
    tokens: int = 0
    correct_tokens: int = 0
    conlleval: EntityCounts = field(default_factory=EntityCounts)
    strict: EntityCounts = field(default_factory=EntityCounts)
    gold_ill_formed: IllFormed = field(default_factory=IllFormed)
    predicted_ill_formed: IllFormed = field(default_factory=IllFormed)
    seen: EntityCounts | None = None
    entity_lengths: EntityCounts = field(default_factory=EntityCounts)
    sentence_lengths: EntityCounts = field(default_factory=EntityCounts)
    mistakes: MistakeTable = field(default_factory=MistakeTable)
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)
    marked: list[MarkedSentence] = field(default_factory=list)

    @property
    def accuracy(self) -> float:
        """Fraction of the tokens whose tag is right."""
        return self.correct_tokens / self.tokens if self.tokens else 0.0

    def difference(self) -> str:
        """Why the two ways of counting differ, in a line; empty where they agree."""
        if self.conlleval == self.strict:
            return ""
        sides = [
            f"{side.tags:,} {name} tags in {side.sentences:,} sentences are ill-formed in {scheme} "
            f"({side.conlleval:,} entities for conlleval there, {side.strict:,} strictly)"
            for name, scheme, side in (
                ("gold", self.gold_scheme, self.gold_ill_formed),
                ("predicted", self.predicted_scheme, self.predicted_ill_formed),
            )
            if side.tags
        ]
        return "The counts differ because " + " and ".join(sides) + "."

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries and lists; scores are fractions in [0, 1]."""
        return {
            "schemes": {"gold": self.gold_scheme, "predicted": self.predicted_scheme},
            "notes": self.notes,
            "sentences": self.sentences,
            "exact_sentences": self.exact_sentences,
            "tokens": self.tokens,
            "token_accuracy": self.accuracy,
            "conlleval": _scores(self.conlleval),
            "strict": _scores(self.strict),
            "difference": self.difference(),
            "ill_formed": {"gold": vars(self.gold_ill_formed), "predicted": vars(self.predicted_ill_formed)},
            "errors": {kind: self.mistakes.kinds[kind] for kind in KINDS},
            "seen_in_training": None if self.seen is None else _groups(self.seen),
            "entity_length": _groups(self.entity_lengths),
            "sentence_length": _groups(self.sentence_lengths),
            "confusion": [
                {"gold": gold, "predicted": predicted, "count": count}
                for (gold, predicted), count in sorted(self.confusion.items(), key=lambda item: (-item[1], item[0]))
            ],
            "mistakes": [
                {**key._asdict(), "count": count, "where": where, "sentence": sentence}
                for key, count, where, sentence in self.mistakes.most_common(100)
            ],
        }


def score_pairs(
    read: Callable[[], Iterable[Pair]],
    *,
    scheme: str | None = None,
    predicted_scheme: str | None = None,
    train: Iterable[Sentence] | None = None,
    markers: int = 0,
    keep: int = 0,
) -> ScoreReport:
    """Scores predictions in two passes: one to find the tag schemes, one to count.

    Args:
        read: Begins to read the pairs; called twice unless both schemes are given.
        scheme: The gold tags' scheme; by default the one that the fewest sentences break.
        predicted_scheme: The predicted tags' scheme; by default that of gold if it has all of the tags.
        train: Training sentences, for the scores of entities seen and unseen there.
        markers: Lines of the gold file that begin documents, which the conlleval script counts as tokens.
        keep: How many sentences with mistakes the report keeps for display.

    Raises:
        TagSchemeError: Tags of which no scheme has all (among them `O-PER` and `B-`, which the conlleval script would
            read as `O` and as a type without a name).
        DataError: From `read`.
    """
    gold_name, predicted_name, notes = find_schemes(read, scheme, predicted_scheme)
    report = ScoreReport(gold_name, predicted_name, notes)
    known = None if train is None else known_entities(train)
    if known is not None:
        report.seen = EntityCounts({"seen": [0, 0, 0], "unseen": [0, 0, 0]})
    for pair in read():
        _count(report, pair, known, keep)
    if not report.sentences:
        raise TagSchemeError("no sentences to score")
    report.notes += _about_the_script(report, markers)
    return report


def _about_the_script(report: ScoreReport, markers: int) -> list[str]:
    """Where the conlleval script itself would print other numbers."""
    notes = []
    schemes = {name: get_scheme(name).letters for name in (report.gold_scheme, report.predicted_scheme)}
    foreign = [name for name, letters in schemes.items() if not set(letters) <= _SCRIPT_LETTERS]
    if foreign:
        notes.append(
            f"the conlleval script does not know {' or '.join(foreign)} and joins entities there; these are its "
            "numbers for the same entities in BIO"
        )
    if markers:
        tokens, correct = report.tokens + markers, report.correct_tokens + markers
        notes.append(
            f"the conlleval script counts the {markers:,} document marker{'s' if markers > 1 else ''} as tokens: "
            f"{tokens:,} tokens, accuracy {100 * correct / tokens:.2f}%"
        )
    return notes


def known_entities(sentences: Iterable[Sentence]) -> set[tuple[str, str]]:
    """The entities of a training file: (type, phrase)."""
    known = set()
    for sentence in sentences:
        for span in conlleval_spans(sentence.tags or []):
            known.add((span.type, " ".join(sentence.tokens[span.start : span.end])))
    return known


def _count(report: ScoreReport, pair: Pair, known: set[tuple[str, str]] | None, keep: int) -> None:
    sentence, tokens, gold_tags, predicted_tags = pair.sentence, pair.tokens, pair.gold, pair.predicted
    gold, predicted = conlleval_spans(gold_tags), conlleval_spans(predicted_tags)
    compared = [gold_tags, predicted_tags]
    if report.gold_scheme != report.predicted_scheme:
        # The same entities are no wrong tags for being written in another way.
        compared = [spans_to_tags(spans, len(tokens), report.gold_scheme) for spans in (gold, predicted)]
    correct = sum(map(str.__eq__, *compared))
    report.sentences += 1
    report.exact_sentences += correct == len(tokens)
    report.tokens += len(tokens)
    report.correct_tokens += correct
    strict_gold = read_strictly(gold_tags, report.gold_scheme, sentence, "gold")
    strict_predicted = read_strictly(predicted_tags, report.predicted_scheme, sentence, "predicted")
    report.conlleval.add(gold, predicted)
    report.strict.add(strict_gold, strict_predicted)
    _note_ill_formed(report.gold_ill_formed, gold_tags, report.gold_scheme, gold, strict_gold, sentence)
    _note_ill_formed(
        report.predicted_ill_formed, predicted_tags, report.predicted_scheme, predicted, strict_predicted, sentence
    )
    if gold or predicted:
        _break_down(report, tokens, gold, predicted, known)
        matches = pair_up(gold, predicted)
        report.mistakes.add(tokens, matches, sentence.where())
        for _, left, right in matches:
            report.confusion[left.type if left else OUTSIDE, right.type if right else OUTSIDE] += 1
        if len(report.marked) < keep and any(match.kind != CORRECT for match in matches):
            report.marked.append(MarkedSentence(sentence.where(), tokens, gold, predicted))


def _break_down(
    report: ScoreReport, tokens: list[str], gold: list[Span], predicted: list[Span], known: set[tuple[str, str]] | None
) -> None:
    report.entity_lengths.add(gold, predicted, group=lambda span: group_of(span.end - span.start, ENTITY_LENGTHS))
    length = group_of(len(tokens), SENTENCE_LENGTHS)
    report.sentence_lengths.add(gold, predicted, group=lambda span: length)
    if known is not None and report.seen is not None:
        report.seen.add(
            gold,
            predicted,
            group=lambda span: "seen" if (span.type, " ".join(tokens[span.start : span.end])) in known else "unseen",
        )


def _note_ill_formed(
    side: IllFormed, tags: list[str], scheme: str, loose: list[Span], strict: list[Span], sentence: Sentence
) -> None:
    """Readings agree on well-formed tags, so only sentences on which they do not are looked at closely."""
    if loose == strict:
        return
    found = list(problems(tags, scheme))
    side.sentences += 1
    side.tags += len({position for position, _ in found})
    side.conlleval += len(loose)
    side.strict += len(strict)
    if len(side.examples) < 5 and found:
        position, message = found[0]
        side.examples.append(f"{sentence.where(position)}: {message}")


def group_of(length: int, edges: tuple[int, ...]) -> str:
    """Name of the group that a length falls in: "1", "4-5", "6+" for edges 1, 2, 3, 4, 6."""
    for edge, following in pairwise(edges):
        if length < following:
            return str(edge) if following == edge + 1 else f"{edge}-{following - 1}"
    return f"{edges[-1]}+"


def _scores(counts: EntityCounts) -> dict[str, Any]:
    return {
        "micro": _score(counts.micro()),
        "macro": counts.macro()._asdict(),
        "types": _groups(counts),
    }


def _groups(counts: EntityCounts) -> dict[str, dict[str, float]]:
    return {name: _score(counts[name]) for name in counts.types()}


def _score(score: Score) -> dict[str, float]:
    return {**score._asdict(), "precision": score.precision, "recall": score.recall, "f1": score.f1}
