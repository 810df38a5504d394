"""Forward-backward with plain probabilities, rescaled at each step: fast, and it knows when it must not be trusted.

Both directions advance in one loop: the backward pass over a sentence is the forward pass over the reversed sentence
with transposed transitions, so a step is one batched matrix product for both. Nothing is recorded for autograd; the
gradient is written down in closed form.

Where a float32 probability underflows, mass is lost. What is lost weighs at most the smallest normal number, and what
it is compared with is known at the end (`_trusted`), so a sentence whose result could be touched is reported and
computed again in log space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from elmo_tagger.tagging.chain import Chain

LOSS_FACTOR = 1e13
"""Kept mass must exceed the smallest normal number by this factor: lost mass is then below 1e-13 of it at each step."""


@dataclass(frozen=True, kw_only=True)
class ScaledMessages:
    """Result of the two passes; no meaning on padding.

    Attributes:
        alpha: (T, B, K), probability of each tag after the tokens up to it.
        beta: (T, B, K), relative likelihood of the rest of the sentence given each tag.
        gamma: (T, B, K), the same with the token's own emission, summing to 1 over K.
        overlap: (T, B), sum of alpha times beta.
        growth: (T, B) float64, logarithm by which the total grew in each step.
        factors: (K, K), exponentials of the transitions, the largest 1.
        trusted: (B,) bool, false where underflow may have cost digits.
    """

    alpha: Tensor
    beta: Tensor
    gamma: Tensor
    overlap: Tensor
    growth: Tensor
    factors: Tensor
    trusted: Tensor


def scaled_messages(chain: Chain) -> ScaledMessages:
    """Both passes over a batch."""
    emissions, lengths = chain.emissions, chain.lengths
    factors = (chain.transitions - chain.transitions.max()).exp()
    reversal = _reversal(lengths, len(emissions))
    weights = emissions.exp()
    # (T, 2, B, K): the second half of each step runs over the reversed sentences.
    weights = torch.stack([weights, _reorder(weights, reversal)], 1)
    begin = torch.stack([(chain.start - chain.start.max()).exp(), (chain.end - chain.end.max()).exp()])
    before, after, mass = _both_passes(weights, torch.stack([factors, factors.t()]), begin)
    alpha, gamma = after[:, 0], _reorder(after[:, 1], reversal)
    beta = _reorder(before[:, 1], reversal)
    overlap = (alpha * beta).sum(2)
    growth = mass[:, 0].log().double() + chain.transitions.max()
    growth[0] += chain.start.max() - chain.transitions.max()
    return ScaledMessages(
        alpha=alpha,
        beta=beta,
        gamma=gamma,
        overlap=overlap,
        growth=growth,
        factors=factors,
        trusted=_trusted(mass[:, 0], _reorder(mass[:, 1], reversal), overlap, chain.real),
    )


def _reversal(lengths: Tensor, steps: int) -> Tensor:
    """(T * B,) rows of a flattened (T, B, ...) tensor that reverse each sentence in place and leave padding alone."""
    step = torch.arange(steps, device=lengths.device).unsqueeze(1)
    mirrored = torch.where(step < lengths, lengths - 1 - step, step)
    return (mirrored * lengths.shape[0] + torch.arange(lengths.shape[0], device=lengths.device)).flatten()


def _reorder(values: Tensor, rows: Tensor) -> Tensor:
    return values.flatten(0, 1).index_select(0, rows).view_as(values)


def _both_passes(weights: Tensor, factors: Tensor, begin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The time loop: four operations a step.

    Args:
        weights: (T, 2, B, K), exponentials of the emissions.
        factors: (2, K, K), of the transitions.
        begin: (2, K), of what comes before the first step.

    Returns:
        (T, 2, B, K) before and after a step's emission, the latter summing to 1 over K; (T, 2, B), sum before scaling.
    """
    before, after = torch.empty_like(weights), torch.empty_like(weights)
    mass = weights.new_empty(weights.shape[:3])
    before[0] = begin.unsqueeze(1)
    # Reduced-precision products (TF32, bfloat16) would cost three digits a step.
    exact_products = torch.get_float32_matmul_precision() == "highest"
    ahead = before.unbind()[1:]
    for step, (now, weight, scaled, total) in enumerate(
        zip(before.unbind(), weights.unbind(), after.unbind(), mass.unsqueeze(3).unbind(), strict=True)
    ):
        torch.mul(now, weight, out=scaled)
        torch.sum(scaled, 2, keepdim=True, out=total)
        scaled.div_(total)
        if step == len(ahead):
            break
        if exact_products:
            torch.bmm(scaled, factors, out=ahead[step])
        else:
            torch.sum(scaled.unsqueeze(3) * factors.unsqueeze(1), 2, out=ahead[step])
    return before, after, mass


def _trusted(mass: Tensor, mass_behind: Tensor, overlap: Tensor, real: Tensor) -> Tensor:
    """Which sentences lost nothing that matters.

    In a step forward, entries below the smallest normal number `tiny` are lost, at most `tiny / mass` of the whole
    once rescaled; their part in the result is at most that over `overlap`, since beta is at most 1. Likewise backward,
    and a transition factor that underflows loses at most `tiny / overlap`. NaN (no sequence at all) compares false.
    """
    limit = torch.finfo(mass.dtype).tiny * LOSS_FACTOR
    kept = (mass * overlap >= limit) | ~real
    kept_behind = (mass_behind[1:] * overlap[:-1] >= limit) | ~real[1:]
    return kept.all(0) & kept_behind.all(0)


class ScaledPartition(torch.autograd.Function):
    """Logarithm of the summed exponentials of all tag sequences' scores, without the chain's offset."""

    @staticmethod
    def forward(
        ctx: Any, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor, offset: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(B,) float64, and (B,) bool that is false where the number must not be used; arguments as in `Chain`."""
        chain = Chain(
            emissions=emissions, transitions=transitions, start=start, end=end, lengths=lengths, offset=offset
        )
        messages = scaled_messages(chain)
        empty = lengths == 0
        trusted = messages.trusted | empty
        final = messages.overlap.gather(0, chain.last.unsqueeze(0)).squeeze(0)
        total = messages.growth.masked_fill(~chain.real, 0.0).sum(0) + final.log() + end.max()
        used = (chain.real & trusted).unsqueeze(2)
        overlap = messages.overlap.unsqueeze(2)
        # Products with zero would keep the NaN of padding and of distrusted sentences; masked_fill removes it.
        marginals = (messages.alpha * messages.beta / overlap).masked_fill(~used, 0.0)
        left = (messages.alpha[:-1] / overlap[:-1]).masked_fill(~used[1:], 0.0)
        right = messages.gamma[1:].masked_fill(~used[1:], 0.0)
        ctx.save_for_backward(marginals, left, right, messages.factors, chain.last)
        ctx.mark_non_differentiable(trusted)
        return total.masked_fill(empty, 0.0), trusted

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
        """The gradient is the expected number of times that each score is used."""
        marginals, left, right, factors, last = ctx.saved_tensors
        weight = grad.to(marginals.dtype).unsqueeze(1)
        marginals = marginals * weight
        moves = factors * ((left * weight).flatten(0, 1).t() @ right.flatten(0, 1))
        finals = marginals.gather(0, last.view(1, -1, 1).expand_as(marginals[:1])).squeeze(0)
        return marginals, moves, marginals[0].sum(0), finals.sum(0), None, None
