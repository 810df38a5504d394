"""Entity posteriors for emissions so large that float64 loses the digits by which tag sequences differ.

The same sums as in `posteriors`, one sentence and one entity at a time, over whole numbers: a score is counted in units
of 2**-48 nats, which Python adds without rounding however large it is. Slow, and seldom needed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from elmo_tagger.tagging.chain import Chain
from elmo_tagger.tagging.posteriors import Reading

BITS = 48  # after the point; a logarithm of up to 200 terms then fits into 64 bits, and the rounding is below 1e-14
LOWEST = -(1 << 4000)
"""Stands for minus infinity: float64's largest number, 2**1024, times a million tokens does not come near it."""

LARGE = 1e7
"""Emissions beyond it are for whole numbers: float64 rounds sums of them over a thousand tokens by more than 1e-6."""

Scores = npt.NDArray[Any]


def exact_where_large(found: Tensor, chain: Chain, emissions: Tensor, queries: Tensor, reading: Reading) -> Tensor:
    """Posteriors (S,) found in float64, those of sentences with large emissions replaced; arguments as below."""
    size = emissions.abs().amax(2).masked_fill(~chain.real, 0.0).amax(0)
    large = (size > LARGE)[queries[:, 0]].nonzero().squeeze(1)
    if not len(large):
        return found
    return found.index_copy(0, large, exact_span_posteriors(chain, emissions, queries[large], reading))


def exact_span_posteriors(chain: Chain, emissions: Tensor, queries: Tensor, reading: Reading) -> Tensor:
    """As `posteriors.span_posteriors`.

    Args:
        chain: The batch, in float64.
        emissions: (T, B, K) float64, those of the chain before their shift.
        queries: (S, 4) int64, as there.
        reading: How tags are read.

    Returns:
        (S,) float32, probability in [0, 1].
    """
    parts = (chain.transitions, chain.start, chain.end, reading.continues, reading.type_of)
    transitions, start, end, continues, type_of = (part.detach().cpu().numpy() for part in parts)
    lengths, sentences, found = chain.lengths.tolist(), {}, []
    for row, begin, stop, kind in queries.tolist():
        if row not in sentences:
            sentences[row] = ExactSentence(
                emissions=emissions[: lengths[row], row].detach().cpu().numpy(),
                transitions=transitions,
                start=start,
                end=end,
                continues=continues,
                type_of=type_of,
            )
        found.append(sentences[row].posterior(begin, stop, kind))
    return torch.tensor(found, dtype=torch.float32, device=queries.device)


class ExactSentence:
    """One sentence's messages.

    Args:
        emissions: (T, K), real tokens alone.
        transitions: (K, K)
        start: (K,)
        end: (K,)
        continues: (K, K) bool, as in `posteriors.Reading`.
        type_of: (K,), likewise.
    """

    def __init__(
        self, *, emissions: Scores, transitions: Scores, start: Scores, end: Scores, continues: Scores, type_of: Scores
    ) -> None:
        scores = (_whole(each) for each in (emissions, transitions, start, end))
        self._emissions, self._transitions, self._start, self._end = scores
        self._continued = _only(self._transitions, continues)
        self._broken = _only(self._transitions, ~continues)
        self._type_of = type_of
        self._forward = [self._start + self._emissions[0]]
        for emission in self._emissions[1:]:
            self._forward.append(_log_sum(self._forward[-1][:, None] + self._transitions) + emission)
        self._backward = [self._end]  # from the tag of a token on, without its emission
        for emission in self._emissions[:0:-1]:
            self._backward.insert(0, _log_sum((self._transitions + emission + self._backward[0]).T))

    def posterior(self, start: int, end: int, kind: int) -> float:
        """Probability in [0, 1] of an entity from token `start` to `end`, exclusive, of the type with that number."""
        entered = _log_sum(self._forward[start - 1][:, None] + self._broken) if start else self._start
        inside = _only(entered + self._emissions[start], self._type_of == kind)
        for emission in self._emissions[start + 1 : end]:
            inside = _log_sum(inside[:, None] + self._continued) + emission
        after = self._end
        if end < len(self._emissions):
            after = _log_sum((self._broken + self._emissions[end] + self._backward[end]).T)
        share = _log_sum(inside + after) - _log_sum(self._forward[-1] + self._end)
        return min(1.0, math.exp(max(share, LOWEST >> 3000) / (1 << BITS)))


def _whole(scores: Scores) -> Scores:
    """Scores as whole numbers."""
    flat = [LOWEST if score == -math.inf else _units(*score.as_integer_ratio()) for score in scores.ravel().tolist()]
    return np.array([*flat, None], dtype=object)[:-1].reshape(scores.shape)  # None keeps NumPy from guessing a dtype


def _units(numerator: int, denominator: int) -> int:
    return (numerator << BITS) // denominator


def _only(scores: Scores, where: Scores) -> Scores:
    """The scores where something holds, minus infinity elsewhere."""
    kept = scores.copy()
    kept[~where] = LOWEST
    return kept


def _log_sum(scores: Scores) -> Any:
    """Logarithm of the summed exponentials along the first axis."""
    largest = scores.max(0)
    # 64 nats below the largest nothing counts.
    below = np.maximum(scores - largest, -(64 << BITS)).astype(np.float64) / (1 << BITS)
    added = np.log(np.exp(below).sum(0)) * (1 << BITS)
    return largest + np.asarray(added).astype(np.int64).astype(object)
