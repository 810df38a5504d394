"""Which prediction goes with which gold entity, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from elmo_tagger.text.sentence import Span

CORRECT: Final = "correct"
KINDS: Final = (CORRECT, "type", "boundary", "boundary and type", "missed", "invented")
"""The classes of `pair_up`: every gold entity and every predicted one is in exactly one."""


class Match(NamedTuple):
    """A gold entity and the prediction for it; `missed` has no prediction, `invented` no gold entity."""

    kind: str
    gold: Span | None
    predicted: Span | None


def pair_up(gold: Sequence[Span], predicted: Sequence[Span]) -> list[Match]:
    """Pairs the entities of a sentence one to one.

    Equal ones are `correct`; of what is left, the same tokens under another type are `type`; then, largest overlap
    first, overlapping ones of the same type are `boundary` and of another type `boundary and type`; the rest is
    `missed` or `invented`.

    Args:
        gold: In order, without overlaps.
        predicted: Likewise.
    """
    both = set(gold) & set(predicted)
    matches = [Match(CORRECT, span, span) for span in gold if span in both]
    left = [span for span in gold if span not in both]
    right = [span for span in predicted if span not in both]
    candidates = [(_rank(a, b), a, b) for a in left for b in right if min(a.end, b.end) > max(a.start, b.start)]
    for _, a, b in sorted(candidates):
        if a in left and b in right:
            left.remove(a)
            right.remove(b)
            matches.append(Match(_kind(a, b), a, b))
    matches += [Match("missed", span, None) for span in left]
    matches += [Match("invented", None, span) for span in right]
    return matches


def _kind(gold: Span, predicted: Span) -> str:
    if gold[:2] == predicted[:2]:
        return "type"
    return "boundary" if gold.type == predicted.type else "boundary and type"


def _rank(gold: Span, predicted: Span) -> tuple[int, int]:
    overlap = min(gold.end, predicted.end) - max(gold.start, predicted.start)
    return KINDS.index(_kind(gold, predicted)), -overlap


class MistakeKey(NamedTuple):
    """What makes two mistakes the same: kind, and phrase and type on either side (empty where there is none)."""

    kind: str
    gold_phrase: str
    gold_type: str
    predicted_phrase: str
    predicted_type: str


@dataclass
class MistakeTable:
    """The most frequent mistakes, in bounded memory.

    Attributes:
        limit: Distinct mistakes that are kept; when there are more, those seen once are forgotten.
        kinds: How many matches of each kind there were.
        forgotten: How many fell out, each seen once.
    """

    limit: int = 100_000
    kinds: Counter[str] = field(default_factory=Counter)
    forgotten: int = 0
    _counts: Counter[MistakeKey] = field(default_factory=Counter)
    _examples: dict[MistakeKey, tuple[str, str]] = field(default_factory=dict)

    def add(self, tokens: Sequence[str], matches: Sequence[Match], where: str) -> None:
        """Take the matches of a sentence."""
        self.kinds.update(match.kind for match in matches)
        for kind, gold, predicted in matches:
            if kind == CORRECT:
                continue
            key = MistakeKey(kind, *_named(tokens, gold), *_named(tokens, predicted))
            self._counts[key] += 1
            if key not in self._examples:
                self._examples[key] = (where, " ".join(tokens))
        if len(self._counts) > self.limit:
            self._forget()

    def most_common(self, number: int) -> list[tuple[MistakeKey, int, str, str]]:
        """(mistake, how often, where first, the sentence there), most frequent first."""
        ordered = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        return [(key, count, *self._examples[key]) for key, count in ordered[:number]]

    def _forget(self) -> None:
        kept = Counter({key: count for key, count in self._counts.items() if count > 1})
        self.forgotten += len(self._counts) - len(kept)
        self._counts = kept
        self._examples = {key: self._examples[key] for key in kept}
        self.limit = max(self.limit, 2 * len(kept))


def _named(tokens: Sequence[str], span: Span | None) -> tuple[str, str]:
    return (" ".join(tokens[span.start : span.end]), span.type) if span else ("", "")
