"""The best tag sequence of each sentence of a batch of chains.

One pass forward, on the chain's device, finds how good a sequence up to each token and tag can be; one walk back, on
the host, finds how. The walk is short work for NumPy; on a GPU it would be thousands of tiny kernels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from elmo_tagger.tagging.chain import Chain

RESCALE_EVERY = 16  # steps; keeps running scores near 0, where float32 is dense

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Trellis:
    """What the walk back needs, in the host's memory.

    Attributes:
        scores: (T, B, K), score of the best sequence up to each token and tag, up to a constant for each token;
            without meaning on padding.
        incoming: (K, K), score of a transition to a tag, first axis, from another.
        end: (K,), score of a last tag.
        lengths: (B,) int64, tokens of each sentence.
    """

    scores: Array
    incoming: Array
    end: Array
    lengths: Array

    @classmethod
    def of(cls, chain: Chain) -> Trellis:
        """The trellis of a batch; waits for the chain's device once."""
        with torch.no_grad():
            parts = (running_scores(chain).transpose(1, 2), chain.transitions.t(), chain.end, chain.lengths)
            scores, incoming, end, lengths = (part.contiguous().cpu().numpy() for part in parts)
        return cls(scores=scores, incoming=incoming, end=end, lengths=lengths)

    @property
    def last(self) -> Array:
        """(B,) int64, position of each sentence's last token; 0 for an empty sentence."""
        last: Array = np.maximum(self.lengths - 1, 0)
        return last

    def best_paths(self) -> Array:
        """(T, B) int64, the best sequence's tags; ids without meaning on padding and where none is possible.

        Ties go to the lowest tag id, looked at from the last token backwards.
        """
        sentences = np.arange(self.scores.shape[1])
        final = (self.scores[self.last, sentences] + self.end).argmax(1)
        return self.walk_back(final, self.last)

    def walk_back(self, final: Array, last: Array) -> Array:
        """(T, B) int64, the best way to a tag `final` (B,) at a token `last` (B,); after it, `final` again."""
        path = np.empty(self.scores.shape[:2], dtype=np.int64)
        path[-1] = tag = final
        for step in range(len(path) - 2, -1, -1):
            tag = (self.incoming.take(tag, 0) + self.scores[step]).argmax(1)
            path[step] = tag = np.where(step < last, tag, final)
        return path


def best_paths(chain: Chain) -> Tensor:
    """(T, B) int64, `Trellis.best_paths` on the chain's device."""
    return torch.from_numpy(Trellis.of(chain).best_paths()).to(chain.lengths.device)


def running_scores(chain: Chain) -> Tensor:
    """(T, K, B), score of the best sequence up to each token and tag, up to a constant for each token.

    Source: Viterbi 1967.
    """
    scores = torch.empty_like(chain.emissions)
    emissions, score, before = chain.emissions.unbind(), scores.unbind(), scores.unsqueeze(2).unbind()
    transitions = chain.transitions.unsqueeze(2)
    table = scores.new_empty(*transitions.shape[:2], scores.shape[2])  # one for all steps
    torch.add(chain.start.unsqueeze(1), emissions[0], out=score[0])
    for step in range(1, len(score)):
        torch.add(before[step - 1], transitions, out=table)
        torch.amax(table, 0, out=score[step]).add_(emissions[step])
        if step % RESCALE_EVERY == 0:
            score[step].sub_(score[step].amax(0).clamp_(min=torch.finfo(scores.dtype).min))
    return scores
