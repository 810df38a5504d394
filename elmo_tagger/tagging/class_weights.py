"""AllenNLP's three ways of giving classes different weights in the CRF loss.

Source: AllenNLP 2.10.1, modules/conditional_random_field; compared at https://eraldoluis.github.io/2022/05/10/weighted-crf.html
"""

from __future__ import annotations

import torch
from torch import Tensor

from elmo_tagger.tagging.chain import Chain
from elmo_tagger.tagging.forward_backward import LN_2, LogMessages, log2_sum

STRATEGIES = ("emission", "emission_transition", "lannoy")
"""Names as in the `weight_strategy` of AllenNLP's `crf_tagger`."""


def weigh_scores(emissions: Tensor, transitions: Tensor, weights: Tensor, strategy: str) -> tuple[Tensor, Tensor]:
    """Scores scaled by the weight of their tag; "lannoy" leaves them alone.

    Args:
        emissions: (..., K)
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
    emitted = chain.emissions.gather(1, path.unsqueeze(1)).squeeze(1) * weight
    moved = chain.transitions[path[:-1], path[1:]] * weight[:-1]
    first = chain.start[path[0]].unsqueeze(0)
    messages = LogMessages.of(chain)
    total = log2_sum(messages.alpha.transpose(0, 1))  # (T, B), of all beginnings, on each token's scale
    added = messages.log_scale + total - torch.cat([torch.zeros_like(total[:1]), total[:-1]])
    per_token = emitted + torch.cat([first, moved]) - added * LN_2 * weight
    ends = chain.end[chain.at_last(path)] - (log2_sum(messages.complete) - chain.at_last(total)) * LN_2
    return (per_token.masked_fill(~chain.real, 0.0).sum(0) + ends).masked_fill(chain.lengths == 0, 0.0)
