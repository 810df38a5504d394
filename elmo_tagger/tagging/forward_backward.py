"""Forward-backward: the sum over all tag sequences, and how probable each tag and each pair of neighbours is.

A pass forward sums over all beginnings of the sentences. A pass back then walks from the last tokens to the first
through the probabilities of a tag's predecessors, which the forward messages give: read from its end, a chain is a
Markov chain.

Two forms of messages do the same. `LogMessages` hold logarithms, are right for all scores, and are what to read first.
`ScaledMessages` hold numbers, so that a step is a product of matrices, many times as fast with many tags; they know
whether a number was lost on the way. `messages_of` takes the latter wherever nothing was lost, which is the case unless
scores differ by more than a hundred nats.

Source: Rabiner 1989, "A tutorial on hidden Markov models", equations 19-20, rescaled as in 91-92.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from elmo_tagger.tagging.chain import Chain

LN_2 = math.log(2)
RESCALE_EVERY = 8  # steps; keeps weights near 1 and logarithms near 0, where numbers are dense


class LogMessages(NamedTuple):
    """What the tokens up to each token say about its tag, as logarithms in float64; without meaning on padding.

    Logarithms have base 2: on a CPU, PyTorch's `exp` takes up to 40 times as long where its result underflows, as it
    does for forbidden transitions, and `exp2` does not.

    Attributes:
        alpha: (T, K, B), logarithm of the summed weight of all beginnings that end with a tag; in some steps it is
            rescaled, so that its largest is 0.
        reached: (T, K, B), the same without the token's own emission, on the scale of the token before.
        log_scale: (T, B), what was taken from `alpha` in each step.
        complete: (K, B), `alpha` of each sentence's last token with the scores of ending there.
        transitions: (K, K), those of the chain.
        lengths: (B,) int64, tokens of each sentence.
    """

    alpha: Tensor
    reached: Tensor
    log_scale: Tensor
    complete: Tensor
    transitions: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, chain: Chain) -> LogMessages:
        """The messages of a batch; they have gradients if the chain has."""
        emissions, transitions, start, end = (
            scores.double() / LN_2 for scores in (chain.emissions, chain.transitions, chain.start, chain.end)
        )
        reached = start.unsqueeze(1).expand_as(emissions[0])
        no_scale = reached.new_zeros(reached.shape[1])
        alphas: list[Tensor] = []
        all_reached: list[Tensor] = []
        log_scales: list[Tensor] = []
        for step, emission in enumerate(emissions.unbind()):
            if step:
                reached = log2_sum(alphas[-1].unsqueeze(1) + transitions.unsqueeze(2))
            alpha, log_scale = reached + emission, no_scale
            if step % RESCALE_EVERY == 0:
                log_scale = finite(alpha.detach().amax(0))
                alpha = alpha - log_scale
            alphas.append(alpha)
            all_reached.append(reached)
            log_scales.append(log_scale)
        alpha = torch.stack(alphas)
        return cls(
            alpha=alpha,
            reached=torch.stack(all_reached),
            log_scale=torch.stack(log_scales),
            complete=chain.at_last(alpha) + end.unsqueeze(1),
            transitions=transitions,
            lengths=chain.lengths,
        )

    def log_partition(self) -> Tensor:
        """(B,) float64, logarithm of the summed weight of all sequences, in nats; 0 for an empty sentence."""
        scale = without_padding(self.log_scale, self.lengths).sum(0)
        return ((scale + log2_sum(self.complete)) * LN_2).masked_fill(self.lengths == 0, 0.0)

    def final_tags(self) -> Tensor:
        """(K, B), probability of each sentence's last tag; 0 for an empty sentence."""
        weights = (self.complete - finite(log2_sum(self.complete))).exp2()
        return weights.masked_fill(self.lengths == 0, 0.0)

    def expected(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """How often each score is to be expected.

        Args:
            weight: (B,), how often each sentence counts.

        Returns:
            (T, K, B), probability of a tag at a token, times its sentence's weight, 0 on padding; and (K, K), expected
            number of steps from a tag, first axis, to another.
        """
        marginals = at_last(self.final_tags(), like=self.alpha, lengths=self.lengths)
        pairs_in_all = weight.new_zeros(len(self.transitions), *self.complete.shape)
        for step in range(len(marginals) - 1, 0, -1):
            here, before = marginals[step], marginals[step - 1]
            pairs = self.predecessors(step).mul_(here)
            pairs_in_all += pairs
            before += pairs.sum(1)
            if step % RESCALE_EVERY == 0:  # rounding leaves a little less or more than 1, which would add up
                before /= before.sum(0).clamp(min=torch.finfo(before.dtype).tiny)
        return marginals * weight, pairs_in_all @ weight

    def predecessors(self, step: int | Tensor, sentence: Tensor | None = None) -> Tensor:
        """How probable each tag of the token before is, given the tag of a token.

        Args:
            step: Position of the token, at least 1.
            sentence: If given, (S,) int64, sentences; `step` is then (S,) int64, positions of their tokens.

        Returns:
            (K, K, B) or (K, K, S), probability of the tag before, first axis, given the tag here, second axis; sums to
            1 over the first axis, or to 0 where no sequence reaches the tag.
        """
        if sentence is None:
            before, here = self.alpha[step - 1], self.reached[step]
        else:
            before, here = self.alpha[step - 1, :, sentence].t(), self.reached[step, :, sentence].t()
        return ((self.transitions.unsqueeze(2) - finite(here)) + before.unsqueeze(1)).exp2_()


class ScaledMessages(NamedTuple):
    """What the tokens up to each token say about its tag, as numbers in float64; without meaning on padding.

    Attributes:
        alpha: (T, K, B), summed weight of all beginnings that end with a tag; in some steps it is rescaled, so that its
            largest is 1.
        reached: (T, K, B), the same without the token's own emission, on the scale of the token before.
        complete: (K, B), `alpha` of each sentence's last token with the scores of ending there.
        factors: (K, K), exponentials of the transitions, the largest 1.
        log_scale: (B,), logarithm of what was taken from the weights of each sentence, in nats.
        lengths: (B,) int64, tokens of each sentence.
        lossless: () bool, whether no weight was too small for float64.
    """

    alpha: Tensor
    reached: Tensor
    complete: Tensor
    factors: Tensor
    log_scale: Tensor
    lengths: Tensor
    lossless: Tensor

    @classmethod
    def of(cls, chain: Chain) -> ScaledMessages:
        """The messages of a batch."""
        scores = [each.double() for each in (chain.start, chain.transitions, chain.end)]
        largest = [each.amax() for each in scores]
        scores = [each - most for each, most in zip(scores, largest, strict=True)]
        start, factors, end = (each.exp() for each in scores)
        onward = factors.t().contiguous()
        emitted = (chain.emissions.double() / LN_2).exp2_()
        alpha, reached = torch.empty_like(emitted), torch.empty_like(emitted)
        scale = emitted.new_ones(len(emitted), emitted.shape[2])
        reached[0] = start.unsqueeze(1)
        weights, here, after = emitted.unbind(), reached.unbind(), alpha.unbind()
        for step in range(len(emitted)):
            if step:
                torch.mm(onward, after[step - 1], out=here[step])
            torch.mul(here[step], weights[step], out=after[step])
            if step % RESCALE_EVERY == 0:
                after[step].div_(torch.amax(after[step], 0, out=scale[step]).clamp_(min=SMALLEST))
        steps = chain.lengths.clamp(min=1) - 1
        log_scale = without_padding(scale.log(), chain.lengths).sum(0) + largest[0] + steps * largest[1] + largest[2]
        return cls(
            alpha=alpha,
            reached=reached,
            complete=chain.at_last(alpha) * end.unsqueeze(1),
            factors=factors,
            log_scale=log_scale,
            lengths=chain.lengths,
            lossless=_are_lossless(chain.emissions, torch.cat([each.flatten() for each in scores]), alpha),
        )

    def log_partition(self) -> Tensor:
        """As `LogMessages.log_partition`."""
        return (self.log_scale + self.complete.sum(0).log()).masked_fill(self.lengths == 0, 0.0)

    def final_tags(self) -> Tensor:
        """As `LogMessages.final_tags`."""
        return (self.complete / self.complete.sum(0).clamp(min=SMALLEST)).masked_fill(self.lengths == 0, 0.0)

    def expected(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """As `LogMessages.expected`."""
        reached = self.reached.clamp(min=SMALLEST)
        # a tag's probability by the weight that reaches it; what it adds to those of the tags before is linear in that
        shares = at_last(self.final_tags() * weight, like=self.alpha, lengths=self.lengths).div_(reached)
        share, emitted = shares.unbind(), (self.alpha / reached).unbind()
        moved = torch.empty_like(shares[0])
        for step in range(len(share) - 1, 0, -1):
            torch.mm(self.factors, share[step], out=moved)
            share[step - 1].addcmul_(emitted[step - 1], moved)
        moves = self.factors * (self.alpha[:-1] @ shares[1:].mT).sum(0)
        return shares.mul_(reached), moves


SMALLEST = torch.finfo(torch.float64).tiny
FAR_APART = 200 * LN_2
"""Nats by which scores of one token may differ for `ScaledMessages`.

A weight of 2 to the power of -400, times a transition's and an emission's of -200 each, is still a number of float64.
"""


def _are_lossless(emissions: Tensor, scores: Tensor, alpha: Tensor) -> Tensor:
    """() bool, whether all that is not forbidden had a weight, and a sum of such weights had all its digits."""
    emissions_fit = emissions.nan_to_num(neginf=0.0).amin((0, 1)) >= -FAR_APART
    weights_fit = alpha.reciprocal().nan_to_num_(posinf=0.0).amax((0, 1)) <= 2.0**400
    return (emissions_fit & weights_fit).all() & (scores.nan_to_num(neginf=0.0).amin() >= -FAR_APART)


def messages_of(chain: Chain) -> LogMessages | ScaledMessages:
    """The quicker messages where they are right; waits for the chain's device once."""
    with torch.no_grad():
        scaled = ScaledMessages.of(chain)
        return scaled if scaled.lossless else LogMessages.of(chain)


def log_partition(chain: Chain) -> Tensor:
    """Logarithm of the summed exponentials of all tag sequences' scores.

    Returns:
        (B,) float64, nats, without the chain's offset; 0 for an empty sentence, minus infinity where no sequence is
        possible. Its gradient with respect to a score is the number of times that the score is expected to count.
    """
    result: Tensor = _LogPartition.apply(chain.emissions, chain.transitions, chain.start, chain.end, chain)  # type: ignore[no-untyped-call]
    return result


class _LogPartition(torch.autograd.Function):
    """`log_partition`, without a record of each step for autograd: the messages know the gradient."""

    @staticmethod
    def forward(ctx: Any, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, chain: Chain) -> Tensor:
        """(B,) float64; the first arguments are what the chain has with a gradient."""
        messages = messages_of(chain)
        ctx.form, ctx.dtype = type(messages), emissions.dtype
        ctx.save_for_backward(*messages)
        return messages.log_partition()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients of the five arguments."""
        messages = ctx.form(*ctx.saved_tensors)
        expected, moves = messages.expected(gradient)
        last = messages.final_tags() @ gradient
        return *(each.to(ctx.dtype) for each in (expected, moves, expected[0].sum(1), last)), None


def log2_sum(scores: Tensor) -> Tensor:
    """Logarithm of the sum over the first axis, of logarithms; minus infinity, without gradient, for a sum of 0."""
    largest = scores.detach().amax(0)
    # The largest contributes 1 to the sum, unless there is nothing to sum; its logarithm has no gradient then.
    return (scores - finite(largest)).exp2_().sum(0).clamp(min=1.0).log2() + largest


def finite(logarithms: Tensor) -> Tensor:
    """Minus infinity replaced by the lowest number, because minus infinity less itself is no number."""
    return logarithms.clamp(min=torch.finfo(logarithms.dtype).min)


def without_padding(values: Tensor, lengths: Tensor) -> Tensor:
    """Values (T, B), 0 on padding."""
    steps = torch.arange(len(values), device=lengths.device).unsqueeze(1)
    return values.masked_fill(steps >= lengths, 0.0)


def at_last(values: Tensor, *, like: Tensor, lengths: Tensor) -> Tensor:
    """(T, K, B) of 0, except for values (K, B) at each sentence's last token; `like` is such a tensor."""
    last = (lengths - 1).clamp(min=0).expand_as(like[:1])
    return torch.zeros_like(like).scatter_(0, last, values.unsqueeze(0))
