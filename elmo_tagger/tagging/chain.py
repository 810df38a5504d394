"""A batch of linear chains: the scores that every CRF algorithm here works on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Scores of all tag sequences of a batch, time first, because the algorithms walk along time.

    The score of a sequence is `start[y0]`, plus `emissions[t, b, yt]` and `transitions[yt, yt+1]` along it, plus
    `end[ylast]`, plus `offset`. What is forbidden scores minus infinity, a real one: no sum of finite emissions
    can win it back.

    Attributes:
        emissions: (T, B, K), at most 0, the largest of each token 0; 0 on padding.
        transitions: (K, K), from a tag to the next.
        start: (K,)
        end: (K,)
        lengths: (B,) int64, tokens of each sentence; the real tokens come first.
        full: Whether there is no padding; saves work on masks.
        largest: (T, B), what was taken from the emissions to make their largest 0.
    """

    emissions: Tensor
    transitions: Tensor
    start: Tensor
    end: Tensor
    lengths: Tensor
    full: bool
    largest: Tensor

    @property
    def real(self) -> Tensor:
        """(T, B) bool, true on real tokens."""
        steps = torch.arange(self.emissions.shape[0], device=self.lengths.device)
        return steps.unsqueeze(1) < self.lengths

    @property
    def offset(self) -> Tensor:
        """(B,) float64, the part of every sequence's score that the emissions lost."""
        return self.without_padding(self.largest).sum(0, dtype=torch.float64)

    @property
    def last(self) -> Tensor:
        """(B,) int64, position of each sentence's last token; 0 for an empty sentence."""
        return (self.lengths - 1).clamp(min=0)

    def without_padding(self, values: Tensor) -> Tensor:
        """Values (T, B) or (T, B, K), 0 on padding."""
        if self.full:
            return values
        return values.masked_fill(~(self.real if values.dim() == 2 else self.real.unsqueeze(2)), 0.0)

    def at_last(self, values: Tensor) -> Tensor:
        """Values (T, B) or (T, B, K) at each sentence's last token, (B,) or (B, K)."""
        if self.full:
            return values[-1]
        index = self.last.unsqueeze(0)
        return values.gather(0, index if values.dim() == 2 else index.unsqueeze(2).expand_as(values[:1])).squeeze(0)

    def path_score(self, path: Tensor) -> Tensor:
        """Score of one tag sequence a sentence, without `offset`; 0 for an empty sentence.

        Args:
            path: (T, B) int64, ids below K everywhere, on padding too.

        Returns:
            (B,) float64: a sum over 5,000 tokens keeps its digits.
        """
        size = self.transitions.shape[0]
        emitted = self.emissions.gather(2, path.unsqueeze(2)).squeeze(2)
        steps = torch.add(path[1:], path[:-1], alpha=size).flatten()
        moved = self.transitions.flatten().index_select(0, steps).view_as(path[1:])
        first = self.start.index_select(0, path[0]).unsqueeze(0)
        # Added in float64: against an emission of 1e4, a transition would lose its digits.
        per_token = self.without_padding(emitted.double() + torch.cat([first, moved])).sum(0)
        final = self.end.index_select(0, self.at_last(path))
        return per_token + (final if self.full else final.masked_fill(self.lengths == 0, 0.0))

    def restricted(self, allowed: Tensor) -> Chain:
        """The same chain where each token has only some tags.

        Args:
            allowed: (T, B, K) bool, at least one true for each token, padding included.
        """
        emissions = self.emissions.masked_fill(~allowed, -torch.inf)
        largest = _largest(emissions)
        return replace(self, emissions=emissions - largest, largest=self.largest + largest.squeeze(2))

    def double(self) -> Chain:
        """The same in float64."""
        scores = (self.emissions, self.transitions, self.start, self.end, self.largest)
        emissions, transitions, start, end, largest = (each.double() for each in scores)
        return replace(self, emissions=emissions, transitions=transitions, start=start, end=end, largest=largest)

    def rows(self, index: Tensor) -> Chain:
        """The chain of some sentences only.

        Args:
            index: (any number,) int64, positions in the batch.
        """
        return replace(
            self,
            emissions=self.emissions.index_select(1, index),
            lengths=self.lengths.index_select(0, index),
            largest=self.largest.index_select(1, index),
        )

    @classmethod
    def build(
        cls, *, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor, full: bool = False
    ) -> Chain:
        """A chain from raw emissions.

        Args:
            emissions: (T, B, K), finite on real tokens.
            transitions: (K, K)
            start: (K,)
            end: (K,)
            lengths: (B,) int64.
            full: Whether every sentence is known to have T tokens.
        """
        if not full:
            real = torch.arange(len(emissions), device=lengths.device).unsqueeze(1) < lengths
            emissions = emissions.masked_fill(~real.unsqueeze(2), 0.0)
        largest = _largest(emissions)
        return cls(
            emissions=emissions - largest,
            transitions=transitions,
            start=start,
            end=end,
            lengths=lengths,
            full=full,
            largest=largest.squeeze(2),
        )


def _largest(emissions: Tensor) -> Tensor:
    """(T, B, 1), without gradient: the shift cancels out of every likelihood, so it must not carry one either."""
    return emissions.detach().amax(2, keepdim=True)
