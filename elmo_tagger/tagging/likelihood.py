"""The log-likelihood of a batch's labels, computed without a look at any value until all is done."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from elmo_tagger.tagging.chain import Chain
from elmo_tagger.tagging.checks import CrfInputError, check_reachable
from elmo_tagger.tagging.class_weights import lannoy_log_likelihood
from elmo_tagger.tagging.partition import Partition


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """The parts of a log-likelihood, a batch at a time.

    Attributes:
        chain: The batch.
        score: (B,) float64, what is known without summing over sequences.
        labelled: Sum over the sequences that the labels allow; None where they allow one, which `score` is then of.
        every: Sum over all sequences; None where `score` is normalised already.
        bad: () bool, whether a label is no tag.
    """

    chain: Chain
    score: Tensor
    labelled: Partition | None
    every: Partition | None
    bad: Tensor

    @classmethod
    def of(cls, chain: Chain, labels: Tensor, lannoy: Tensor | None = None) -> Likelihood:
        """The likelihood of labels.

        Args:
            chain: The batch.
            labels: Packed: (T, B) int64, ids; or (T, B, K) bool, sets of tags.
            lannoy: (K,), class weights of that strategy.

        Raises:
            CrfInputError: Sets of tags for that strategy.
        """
        if labels.dtype == torch.bool:
            if lannoy is not None:
                raise CrfInputError('weight_strategy "lannoy" needs one tag a token, received sets of allowed tags')
            allowed = chain.restricted(labels | ~chain.real.unsqueeze(2))
            # A set without a tag makes the offset infinite.
            score, bad = allowed.offset - chain.offset, labels.new_zeros(())
            return cls(chain=chain, score=score, labelled=Partition.of(allowed), every=Partition.of(chain), bad=bad)
        ids = labels if chain.full else labels.masked_fill(~chain.real, 0)
        path = ids.clamp(0, chain.emissions.shape[2] - 1)
        bad = (path != ids).any()
        if lannoy is not None:
            score = lannoy_log_likelihood(chain, path, lannoy)
            return cls(chain=chain, score=score, labelled=None, every=None, bad=bad)
        return cls(chain=chain, score=chain.path_score(path), labelled=None, every=Partition.of(chain), bad=bad)

    @property
    def _partitions(self) -> list[Partition]:
        return [each for each in (self.labelled, self.every) if each is not None]

    @property
    def doubtful(self) -> Tensor:
        """() bool, whether a sentence needs `rescued`."""
        distrust = self.bad.new_zeros(())
        for partition in self._partitions:
            distrust = distrust | ~partition.trusted.all()
        return distrust

    @property
    def proof(self) -> Tensor:
        """() float64, finite if every part is."""
        numbers = self.score.detach().sum()
        for partition in self._partitions:
            numbers = numbers + torch.where(partition.trusted, partition.total.detach(), 0.0).sum()
        return numbers

    def value(self) -> Tensor:
        """(B,) float64, nats, where nothing is doubtful."""
        value = self.score if self.labelled is None else self.score + self.labelled.total
        return value if self.every is None else value - self.every.total

    def rescued(self) -> Tensor:
        """(B,) float64, nats, for any scores.

        Raises:
            CrfInputError: A sentence's labels have probability zero.
        """
        value = self.score if self.labelled is None else self.score + self.labelled.rescued()
        check_reachable(value.detach(), self.chain.lengths, "the tags break the constraints")
        return value if self.every is None else value - self.every.rescued()
