"""How fast a predictor goes, in the log."""

import logging
import time
import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Iterator

import torch

from elmo_tagger.bilm.device_name import device_name

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 10.0


@dataclass
class _Total:
    """What was done so far, and what the log was told of it."""

    device: str
    tokens: int = 0
    seconds: float = 0.0
    told_tokens: int = 0
    told_at: float = 0.0

    def tell(self) -> None:
        """Write a line if there is news."""
        if self.tokens == self.told_tokens:
            return
        rate = self.tokens / max(self.seconds, 1e-9)
        logger.info("%d tokens in %.1f s: %.0f tokens/s on %s", self.tokens, self.seconds, rate, self.device)
        self.told_tokens, self.told_at = self.tokens, time.monotonic()


class Pace:
    """Counts tokens and seconds; logs a line every `SECONDS_BETWEEN_LINES` of work and one at the end of the process.

    Args:
        model: Its device is named.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
        self._total = _Total(device_name(device), told_at=time.monotonic())
        # nobody tells a predictor that the last input was read
        weakref.finalize(self, self._total.tell)

    @contextmanager
    def measure(self, tokens: int) -> Iterator[None]:
        """Within, so many tokens are tagged."""
        begin = time.monotonic()
        yield
        end = time.monotonic()
        self._total.tokens += tokens
        self._total.seconds += end - begin
        if end - self._total.told_at >= SECONDS_BETWEEN_LINES:
            self._total.tell()
