"""The softmax that both directions of the language model share, exact or sampled."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elmo_tagger.bilm.device import to_device
from elmo_tagger.bilm.training.linear_loss import linear_loss
from elmo_tagger.bilm.training.log_uniform import LogUniformSampler

_MULTIPLE = 64  # matrix products of other widths are slower on a GPU


class LmSoftmax(nn.Module):
    """Words from hidden vectors.

    Args:
        words: V.
        width: P.
        samples: Negative samples of a step while training; None for the exact softmax. Outside of training it is
            always exact.

    Source: https://github.com/allenai/bilm-tf, bilm/training.py, _build_loss.
    """

    log_probabilities: Tensor

    def __init__(self, words: int, width: int, *, samples: int | None = None) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.empty(words, width))
        self.b = nn.Parameter(torch.empty(words))
        self.sampler = None if samples is None else LogUniformSampler(words, samples)
        likely = None if self.sampler is None else self.sampler.log_probabilities
        self.register_buffer("log_probabilities", likely, persistent=False)  # so that it is where W is
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the start of a training, scaled as in bilm-tf."""
        nn.init.normal_(self.W, std=1.0 / math.sqrt(self.W.shape[1]))
        nn.init.zeros_(self.b)

    def forward(self, hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy.

        Args:
            hidden: (N, P).
            targets: (N,) int64, the words to predict.

        Returns:
            The sum of the losses, in nats, which has gradients; and the losses (N,), which have none.
        """
        if self.training and self.sampler is not None:
            return self._sampled(hidden, targets, self.sampler)
        return linear_loss(hidden, self.W, self.b, targets)

    def _sampled(self, hidden: Tensor, targets: Tensor, sampler: LogUniformSampler) -> tuple[Tensor, Tensor]:
        """Which of the samples and the word to predict is that word, given how likely each was to be a candidate.

        Source: https://www.tensorflow.org/extras/candidate_sampling.pdf, "Sampled softmax".
        """
        samples = sampler.sample()
        missing = -len(samples) % _MULTIPLE
        samples = to_device(samples, targets.device)
        places = torch.searchsorted(samples, targets).clamp(max=len(samples) - 1)
        places = torch.where(samples[places] == targets, places, -1)
        # one look-up of all rows, so that backward adds up one gradient of the size of the softmax
        rows = torch.cat([F.pad(samples, (0, missing)), targets])
        correction = self.log_probabilities[rows]
        count = len(samples) + missing
        correction[len(samples) : count] = torch.inf  # what only fills up is no candidate
        weight, bias = F.embedding(rows, self.W), self.b[rows] - correction
        right = (hidden.to(weight.dtype) * weight[count:]).sum(1) + bias[count:]
        return linear_loss(hidden, weight[:count], bias[:count], places, right)
