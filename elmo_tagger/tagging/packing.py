"""Sentences packed to the front and turned time first, and results brought back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from elmo_tagger.tagging.checks import CrfInputError
from elmo_tagger.tagging.devices import on_host

PADDING_TAG = -1
"""Fills decoded paths where there is no token, and paths that do not exist."""


@dataclass(frozen=True, kw_only=True)
class Packing:
    """Where a batch's real tokens are.

    Attributes:
        mask: (B, T) bool.
        lengths: (B,) int64, real tokens.
        order: (B, T) int64, positions of the real tokens first, then of the others; None where they are in front.
        full: Whether nothing is known to be masked.
        gaps: () bool on a device, whether `order` is missing although it is needed; None where that is known.
    """

    mask: Tensor
    lengths: Tensor
    order: Tensor | None
    full: bool
    gaps: Tensor | None = None

    @classmethod
    def of(cls, mask: Tensor, *, careful: bool = True, full: bool = False) -> Packing:
        """The packing of a mask.

        Args:
            mask: (B, T) bool.
            careful: Whether to look for gaps; else masks on a device are taken to have none, see `gaps`.
            full: Whether the mask is known to be true everywhere.
        """
        looks = careful or on_host(mask)
        if mask.numel() and (full or (looks and _any_or_all(mask, every=True))):
            lengths = torch.full(mask.shape[:1], mask.shape[1], dtype=torch.int64, device=mask.device)
            return cls(mask=mask, lengths=lengths, order=None, full=True)
        if looks:
            gaps = mask[:, 1:] & ~mask[:, :-1]
            order = (~mask).byte().argsort(dim=1, stable=True) if _any_or_all(gaps) else None
            return cls(mask=mask, lengths=mask.sum(1), order=order, full=False)
        gaps = (mask[:, 1:] & ~mask[:, :-1]).any()
        return cls(mask=mask, lengths=mask.sum(1), order=None, full=False, gaps=gaps)

    def pack(self, values: Tensor) -> Tensor:
        """(B, T, ...) to (T, B, ...), real tokens first; one padding token where T is 0. Float16s become float32."""
        if values.is_floating_point():
            values = values.to(torch.promote_types(values.dtype, torch.float32))
        if self.order is not None:
            index = self.order.view(*self.order.shape, *[1] * (values.dim() - 2)).expand_as(values)
            values = values.gather(1, index)
        values = values.transpose(0, 1).contiguous()
        return values if len(values) else values.new_zeros(1, *values.shape[1:])

    def unpack(self, values: Tensor, fill: float) -> Tensor:
        """(T, B, ...) to (B, T, ...), tokens at their places, `fill` where masked."""
        values = values.transpose(0, 1)[:, : self.mask.shape[1]]
        if self.full:
            return values.contiguous()
        if self.order is not None:
            index = self.order.view(*self.order.shape, *[1] * (values.dim() - 2)).expand_as(values)
            values = torch.empty_like(values).scatter_(1, index, values)
        return values.masked_fill(~self.mask.view(*self.mask.shape, *[1] * (values.dim() - 2)), fill)

    def locate(self, queries: Tensor) -> Tensor:
        """Queries (S, 4) with spans counted in real tokens.

        Raises:
            CrfInputError: A query is empty, leaves its sentence, or begins or ends on a masked token.
        """
        sentence, start, end, _ = queries.unbind(1)
        size, steps = self.mask.shape
        inside = (sentence >= 0) & (sentence < size) & (start >= 0) & (start < end) & (end <= steps)
        row, first, last = (torch.where(inside, each, 0) for each in (sentence, start, end - 1))
        bad = ~(inside & self.mask[row, first] & self.mask[row, last]) if size and steps else ~inside
        if bad.any():
            wrong = queries[int(bad.nonzero()[0])].tolist()
            raise CrfInputError(
                f"sentence {wrong[0]} of the batch: tokens {wrong[1]} to {wrong[2]} (exclusive) are no span of real "
                f"tokens in a batch of {size} sentences by {steps} tokens"
            )
        seen = self.mask.long().cumsum(1)
        return (
            torch.stack([sentence, seen[row, first] - 1, seen[row, last], queries[:, 3]], 1)
            if len(queries)
            else queries
        )


def _any_or_all(flags: Tensor, *, every: bool = False) -> bool:
    """Whether one of the flags is true, or every one; NumPy looks at the host's memory without a detour."""
    seen = flags.numpy() if flags.device.type == "cpu" else flags
    return bool(seen.all() if every else seen.any())
