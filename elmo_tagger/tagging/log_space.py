"""Forward-backward with logarithms: right for any scores, slow; the readable reference of `scaled`."""

from __future__ import annotations

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
        reached = (alpha.unsqueeze(2) + chain.transitions).logsumexp(1)
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


def _largest_zero(scores: Tensor) -> Tensor:
    largest = scores.amax(-1, keepdim=True)
    return scores - largest.masked_fill(largest == -torch.inf, 0.0)


class LogSpacePartition(torch.autograd.Function):
    """Logarithm of the summed exponentials of all tag sequences' scores, without the chain's offset."""

    @staticmethod
    def forward(
        ctx: Any, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor, offset: Tensor
    ) -> Tensor:
        """(B,) float64; arguments are the fields of `Chain`."""
        chain = Chain(
            emissions=emissions, transitions=transitions, start=start, end=end, lengths=lengths, offset=offset
        )
        alpha, growth = forward_messages(chain)
        ctx.save_for_backward(emissions, transitions, start, end, lengths, offset, alpha)
        final = alpha.gather(0, chain.last.view(1, -1, 1).expand_as(alpha[:1])).squeeze(0) + end
        total = growth.masked_fill(~chain.real, 0.0).sum(0) + final.logsumexp(1)
        return total.masked_fill(lengths == 0, 0.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient is the expected number of times that each score is used."""
        *fields, alpha = ctx.saved_tensors
        chain = Chain(**dict(zip(Chain.__dataclass_fields__, fields, strict=True)))
        weight = grad.to(alpha.dtype)
        beta = backward_messages(chain)
        marginals = (alpha + beta).softmax(2).nan_to_num(0.0)
        marginals = (marginals * weight.unsqueeze(1)).masked_fill(~chain.real.unsqueeze(2), 0.0)
        moves = torch.zeros_like(chain.transitions)
        for step in range(1, alpha.shape[0]):
            ahead = (chain.emissions[step] + beta[step]).unsqueeze(1)
            joint = (alpha[step - 1].unsqueeze(2) + chain.transitions + ahead).flatten(1).softmax(1).nan_to_num(0.0)
            used = (weight * (step < chain.lengths)).unsqueeze(1)
            moves += (joint * used).sum(0).view_as(moves)
        finals = marginals.gather(0, chain.last.view(1, -1, 1).expand_as(marginals[:1])).squeeze(0)
        return marginals, moves, marginals[0].sum(0), finals.sum(0), None, None
