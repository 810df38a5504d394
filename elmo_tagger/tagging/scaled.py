"""Forward-backward with plain probabilities, rescaled on the way: fast, and it knows when it must not be trusted.

Both directions advance in one loop: the backward pass over a sentence is the forward pass over the reversed sentence
with transposed transitions, so a step is one batched matrix product for both. Nothing is recorded for autograd; the
gradient is written down in closed form.

Where a float32 probability underflows, mass is lost. What is lost weighs at most the smallest normal number, and what
it is compared with is known at the end (`_trusted`), so a sentence whose result could be touched is reported and
computed again in log space.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from elmo_tagger.tagging.chain import Chain
from elmo_tagger.tagging.devices import on_host

Array = npt.NDArray[Any]

SCALE_EVERY = 4  # steps; a trained model loses a few digits of range a step, and float32 has 38
ONE_THREAD = 1 << 18  # multiplications of a product up to which OpenBLAS, which NumPy calls, starts no thread
LOSS_FACTOR = 1e19
"""Kept mass must exceed the smallest normal number by this factor.

Lost mass is then below 1e-8 of it even with 200 tags, each of which may lose the smallest number and multiply what
comes of it by 200 in each of the three steps between rescalings: 200 to the power of 4, divided by 1e19.
"""


@dataclass(frozen=True, kw_only=True)
class ScaledMessages:
    """Result of the two passes.

    Attributes:
        alpha: (T, B, K), relative probability of each tag after the tokens up to it; without meaning on padding.
        beta: (T, B, K), relative likelihood of the rest of the sentence given each tag; likewise.
        gamma: (T, B, K), the same with the token's own emission; likewise.
        overlap: (T, B), sum of alpha times beta; 1 on padding.
        mass: (T, B), what alpha was divided by in each step; 1 on padding.
        factors: (K, K), exponentials of the transitions, the largest 1.
        trusted: (B,) bool, false where underflow may have cost digits.
    """

    alpha: Tensor
    beta: Tensor
    gamma: Tensor
    overlap: Tensor
    mass: Tensor
    factors: Tensor
    trusted: Tensor

    def growth(self, chain: Chain) -> Tensor:
        """(T, B) float64, logarithm of what alpha lost in each step, the shifts of start and transitions included."""
        growth = self.mass.log().double() + chain.transitions.max()
        growth[0] += chain.start.max() - chain.transitions.max()
        return growth


def scaled_messages(chain: Chain) -> ScaledMessages:
    """Both passes over a batch."""
    factors = (chain.transitions - chain.transitions.max()).exp()
    begin = torch.stack([chain.start, chain.end])
    begin = (begin - begin.amax(1, keepdim=True)).exp()
    reverse = _Reversal(chain)
    weights = chain.emissions.exp()
    # (T, 2, B, K): the second half of each step runs over the reversed sentences.
    weights = torch.stack([weights, reverse(weights)], 1)
    before, after, mass = _both_passes(weights, torch.stack([factors, factors.t()]), begin)
    alpha, gamma, beta = after[:, 0], reverse(after[:, 1]), reverse(before[:, 1])
    mass, mass_behind = mass[:, 0], reverse(mass[:, 1])
    overlap = (alpha * beta).sum(2)
    if not chain.full:
        padding = ~chain.real
        mass, mass_behind, overlap = (each.masked_fill(padding, 1.0) for each in (mass, mass_behind, overlap))
    trusted = _trusted(mass, mass_behind, overlap)
    return ScaledMessages(
        alpha=alpha, beta=beta, gamma=gamma, overlap=overlap, mass=mass, factors=factors, trusted=trusted
    )


class _Reversal:
    """Turns each sentence of (T, B, ...) values around in place and leaves padding alone."""

    def __init__(self, chain: Chain) -> None:
        self.rows: Tensor | None = None
        if not chain.full:
            steps, size = chain.emissions.shape[:2]
            step = torch.arange(steps, device=chain.lengths.device).unsqueeze(1)
            mirrored = torch.where(step < chain.lengths, chain.lengths - 1 - step, step)
            self.rows = (mirrored * size + torch.arange(size, device=chain.lengths.device)).flatten()

    def __call__(self, values: Tensor) -> Tensor:
        if self.rows is None:
            return values.flip(0)
        return values.flatten(0, 1).index_select(0, self.rows).view_as(values)


def _both_passes(weights: Tensor, factors: Tensor, begin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The time loop: two operations a step, and two more where it rescales.

    Args:
        weights: (T, 2, B, K), exponentials of the emissions.
        factors: (2, K, K), of the transitions.
        begin: (2, K), of what comes before the first step.

    Returns:
        (T, 2, B, K) before and after a step's emission; (T, 2, B), what the latter was divided by.
    """
    before, after = torch.empty_like(weights), torch.empty_like(weights)
    mass = weights.new_ones(weights.shape[:3])
    before[0] = begin.unsqueeze(1)
    _, _, size, tags = weights.shape
    if on_host(weights) and size * tags * tags <= ONE_THREAD:
        _advance_on_host(before.numpy(), after.numpy(), mass.numpy(), weights=weights.numpy(), factors=factors.numpy())
    else:
        _advance(before, after, mass, weights=weights, factors=factors)
    return before, after, mass


def _advance(before: Tensor, after: Tensor, mass: Tensor, *, weights: Tensor, factors: Tensor) -> None:
    """Fills `before` from its second step on, `after`, and `mass` where it is not 1."""
    exact_products = _products_are_exact()
    last = len(weights) - 1
    ahead = before.unbind()
    for step, (weight, scaled) in enumerate(zip(weights.unbind(), after.unbind(), strict=True)):
        torch.mul(ahead[step], weight, out=scaled)
        if step % SCALE_EVERY == 0:
            total = mass[step].unsqueeze(2)
            torch.sum(scaled, 2, keepdim=True, out=total)
            scaled.div_(total)
        if step == last:
            break
        if exact_products:
            torch.bmm(scaled, factors, out=ahead[step + 1])
        else:
            torch.sum(scaled.unsqueeze(3) * factors.unsqueeze(1), 2, out=ahead[step + 1])


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # `_trusted` sees what comes of it
def _advance_on_host(before: Array, after: Array, mass: Array, *, weights: Array, factors: Array) -> None:
    """As `_advance`, with NumPy on the same memory.

    Its calls are shorter, and its small products stay in one thread. PyTorch shares even the smallest out among
    threads, each of which the others wait for, and while another program has its core they wait for long.
    """
    sums = np.ones((weights.shape[3], 1), dtype=weights.dtype)
    last = len(weights) - 1
    for step, weight in enumerate(weights):
        scaled = after[step]
        np.multiply(before[step], weight, out=scaled)
        if step % SCALE_EVERY == 0:
            total = np.matmul(scaled, sums)
            mass[step] = total[:, :, 0]
            np.divide(scaled, total, out=scaled)
        if step < last:
            np.matmul(scaled, factors, out=before[step + 1])


def _product(left: Tensor, right: Tensor) -> Tensor:
    """The matrix product, in the operands' full precision."""
    if on_host(left) and left.numel() * right.shape[1] <= ONE_THREAD:
        return torch.from_numpy(np.matmul(left.numpy(), right.numpy()))
    with torch.autocast(left.device.type, enabled=False):
        return left @ right if _products_are_exact() else (left.double() @ right.double()).to(left.dtype)


def _products_are_exact() -> bool:
    """Whether a float32 matrix product is one: TF32 or bfloat16 inside would cost three digits a step."""
    return torch.get_float32_matmul_precision() == "highest"


def _trusted(mass: Tensor, mass_behind: Tensor, overlap: Tensor) -> Tensor:
    """Which sentences lost nothing that matters, (B,) bool; arguments (T, B), 1 on padding.

    In a step forward, entries below the smallest normal number `tiny` are lost, at most `tiny / mass` once rescaled;
    their part in the result is that over `overlap`, times beta, which rescaling keeps near 1 (see `LOSS_FACTOR`).
    Likewise backward and for a transition factor that underflows. NaN (no sequence at all) compares false.
    """
    limit = torch.finfo(mass.dtype).tiny * LOSS_FACTOR
    kept = (mass * overlap).amin(0) >= limit
    return kept & ((mass_behind[1:] * overlap[:-1]).amin(0) >= limit) if len(mass) > 1 else kept


class ScaledPartition(torch.autograd.Function):
    """Logarithm of the summed exponentials of all tag sequences' scores, without the chain's offset."""

    @staticmethod
    def forward(
        ctx: Any, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, chain: Chain
    ) -> tuple[Tensor, Tensor]:
        """(B,) float64, and (B,) bool that is false where the number must not be used.

        The first arguments are those of the chain that have gradients.
        """
        messages = scaled_messages(chain)
        trusted = messages.trusted if chain.full else messages.trusted | (chain.lengths == 0)
        shifts = start.max() + end.max() + chain.last * transitions.max()
        total = messages.mass.log().sum(0, dtype=torch.float64) + chain.at_last(messages.overlap).log() + shifts
        overlap = messages.overlap.unsqueeze(2)
        marginals = messages.alpha * messages.beta / overlap
        left = messages.alpha[:-1] / overlap[:-1]
        right = messages.gamma[1:]
        if not (chain.full and on_host(trusted) and trusted.all()):
            # masked_fill, not a product: padding and distrusted sentences may hold NaN.
            unused = ~(chain.real & trusted).unsqueeze(2)
            marginals, left, right = (
                marginals.masked_fill(unused, 0.0),
                left.masked_fill(unused[1:], 0.0),
                (right.masked_fill(unused[1:], 0.0)),
            )
        ctx.save_for_backward(marginals, left, right, messages.factors)
        ctx.chain = replace(chain, emissions=marginals, transitions=messages.factors)  # not the inputs, which may go
        ctx.mark_non_differentiable(trusted)
        return total if chain.full else total.masked_fill(chain.lengths == 0, 0.0), trusted

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
        """The gradient is the expected number of times that each score is used."""
        marginals, left, right, factors = ctx.saved_tensors
        weight = grad.to(marginals.dtype).unsqueeze(1)
        marginals = marginals * weight
        left, right = (left * weight).flatten(0, 1).t(), right.flatten(0, 1)
        moves = factors * _product(left, right)
        return marginals, moves, marginals[0].sum(0), ctx.chain.at_last(marginals).sum(0), None
