"""AllenNLP's three ways of giving classes different weights in the CRF loss.

Source: AllenNLP 2.10.1, modules/conditional_random_field; compared at https://eraldoluis.github.io/2022/05/10/weighted-crf.html
"""

from __future__ import annotations

import torch
from torch import Tensor

from elmo_tagger.tagging.chain import Chain
from elmo_tagger.tagging.log_space import forward_messages

STRATEGIES = ("emission", "emission_transition", "lannoy")
"""Names as in the `weight_strategy` of AllenNLP's `crf_tagger`."""


def weigh_scores(emissions: Tensor, transitions: Tensor, weights: Tensor, strategy: str) -> tuple[Tensor, Tensor]:
    """Scores scaled by the weight of their tag; "lannoy" leaves them alone.

    Args:
        emissions: (B, T, K)
        transitions: (K, K), from a tag to the next; scaled by the weight of the former.
        weights: (K,)
        strategy: One of `STRATEGIES`.
    """
    if strategy == "lannoy":
        return emissions, transitions
    if strategy == "emission_transition":
        transitions = transitions * weights.unsqueeze(1)
    return emissions * weights, transitions


def lannoy_log_likelihood(chain: Chain, path: Tensor, weights: Tensor) -> Tensor:
    """Log-likelihood in which what each token adds, to score and normaliser, has the weight of its true tag.

    Args:
        chain: The batch.
        path: (T, B) int64, the true tags.
        weights: (K,)

    Returns:
        (B,) float64, nats. The shift of the emissions cancels out here too: both sides weigh it alike.

    Source: De Lannoy et al. 2012, "Weighted conditional random fields for supervised interpatient heartbeat
    classification", as AllenNLP computes it: transitions have the weight of the former tag, start and end none.
    """
    weight = weights[path]
    emitted = chain.emissions.gather(2, path.unsqueeze(2)).squeeze(2) * weight
    moved = chain.transitions[path[:-1], path[1:]] * weight[:-1]
    alpha, growth = forward_messages(chain)
    first = chain.start[path[0]].unsqueeze(0)
    per_token = emitted + torch.cat([first, moved]) - growth * weight
    ends = chain.end[chain.at_last(path)] - (chain.at_last(alpha) + chain.end).logsumexp(1)
    return (chain.without_padding(per_token).sum(0) + ends).masked_fill(chain.lengths == 0, 0.0)
