"""The partition function of a batch of chains: the fast way, and the safe way for the sentences that need it."""

from __future__ import annotations

import torch
from torch import Tensor

from elmo_tagger.tagging.chain import Chain
from elmo_tagger.tagging.log_space import LogSpacePartition
from elmo_tagger.tagging.scaled import ScaledPartition


def log_partition(chain: Chain) -> Tensor:
    """Logarithm of the summed exponentials of all tag sequences' scores.

    Returns:
        (B,) float64, nats, without the chain's offset; 0 for an empty sentence and minus infinity where no sequence
        is possible. Its gradient with respect to the emissions is the tags' marginal probabilities.
    """
    total, trusted = ScaledPartition.apply(*_differentiable(chain), chain)  # type: ignore[no-untyped-call]
    if trusted.all():
        return total  # type: ignore[no-any-return]
    rows = (~trusted).nonzero().squeeze(1)
    rest = chain.rows(rows)
    # Sentences come here because their scores are far apart. Float64 holds ten times as many digits of range; what is
    # beyond that too, and what no sequence fits at all, is for log space.
    if rest.emissions.dtype == torch.float32:
        rescued = log_partition(rest.double())
    else:
        rescued = LogSpacePartition.apply(*_differentiable(rest), rest)  # type: ignore[no-untyped-call]
    return total.index_copy(0, rows, rescued)  # type: ignore[no-any-return]


def _differentiable(chain: Chain) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return chain.emissions, chain.transitions, chain.start, chain.end
