"""A CRF's quantities by listing every tag sequence, in plain Python floats."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from elmo_tagger.text.sentence import Span

Matrix = Sequence[Sequence[float]]


class EnumeratedCrf:
    """One sentence's distribution over tag sequences; K to the power of T of them.

    Args:
        emissions: T rows of K scores, real tokens alone.
        transitions: K rows of K scores.
        start: K scores.
        end: K scores.
        allowed: Pairs (from, to), K the start and K + 1 the end; None allows all.
    """

    def __init__(
        self,
        emissions: Matrix,
        transitions: Matrix,
        start: Sequence[float],
        end: Sequence[float],
        allowed: set[tuple[int, int]] | None = None,
    ) -> None:
        self.emissions, self.transitions, self.start, self.end = emissions, transitions, start, end
        self.size = len(start)
        self.allowed = allowed
        self.scores = {path: self.score(path) for path in self._legal()}

    def _legal(self) -> Iterator[tuple[int, ...]]:
        for path in itertools.product(range(self.size), repeat=len(self.emissions)):
            steps = itertools.pairwise((self.size, *path, self.size + 1))
            if self.allowed is None or all(step in self.allowed for step in steps):
                yield path

    def score(self, path: Sequence[int]) -> float:
        """Score of a sequence, legal or not."""
        total = self.start[path[0]] + self.end[path[-1]]
        total += sum(row[tag] for row, tag in zip(self.emissions, path, strict=True))
        return total + sum(self.transitions[i][j] for i, j in itertools.pairwise(path))

    def log_sum(self, paths: Iterator[tuple[int, ...]] | Sequence[tuple[int, ...]] | None = None) -> float:
        """Logarithm of the summed exponentials of some sequences' scores, or of all."""
        scores = [self.scores[path] for path in (self.scores if paths is None else paths)]
        if not scores:
            return -math.inf
        top = max(scores)
        return top + math.log(math.fsum(math.exp(score - top) for score in scores))

    def probability(self, paths: Iterator[tuple[int, ...]] | Sequence[tuple[int, ...]]) -> float:
        """Summed probability of some sequences."""
        return math.exp(self.log_sum(list(paths)) - self.log_sum())

    def log_likelihood(self, allowed: Sequence[set[int]]) -> float:
        """Logarithm of the probability of all sequences that take an allowed tag at each token."""
        fitting = [path for path in self.scores if all(tag in tags for tag, tags in zip(path, allowed, strict=True))]
        return self.log_sum(fitting) - self.log_sum()

    def best(self, n: int) -> list[tuple[int, ...]]:
        """The n best sequences; of equals, the one with the lowest id at the last token where they differ."""
        return sorted(self.scores, key=lambda path: (-self.scores[path], path[::-1]))[:n]

    def marginal(self, token: int, tag: int) -> float:
        """Probability of a tag at a token."""
        return self.probability(path for path in self.scores if path[token] == tag)

    def posterior(self, span: Span, tags: Sequence[str], scheme: str) -> float:
        """Probability of all sequences that contain the entity when read leniently."""
        return self.probability(path for path in self.scores if contains([tags[i] for i in path], span, scheme))


CONTINUING = {
    "BIO": {"BI", "II"},
    "IOB1": {"BI", "II"},
    "IOE2": {"II", "IE"},
    "IOE1": {"II", "IE"},
    "BIOUL": {"BI", "BL", "II", "IL"},
    "BIOES": {"BI", "BE", "II", "IE"},
    "BMES": {"BM", "BE", "MM", "ME"},
    "BMEWO": {"BM", "BE", "MM", "ME"},
}
"""The pairs of neighbouring letters, of one type, that belong to one entity."""


def contains(tags: Sequence[str], span: Span, scheme: str) -> bool:
    """Whether exactly this span is an entity: of its type, in one piece, and parted from what is beside it."""

    def continuing(position: int) -> bool:
        if not 0 < position < len(tags):
            return False
        left, right = tags[position - 1], tags[position]
        return left[1:] == right[1:] and left[0] + right[0] in CONTINUING[scheme]

    return (
        all(tag[1:] == f"-{span.type}" for tag in tags[span.start : span.end])
        and all(continuing(position) for position in range(span.start + 1, span.end))
        and not continuing(span.start)
        and not continuing(span.end)
    )
