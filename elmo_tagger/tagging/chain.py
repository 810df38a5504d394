"""A batch of linear chains: the scores that every CRF algorithm here works on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Scores of all tag sequences of a batch, time first, because the algorithms walk along time.

    The score of a sequence is `start[y0]`, plus `emissions[t, b, yt]` and `transitions[yt, yt+1]` along it, plus
    `end[ylast]`, plus `offset[b]`. What is forbidden scores minus infinity, a real one: no sum of finite emissions
    can win it back.

    Attributes:
        emissions: (T, B, K), at most 0, the largest of each token 0; 0 on padding.
        transitions: (K, K), from a tag to the next.
        start: (K,)
        end: (K,)
        lengths: (B,) int64, tokens of each sentence; the real tokens come first.
        offset: (B,) float64, what was taken from the emissions to make their largest 0.
    """

    emissions: Tensor
    transitions: Tensor
    start: Tensor
    end: Tensor
    lengths: Tensor
    offset: Tensor

    @property
    def real(self) -> Tensor:
        """(T, B) bool, true on real tokens."""
        steps = torch.arange(self.emissions.shape[0], device=self.lengths.device)
        return steps.unsqueeze(1) < self.lengths

    @property
    def last(self) -> Tensor:
        """(B,) int64, position of each sentence's last token; 0 for an empty sentence."""
        return (self.lengths - 1).clamp(min=0)

    def path_score(self, path: Tensor) -> Tensor:
        """Score of one tag sequence a sentence, without `offset`; 0 for an empty sentence.

        Args:
            path: (T, B) int64, ids below K everywhere, on padding too.

        Returns:
            (B,) float64: a sum over 5,000 tokens keeps its digits.
        """
        size = self.transitions.shape[0]
        real = self.real
        emitted = self.emissions.gather(2, path.unsqueeze(2)).squeeze(2).masked_fill(~real, 0.0)
        steps = (path[:-1] * size + path[1:]).flatten()
        moved = self.transitions.flatten().index_select(0, steps).view_as(path[1:]).masked_fill(~real[1:], 0.0)
        final = path.gather(0, self.last.unsqueeze(0)).squeeze(0)
        ends = (self.start[path[0]] + self.end[final]).masked_fill(self.lengths == 0, 0.0)
        return emitted.sum(0, dtype=torch.float64) + moved.sum(0, dtype=torch.float64) + ends

    def restricted(self, allowed: Tensor) -> Chain:
        """The same chain where each token has only some tags.

        Args:
            allowed: (T, B, K) bool, at least one true for each token, padding included.
        """
        emissions = self.emissions.masked_fill(~allowed, -torch.inf)
        return self._shifted(emissions)

    def _shifted(self, emissions: Tensor) -> Chain:
        # Detached: the shift cancels out of every likelihood, so it must not carry gradients either.
        largest = emissions.detach().amax(2)
        offset = self.offset + largest.masked_fill(~self.real, 0.0).sum(0, dtype=torch.float64)
        return replace(self, emissions=emissions - largest.unsqueeze(2), offset=offset)

    def rows(self, index: Tensor) -> Chain:
        """The chain of some sentences only.

        Args:
            index: (any number,) int64, positions in the batch.
        """
        return replace(
            self,
            emissions=self.emissions.index_select(1, index),
            lengths=self.lengths.index_select(0, index),
            offset=self.offset.index_select(0, index),
        )

    @classmethod
    def build(cls, *, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, lengths: Tensor) -> Chain:
        """A chain from raw emissions.

        Args:
            emissions: (T, B, K), finite on real tokens.
            transitions: (K, K)
            start: (K,)
            end: (K,)
            lengths: (B,) int64.
        """
        raw = cls(
            emissions=emissions,
            transitions=transitions,
            start=start,
            end=end,
            lengths=lengths,
            offset=torch.zeros(lengths.shape, dtype=torch.float64, device=lengths.device),
        )
        return raw._shifted(emissions.masked_fill(~raw.real.unsqueeze(2), 0.0))
