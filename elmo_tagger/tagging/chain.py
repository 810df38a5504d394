"""A batch of sentences as linear chains: the form in which every algorithm of the CRF takes its scores.

Sentences are packed: their real tokens come first, whatever gaps the mask has. Time is the first axis, because the
algorithms walk along it, and sentences are the last one, so that a step is arithmetic on whole rows of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elmo_tagger.tagging.checks import CrfInputError

PADDING_TAG = -1
"""Fills decoded paths where there is no token, and paths that do not exist."""


@dataclass(frozen=True, kw_only=True)
class Packing:
    """Where the tokens of a batch go: real ones to the front of their sentence.

    Attributes:
        mask: (B, T) bool.
        lengths: (B,) int64, number of real tokens.
        rows: (B * T,) int64, for each token its row in the packed batch, which is T * B for a masked one.
        tokens: (T * B,) int64, for each row its token in the batch, which is B * T for padding. A batch without any
            token has one step of padding.
    """

    mask: Tensor
    lengths: Tensor
    rows: Tensor
    tokens: Tensor

    @classmethod
    def of(cls, mask: Tensor) -> Packing:
        """The packing of a mask (B, T) bool."""
        size, steps = mask.shape
        packed = max(steps, 1) * size
        sentence = torch.arange(size, device=mask.device).unsqueeze(1)
        rows = torch.where(mask, (mask.cumsum(1) - 1) * size + sentence, packed).flatten()
        tokens = rows.new_full((packed + 1,), size * steps)
        tokens.scatter_(0, rows, torch.arange(size * steps, device=mask.device))
        return cls(mask=mask, lengths=mask.sum(1), rows=rows, tokens=tokens[:-1])

    def pack(self, values: Tensor, fill: float) -> Tensor:
        """(B, T, ...) to (T, B, ...), `fill` on padding."""
        size, steps = self.mask.shape
        return _rows(values, self.tokens, fill).view(max(steps, 1), size, *values.shape[2:])

    def unpack(self, values: Tensor, fill: float) -> Tensor:
        """(T, B, ...) to (B, T, ...), `fill` where masked."""
        return _rows(values, self.rows, fill).view(*self.mask.shape, *values.shape[2:])

    def locate(self, queries: Tensor) -> Tensor:
        """Spans (S, 4) - sentence, first token, end (exclusive), type - with positions counted in real tokens.

        Raises:
            CrfInputError: A span is empty, leaves its sentence, or begins or ends on a masked token.
        """
        sentence, start, end, kind = queries.unbind(1)
        size, steps = self.mask.shape
        inside = (sentence >= 0) & (sentence < size) & (start >= 0) & (start < end) & (end <= steps)
        row, first, last = (each * inside for each in (sentence, start, end - 1))
        if self.mask.numel():
            inside = inside & self.mask[row, first] & self.mask[row, last]
        if not inside.all():
            wrong = queries[int((~inside).nonzero()[0])].tolist()
            raise CrfInputError(
                f"sentence {wrong[0]} of the batch: tokens {wrong[1]} to {wrong[2]} (exclusive) are no span of real "
                f"tokens in a batch of {size} sentences by {steps} tokens"
            )
        if not len(queries):
            return queries
        counted = self.mask.cumsum(1)
        return torch.stack([sentence, counted[row, first] - 1, counted[row, last], kind], 1)


def _rows(values: Tensor, index: Tensor, fill: float) -> Tensor:
    """Rows of values whose first two axes count them; the one after the last row is `fill`."""
    values = values.flatten(0, 1)
    return torch.cat([values, values.new_full((1, *values.shape[1:]), fill)]).index_select(0, index)


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The scores of all tag sequences of a batch.

    The score of a sequence y is `start[y0]`, plus `emissions[t, yt, b]` and `transitions[yt, yt+1]` along it, plus
    `end[ylast]`, plus `offset`. What is forbidden scores minus infinity, a real one: no sum of finite emissions can
    win it back.

    Attributes:
        emissions: (T, K, B), at most 0, the largest of each token 0; 0 on padding.
        transitions: (K, K), from a tag to the next.
        start: (K,), of a first tag.
        end: (K,), of a last tag.
        lengths: (B,) int64, tokens of each sentence.
        offset: (B,) float64, what was taken from all sequences' scores to make the largest emissions 0.
        valid: () bool, whether every emission and parameter is a number that may be computed with.
    """

    emissions: Tensor
    transitions: Tensor
    start: Tensor
    end: Tensor
    lengths: Tensor
    offset: Tensor
    valid: Tensor

    @classmethod
    def build(
        cls, *, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor, valid: Tensor
    ) -> Chain:
        """A chain from packed emissions (T, B, K), 0 on padding; the other arguments are the attributes."""
        emissions, offset = _shifted(emissions.transpose(1, 2).contiguous())
        transitions, start, end = (each.to(emissions.dtype) for each in (transitions, start, end))
        return cls(
            emissions=emissions,
            transitions=transitions,
            start=start,
            end=end,
            lengths=lengths,
            offset=offset,
            valid=valid,
        )

    def restricted(self, allowed: Tensor) -> Chain:
        """The same chain where each token has only some tags: (T, B, K) bool, true on padding."""
        emissions, offset = _shifted(self.emissions.masked_fill(~allowed.transpose(1, 2), -torch.inf))
        return replace(self, emissions=emissions, offset=self.offset + offset)

    def scaled(self, factor: Tensor | float) -> Chain:
        """The same chain with all scores multiplied by a positive number."""
        names = ("emissions", "transitions", "start", "end", "offset")
        return replace(self, **{name: getattr(self, name) * factor for name in names})

    @property
    def real(self) -> Tensor:
        """(T, B) bool, true on real tokens."""
        return torch.arange(len(self.emissions), device=self.lengths.device).unsqueeze(1) < self.lengths

    @property
    def last(self) -> Tensor:
        """(B,) int64, position of each sentence's last token; 0 for an empty sentence."""
        return (self.lengths - 1).clamp(min=0)

    def at_last(self, values: Tensor) -> Tensor:
        """Values (T, ..., B) at each sentence's last token, (..., B)."""
        return values.gather(0, self.last.expand_as(values[:1])).squeeze(0)

    def path_score(self, path: Tensor) -> Tensor:
        """The score of one tag sequence a sentence, without `offset`.

        Args:
            path: (T, B) int64, ids below K everywhere, on padding too.

        Returns:
            (B,) float64, because a sum over 5,000 tokens should keep its digits; 0 for an empty sentence.
        """
        emitted = self.emissions.gather(1, path.unsqueeze(1)).squeeze(1)
        steps = (path[:-1] * len(self.start) + path[1:]).flatten()
        moved = self.transitions.flatten().index_select(0, steps).view_as(path[1:])
        first = self.start.index_select(0, path[0]).unsqueeze(0)
        # Added in float64: beside an emission of 1e4, a transition would lose its digits.
        per_token = (emitted.double() + torch.cat([first, moved])).masked_fill(~self.real, 0.0)
        final = self.end.index_select(0, self.at_last(path))
        return per_token.sum(0) + final.masked_fill(self.lengths == 0, 0.0)


def _shifted(emissions: Tensor) -> tuple[Tensor, Tensor]:
    """Emissions (T, K, B) with each token's largest at 0; and the sum of what was taken, (B,) float64.

    The shift cancels out of every probability, so it has no gradient.
    """
    largest = emissions.detach().amax(1, keepdim=True)
    return emissions - largest, largest.sum((0, 1), dtype=torch.float64)
