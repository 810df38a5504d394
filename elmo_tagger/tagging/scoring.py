"""Counts of entities and the scores derived from them.

Counts add up over sentences, batches and processes; precision, recall and F1 do not, so they are derived last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from elmo_tagger.text.sentence import Span


def percentage(part: float, whole: float) -> float:
    """How many of a whole, in percent; 0 of nothing. The arithmetic is conlleval's: it decides how a tie is rounded.

    Source: conlleval (2004), which multiplies by 100 before it divides.
    """
    return 100 * part / whole if whole else 0.0


class Averages(NamedTuple):
    """Precision, recall and F1 that no single count stands behind."""

    precision: float
    recall: float
    f1: float

    def in_percent(self) -> Averages:
        """The same in percent."""
        return Averages(*(100 * value for value in self))


class Score(NamedTuple):
    """How many entities the gold annotation has, how many were predicted, and how many of those are in both."""

    gold: int = 0
    predicted: int = 0
    correct: int = 0

    @property
    def precision(self) -> float:
        """Fraction of the predicted entities that are right; 0 where none was predicted."""
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Fraction of the gold entities that were found; 0 where there are none."""
        return self.correct / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where both are 0."""
        precision, recall = self.precision, self.recall
        return 2 * precision * recall / (precision + recall) if self.correct else 0.0

    def in_percent(self) -> Averages:
        """Precision, recall and F1 in percent, by `percentage`; F1 is taken of the percentages, as conlleval does."""
        precision, recall = percentage(self.correct, self.predicted), percentage(self.correct, self.gold)
        return Averages(precision, recall, 2 * precision * recall / (precision + recall) if self.correct else 0.0)


class EntityCounts:
    """Per entity type, the three counts of `Score`.

    The state is plain integers, so it can be sent between processes and added there:

        counts = EntityCounts()
        counts.add(gold_spans, predicted_spans)      # one sentence
        counts.merge(EntityCounts(other.state()))    # another process's
        counts.micro().f1, counts["PER"].recall
    """

    def __init__(self, state: Mapping[str, Sequence[int]] | None = None) -> None:
        self._counts: dict[str, list[int]] = {}
        for entity_type, counts in (state or {}).items():
            if len(counts) != 3:
                raise ValueError(f"counts of type {entity_type!r}: expected gold, predicted, correct, got {counts!r}")
            self._counts[entity_type] = [int(count) for count in counts]

    def add(
        self, gold: Collection[Span], predicted: Collection[Span], *, group: Callable[[Span], str] | None = None
    ) -> None:
        """Count one sentence. A prediction is correct when start, end and type are those of a gold entity.

        Args:
            gold: The annotated entities.
            predicted: The predicted ones.
            group: What an entity is counted under (its length, say) in place of its type.
        """
        gold = set(gold)
        for span in gold:
            self._of(group(span) if group else span.type)[0] += 1
        for span in set(predicted):
            counts = self._of(group(span) if group else span.type)
            counts[1] += 1
            counts[2] += span in gold

    def merge(self, other: EntityCounts) -> None:
        """Add another's counts to these."""
        for entity_type, counts in other._counts.items():
            mine = self._of(entity_type)
            for index, count in enumerate(counts):
                mine[index] += count

    def state(self) -> dict[str, list[int]]:
        """Type to [gold, predicted, correct], by type name; `EntityCounts(state)` is the way back."""
        return {entity_type: list(self._counts[entity_type]) for entity_type in self.types()}

    def types(self) -> list[str]:
        """The types seen in gold or in predictions, sorted."""
        return sorted(self._counts)

    def __getitem__(self, entity_type: str) -> Score:
        return Score(*self._counts.get(entity_type, ()))

    def micro(self) -> Score:
        """All types together: what conlleval prints as the overall score."""
        return Score(*(sum(column) for column in zip(*self._counts.values(), strict=True)))

    def macro(self) -> Averages:
        """Unweighted mean over the types seen in gold or in predictions; zeros where there are none."""
        scores = [self[entity_type] for entity_type in self.types()]
        size = max(len(scores), 1)
        return Averages(
            sum(score.precision for score in scores) / size,
            sum(score.recall for score in scores) / size,
            sum(score.f1 for score in scores) / size,
        )

    def __add__(self, other: EntityCounts) -> EntityCounts:
        total = EntityCounts(self._counts)
        total.merge(other)
        return total

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EntityCounts) and self._counts == other._counts

    __hash__ = None  # type: ignore[assignment]  # counts change

    def __repr__(self) -> str:
        return f"EntityCounts({self.state()!r})"

    def _of(self, entity_type: str) -> list[int]:
        return self._counts.setdefault(entity_type, [0, 0, 0])
