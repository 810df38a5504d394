"""The cross-entropy of a large softmax, with its gradients computed on the way.

Logits of all words of a batch would be larger than all the rest of a training step. They are computed some rows at a
time and used at once, for the loss and for the gradients; backward only scales the gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# Logits held at once: small enough for a CPU's cache, large enough for a GPU's many cores.
_VALUES = {"cpu": 2**20, "other": 2**27}


def linear_loss(
    hidden: Tensor, weight: Tensor, bias: Tensor, places: Tensor, target_logits: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of a softmax over candidates.

    Args:
        hidden: (N, P).
        weight: (n, P), of the candidates.
        bias: (n,); minus infinity for a candidate that is none.
        places: (N,) int64, where the word to predict is among the candidates; negative where it is not.
        target_logits: (N,), logits of the words to predict, which then count in place of their logits among the
            candidates. None to take those: all words must then be candidates.

    Returns:
        The sum of the losses, in nats, which has gradients; and the losses (N,), which have none.
    """
    if not torch.is_grad_enabled():
        losses = _Loss.compute(None, hidden, weight, bias, places, target_logits)
        return losses.sum(), losses
    apply: Any = _Loss.apply
    total, losses = apply(hidden, weight, bias, places, target_logits)
    return total, losses


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, places: Tensor, target_logits: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        gradients = [torch.zeros_like(each) for each in (hidden, weight, bias)]
        gradients.append(hidden.new_zeros(0) if target_logits is None else torch.zeros_like(target_logits))
        losses = _Loss.compute(gradients, hidden, weight, bias, places, target_logits)
        ctx.save_for_backward(*gradients)
        ctx.mark_non_differentiable(losses)
        return losses.sum(), losses

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, target = (gradient * grads[0] for gradient in ctx.saved_tensors)
        return hidden, weight, bias, None, target if len(target) else None

    @staticmethod
    def compute(
        gradients: list[Tensor] | None,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        places: Tensor,
        target_logits: Tensor | None,
    ) -> Tensor:
        """The losses (N,); `gradients`, of hidden, weight, bias and target_logits, are added to."""
        device = hidden.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
        rounded = weight.to(dtype)
        size = max(1, _VALUES.get(device, _VALUES["other"]) // max(1, len(weight)))
        losses = torch.empty(len(hidden), dtype=bias.dtype, device=hidden.device)
        with torch.autocast(device, enabled=False):
            for first in range(0, len(hidden), size):
                chunk = slice(first, first + size)
                own = hidden[chunk].to(dtype)
                logits = torch.mm(own, rounded.T).to(bias.dtype).add_(bias)
                given = None if target_logits is None else target_logits[chunk]
                losses[chunk], weights, total = _exponentiate_(logits, places[chunk], given)
                if gradients is not None:
                    # the gradient of the loss by the logits: probability, less 1 for the right word
                    slope = weights.div_(total.unsqueeze(1))
                    if given is None:
                        slope.scatter_add_(1, places[chunk].unsqueeze(1), -torch.ones_like(total).unsqueeze(1))
                    else:
                        gradients[3][chunk] = torch.expm1(-losses[chunk])
                    gradients[2].add_(slope.sum(0))
                    slope = slope.to(dtype)
                    gradients[0][chunk] = torch.mm(slope, rounded).to(hidden.dtype)
                    gradients[1].add_(torch.mm(slope.T, own))
        return losses


def _exponentiate_(logits: Tensor, places: Tensor, target_logits: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Losses (R,); the logits (R, n), overwritten by what is proportional to probability; and (R,) its sum."""
    if target_logits is None:
        right = logits.gather(1, places.unsqueeze(1)).squeeze(1)
        peak = logits.amax(1)
    else:
        # a sample that is the word to predict must not count as a wrong one
        at = places.clamp(min=0).unsqueeze(1)
        hit = (places >= 0).unsqueeze(1)
        logits.scatter_(1, at, logits.gather(1, at).masked_fill(hit, -torch.inf))
        right = target_logits.to(logits.dtype)
        peak = torch.maximum(logits.amax(1), right)
    weights = logits.sub_(peak.unsqueeze(1)).exp_()
    total = weights.sum(1)
    if target_logits is not None:
        total += torch.exp(right - peak)
    return total.log() + (peak - right), weights, total
