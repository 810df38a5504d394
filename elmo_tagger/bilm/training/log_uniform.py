"""Negative samples: words drawn with a probability that falls with their place in a vocabulary sorted by frequency."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class LogUniformSampler:
    """Draws words of a vocabulary, P(k) = log((k + 2) / (k + 1)) / log(V + 1), and keeps the distinct ones.

    The number of draws is fixed, so that the probability of each word to be among the samples is known exactly:
    1 - (1 - P(k)) ** draws. It is chosen so that `samples` distinct words are expected. (TensorFlow draws until it has
    a fixed number of distinct words, and takes the same formula as an approximation.)

    Args:
        size: V.
        samples: Distinct words expected of a draw; all of them, none left out, if it is V or more.

    Raises:
        ValueError: `samples` is not positive.

    Source: https://www.tensorflow.org/api_docs/python/tf/random/log_uniform_candidate_sampler.
    """

    def __init__(self, size: int, samples: int) -> None:
        if samples < 1:
            raise ValueError(f"samples: expected a positive number, received {samples}")
        self.size = size
        self.complete = samples >= size
        places = torch.arange(size, dtype=torch.float64)
        self._log_absent = torch.log1p(-torch.log1p(1.0 / (places + 1.0)) / math.log(size + 1.0))
        self.draws = 0 if self.complete else self._draws_for(samples)
        self.log_probabilities = torch.log(self._probabilities(self.draws)).float()
        """(V,) logarithm of the probability that a word is among the samples."""

    def sample(self) -> Tensor:
        """Distinct words, ascending, int64, drawn by PyTorch's generator of the CPU."""
        if self.complete:
            return torch.arange(self.size)
        uniform = torch.rand(self.draws, dtype=torch.float64)
        # the inverse of the distribution function log(k + 1) / log(V + 1)
        words = torch.exp(uniform * math.log(self.size + 1.0)).long() - 1
        distinct: Tensor = torch.unique(words.clamp(max=self.size - 1))
        return distinct

    def _probabilities(self, draws: int) -> Tensor:
        if self.complete:
            return torch.ones(self.size)
        return torch.expm1(draws * self._log_absent).abs()

    def _draws_for(self, samples: int) -> int:
        """The fewest draws by which `samples` distinct words are expected."""
        low, high = samples, 2 * samples
        while self._probabilities(high).sum() < samples:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._probabilities(middle).sum() >= samples else (middle, high)
        return high
