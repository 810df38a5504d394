"""Perplexity of the two directions, from sums of losses."""

from __future__ import annotations

import math
from dataclasses import dataclass

DIRECTIONS = ("forward", "backward")
_LARGEST = 1e300  # an untrained model's, where exp would overflow


@dataclass
class Perplexity:
    """Adds up losses.

    Attributes:
        forward: Nats of the forward direction.
        backward: Nats of the backward direction.
        words: Words predicted, of each direction, ends of sentences included.
    """

    forward: float = 0.0
    backward: float = 0.0
    words: int = 0

    def add(self, forward: float, backward: float, words: int) -> None:
        """Count a batch."""
        self.forward += forward
        self.backward += backward
        self.words += words

    def scores(self) -> dict[str, float]:
        """`perplexity`, of both directions' mean loss (bilm-tf's), and that of each direction; 0 before any word."""
        sums = {"perplexity": (self.forward + self.backward) / 2.0}
        sums |= {f"{name}_perplexity": getattr(self, name) for name in DIRECTIONS}
        return {name: _exp(nats / self.words) if self.words else 0.0 for name, nats in sums.items()}


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < math.log(_LARGEST) else _LARGEST
