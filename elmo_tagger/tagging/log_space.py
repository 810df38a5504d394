"""Forward-backward with logarithms: right for any scores, slow; the readable reference of `scaled`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from elmo_tagger.tagging.chain import Chain


def forward_messages(chain: Chain) -> tuple[Tensor, Tensor]:
    """How likely each tag is after the tokens up to it, step by step.

    Returns:
        (T, B, K), logarithms that sum to probability 1 over K, and (T, B) float64, the logarithm by which the total
        grew in each step; both without meaning on padding. Where no sequence is possible, minus infinity.

    Source: Rabiner 1989, equations 19-20 and 91-92.
    """
    alphas, growths = [], []
    reached = chain.start
    for emission in chain.emissions:
        alpha = reached + emission
        growth = alpha.logsumexp(1)
        # Minus infinity minus itself would be NaN where nothing is reachable.
        alpha = alpha - growth.masked_fill(growth == -torch.inf, 0.0).unsqueeze(1)
        reached = _log_sum(alpha.unsqueeze(2) + chain.transitions)
        alphas.append(alpha)
        growths.append(growth)
    return torch.stack(alphas), torch.stack(growths).double()


def backward_messages(chain: Chain) -> Tensor:
    """How likely the rest of the sentence is given each tag.

    Returns:
        (T, B, K), logarithms, the largest of each token 0; without meaning on padding.

    Source: Rabiner 1989, equations 24-25.
    """
    beta = chain.end.expand(chain.emissions.shape[1:])
    betas = [beta]
    for step in range(chain.emissions.shape[0] - 1, 0, -1):
        ahead = chain.transitions + (chain.emissions[step] + beta).unsqueeze(1)
        inside = (step < chain.lengths).unsqueeze(1)
        beta = torch.where(inside, _largest_zero(ahead.logsumexp(2)), chain.end)
        betas.append(beta)
    return torch.stack(betas[::-1])


def _log_sum(scores: Tensor) -> Tensor:
    """(B, from K, to K) to (B, to K); minus infinity, without gradient, where nothing leads to a tag."""
    # There the gradient of `logsumexp` itself is NaN.
    nothing = (scores.detach() == -torch.inf).all(1, keepdim=True)
    return scores.masked_fill(nothing, 0.0).logsumexp(1).masked_fill(nothing.squeeze(1), -torch.inf)


def _largest_zero(scores: Tensor) -> Tensor:
    largest = scores.amax(-1, keepdim=True)
    return scores - largest.masked_fill(largest == -torch.inf, 0.0)


class LogSpacePartition(torch.autograd.Function):
    """Logarithm of the summed exponentials of all tag sequences' scores, without the chain's offset."""

    @staticmethod
    def forward(ctx: Any, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, chain: Chain) -> Tensor:
        """(B,) float64; the first arguments are those of the chain that have gradients."""
        chain = replace(chain, emissions=emissions, transitions=transitions, start=start, end=end)
        alpha, growth = forward_messages(chain)
        ctx.save_for_backward(emissions, transitions, start, end, alpha)
        ctx.chain = replace(chain, emissions=alpha)  # not the inputs a second time: autograd keeps those
        total = chain.without_padding(growth).sum(0) + (chain.at_last(alpha) + end).logsumexp(1)
        return total.masked_fill(chain.lengths == 0, 0.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient is the expected number of times that each score is used."""
        emissions, transitions, start, end, alpha = ctx.saved_tensors
        chain = replace(ctx.chain, emissions=emissions, transitions=transitions, start=start, end=end)
        weight = grad.to(alpha.dtype).unsqueeze(1)
        beta = backward_messages(chain)
        marginals = chain.without_padding((alpha + beta).softmax(2).nan_to_num(0.0) * weight)
        moves = torch.zeros_like(transitions)
        for step in range(1, len(alpha)):
            ahead = (emissions[step] + beta[step]).unsqueeze(1)
            joint = (alpha[step - 1].unsqueeze(2) + transitions + ahead).flatten(1).softmax(1).nan_to_num(0.0)
            used = weight * (step < chain.lengths).unsqueeze(1)
            moves += (joint * used).sum(0).view_as(moves)
        return marginals, moves, marginals[0].sum(0), chain.at_last(marginals).sum(0), None
