"""What `elmo-tagger score` finds out, as plain data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from elmo_tagger.corpus.calibration import Reliability, reliability
from elmo_tagger.corpus.mistakes import KINDS, MistakeTable
from elmo_tagger.tagging.scoring import EntityCounts, Score, percentage
from elmo_tagger.text.sentence import Span


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
        tokens_left_out: How many more have partial labels in gold and are left out.
        predicted_left_out: How many predicted entities are left out, as these labels leave open whether they are right.
        conlleval, strict: The counts.
        gold_ill_formed, predicted_ill_formed: Where the two readings differ.
        seen: Counts of entities "seen in training" (phrase and type) and "unseen in training"; None without training
            file. These and all below are read as conlleval reads.
        entity_lengths, sentence_lengths: Counts by length in tokens.
        mistakes: Kinds of mistakes and the most frequent ones.
        confusion: (gold type, predicted type) to how many; `O` stands for no entity.
        marked: The first sentences with mistakes.
        judged: Of each predicted entity that has a confidence, the confidence and whether the entity is right.
    """

    gold_scheme: str
    predicted_scheme: str
    notes: list[str] = field(default_factory=list)
    sentences: int = 0
    exact_sentences: int = 0
    tokens: int = 0
    correct_tokens: int = 0
    tokens_left_out: int = 0
    predicted_left_out: int = 0
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
    judged: list[tuple[float, bool]] = field(default_factory=list)

    @property
    def accuracy(self) -> float:
        """Fraction of the tokens whose tag is right."""
        return self.correct_tokens / self.tokens if self.tokens else 0.0

    @property
    def accuracy_in_percent(self) -> float:
        """The same in percent."""
        return percentage(self.correct_tokens, self.tokens)

    @property
    def reliability(self) -> Reliability | None:
        """Whether the confidences mean what they say; None where there are none."""
        return reliability(self.judged) if self.judged else None

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
            "left_out": {"tokens": self.tokens_left_out, "predicted_entities": self.predicted_left_out},
            "conlleval": _scores(self.conlleval),
            "strict": _scores(self.strict),
            "difference": self.difference(),
            "ill_formed": {"gold": vars(self.gold_ill_formed), "predicted": vars(self.predicted_ill_formed)},
            "errors": {kind: self.mistakes.kinds[kind] for kind in KINDS},
            "seen_in_training": None if self.seen is None else _groups(self.seen),
            "entity_length": _groups(self.entity_lengths),
            "sentence_length": _groups(self.sentence_lengths),
            "calibration": None if self.reliability is None else _calibration(self.reliability),
            "confusion": [
                {"gold": gold, "predicted": predicted, "count": count}
                for (gold, predicted), count in sorted(self.confusion.items(), key=lambda item: (-item[1], item[0]))
            ],
            "mistakes": [
                {**key._asdict(), "count": count, "where": where, "sentence": sentence}
                for key, count, where, sentence in self.mistakes.most_common(100)
            ],
        }


def _scores(counts: EntityCounts) -> dict[str, Any]:
    return {
        "micro": _score(counts.micro()),
        "macro": counts.macro()._asdict(),
        "types": _groups(counts),
    }


def _calibration(found: Reliability) -> dict[str, Any]:
    bins = [row._asdict() for row in found.bins]
    return {"expected_calibration_error": found.expected_error, "entities": found.entities, "bins": bins}


def _groups(counts: EntityCounts) -> dict[str, dict[str, float]]:
    return {name: _score(counts[name]) for name in counts.types()}


def _score(score: Score) -> dict[str, float]:
    return {**score._asdict(), "precision": score.precision, "recall": score.recall, "f1": score.f1}
