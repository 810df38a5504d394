"""The partition function of a batch of chains: the fast way, and the safe way for the sentences that need it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from elmo_tagger.tagging.chain import Chain
from elmo_tagger.tagging.log_space import LogSpacePartition
from elmo_tagger.tagging.scaled import ScaledPartition


@dataclass(frozen=True, kw_only=True)
class Partition:
    """Logarithm of the summed exponentials of all tag sequences' scores, by the fast way.

    Attributes:
        chain: The batch.
        total: (B,) float64, nats, without the chain's offset; 0 for an empty sentence.
        trusted: (B,) bool, false where `total` must not be used.
    """

    chain: Chain
    total: Tensor
    trusted: Tensor

    @classmethod
    def of(cls, chain: Chain) -> Partition:
        """The partition function of a batch; nothing is copied from the device."""
        total, trusted = ScaledPartition.apply(*_differentiable(chain), chain)  # type: ignore[no-untyped-call]
        return cls(chain=chain, total=total, trusted=trusted)

    def rescued(self) -> Tensor:
        """(B,), right for every sentence: minus infinity where no sequence is possible."""
        rows = (~self.trusted).nonzero().squeeze(1)
        if not len(rows):
            return self.total
        rest = self.chain.rows(rows)
        # Sentences come here because their scores are far apart. Float64 holds ten times as many digits of range; what
        # is beyond that too, and what no sequence fits at all, is for log space.
        if rest.emissions.dtype == torch.float32:
            total = log_partition(rest.double())
        else:
            total = LogSpacePartition.apply(*_differentiable(rest), rest)  # type: ignore[no-untyped-call]
        return self.total.index_copy(0, rows, total)


def log_partition(chain: Chain) -> Tensor:
    """Logarithm of the summed exponentials of all tag sequences' scores.

    Returns:
        (B,) float64, nats, without the chain's offset; 0 for an empty sentence and minus infinity where no sequence
        is possible. Its gradient with respect to the emissions is the tags' marginal probabilities.
    """
    return Partition.of(chain).rescued()


def _differentiable(chain: Chain) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return chain.emissions, chain.transitions, chain.start, chain.end
