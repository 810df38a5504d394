"""The temperature of a CRF: one number, found on a development set, that makes its confidences mean what they say.

Dividing all scores by a temperature leaves every best path as it is and changes only how probable it is. The one that
makes the development set's true tags most probable is looked for by golden-section search; the likelihood is concave
in the inverse temperature, so there is one best value (with partial labels there may be several, and one is found).

Source: Guo et al. 2017 (arXiv:1706.04599), section 4.2, whose softmax over classes is one over tag sequences here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.tagging.crf import ConditionalRandomField

LOWEST, HIGHEST = 0.2, 10.0
"""Bounds of the search. A small set without a mistake would have every probability be 1."""
PRECISION = 0.002  # of the temperature's logarithm
_GOLDEN = (math.sqrt(5) - 1) / 2

Batch = tuple[Tensor, Tensor, Tensor]
"""Emissions (B, T, K); true tags, (B, T) int64 or, where labels are partial, (B, T, K) bool; mask (B, T) bool."""
Total = Callable[[Tensor], Tensor]


class TemperatureError(ElmoTaggerError):
    """Sentences by which no temperature can be found."""


class Fit(NamedTuple):
    """A temperature and what it brings.

    Attributes:
        temperature: Divides all scores.
        sentences: How many it was found by.
        left_out: How many have tags that the model's constraints forbid, which no temperature makes possible.
        before, after: Negative log-likelihood of the true tags with temperature 1 and with this one, in nats, mean over
            sentences.
    """

    temperature: float
    sentences: int
    left_out: int
    before: float
    after: float

    @property
    def at_bound(self) -> bool:
        """Whether the best temperature may lie beyond the bounds of the search."""
        distance = min(abs(math.log(self.temperature / bound)) for bound in (LOWEST, HIGHEST))
        return distance < 2 * PRECISION


def fit_temperature(crf: ConditionalRandomField, batches: Iterable[Batch], *, total: Total = lambda sums: sums) -> Fit:
    """Find a CRF's temperature by the true tags of sentences, and set it.

    Args:
        crf: Its temperature stays as it is if none can be found.
        batches: Scores and true tags.
        total: Adds a tensor up over the processes that share the sentences; one has them all by default.

    Raises:
        TemperatureError: No sentence, or none whose labels say anything.
        CrfInputError: Bad values or shapes.
    """
    batches, given = list(batches), float(crf.temperature)
    try:
        return _fit(crf, batches, total)
    except ElmoTaggerError:
        crf.temperature.fill_(given)
        raise


def _fit(crf: ConditionalRandomField, batches: Sequence[Batch], total: Total) -> Fit:
    crf.temperature.fill_(1.0)
    at_one = [crf.log_probability(*batch) for batch in batches]
    possible = [found.isfinite() for found in at_one]
    counts = torch.tensor([sum(int(rows.sum()) for rows in possible), sum(map(len, possible))], dtype=torch.float64)
    sentences, seen = (int(count) for count in total(counts))
    if not sentences:
        received = f"all {seen} have tags that the model's constraints forbid" if seen else "received none"
        raise TemperatureError(f"no sentence to find a temperature by: {received}")

    def loss(temperature: float) -> float:
        """Mean negative log-likelihood in nats."""
        crf.temperature.fill_(temperature)
        sums = (
            crf.log_probability(*batch)[rows.to(batch[0].device)].sum().cpu()
            for batch, rows in zip(batches, possible, strict=True)
        )
        added = torch.stack([torch.zeros((), dtype=torch.float64), *sums]).sum(0, keepdim=True)
        return -float(total(added)) / sentences

    before = loss(1.0)
    if before == loss(HIGHEST):
        raise TemperatureError(
            f"no label of the {sentences} sentences says anything: a temperature is found by tags that are known"
        )
    temperature = math.exp(_minimum(lambda logarithm: loss(math.exp(logarithm)), math.log(LOWEST), math.log(HIGHEST)))
    return Fit(temperature, sentences, seen - sentences, before, after=loss(temperature))


def _minimum(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one minimum between two bounds is lowest, by golden-section search."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > PRECISION:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = function(right)
    return (low + high) / 2
