"""The one place that chooses who computes a biLM: the reference, or an implementation that is faster where it applies.

A new fast path is a folder with a subclass of `Reference`, and its name in `FAST_PATHS`. Before it is used it has to
agree with the reference on a few words, once in a process on each device; see `verification`. The environment variable
`ELMO_TAGGER_PATH` decides by hand: `reference` for the reference alone, `fast` for fast paths without that check.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

from torch import Tensor, nn

from elmo_tagger.bilm.backward.training import CpuTraining
from elmo_tagger.bilm.cpu.inference import CpuInference
from elmo_tagger.bilm.cpu.narrow_products import float16_maker
from elmo_tagger.bilm.cuda.inference import CudaInference
from elmo_tagger.bilm.reference import Parts, Reference, records_gradients
from elmo_tagger.bilm.verification import is_trusted
from elmo_tagger.errors import ElmoTaggerError

Implementation = type[Reference]

FAST_PATHS: tuple[Implementation, ...] = (CudaInference, CpuInference, CpuTraining)
"""The first that suits a device is taken, and the reference where none does."""

PATH_VARIABLE = "ELMO_TAGGER_PATH"
PATH_CHOICES = ("", "reference", "fast")

_allowed: ContextVar[tuple[Implementation, ...]] = ContextVar("allowed", default=FAST_PATHS)


@contextmanager
def using(*paths: Implementation) -> Iterator[None]:
    """Within, biLMs are computed by the first of these implementations that suits, or else by the reference."""
    token = _allowed.set(paths)
    try:
        yield
    finally:
        _allowed.reset(token)


def reference_only() -> AbstractContextManager[None]:
    """Within, biLMs are computed by the reference, however slow."""
    return using()


class Dispatch:
    """The implementations of one biLM, each made when it is first chosen.

    A copy of the biLM starts without what they have derived from its weights.

    Args:
        parts: What they compute with; its precision may be `auto` at first.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._wanted = parts.precision
        self.choose_precision()
        self._made: dict[Implementation, Reference] = {}

    def choose(self, module: nn.Module, inputs: Tensor) -> Reference:
        """The implementation for what a module of the biLM is to make of inputs.

        Raises:
            ElmoTaggerError: The environment variable `ELMO_TAGGER_PATH` names no path.
        """
        by_hand = os.environ.get(PATH_VARIABLE, "")
        if by_hand not in PATH_CHOICES:
            raise ElmoTaggerError(f"{PATH_VARIABLE}: expected reference or fast, received {by_hand!r}")
        if by_hand == "reference":
            return self._implementation(Reference)
        gradients = records_gradients(module, inputs)
        suitable = (path for path in _allowed.get() if path.suits(inputs.device, gradients=gradients))
        found = self._implementation(next(suitable, Reference))
        if by_hand == "fast" or type(found) is Reference or is_trusted(found, inputs.device, gradients=gradients):
            return found
        return self._implementation(Reference)

    def choose_precision(self) -> None:
        """Decide what `auto` is where the biLM is now: by what the device can do, and never by a clock."""
        if self._wanted == "auto":
            device = self.parts.char_cnn.char_embed.device.type
            fast = device == "cuda" or (device in ("cpu", "meta") and float16_maker() is not None)
            self.parts.precision = "float16" if fast else "float32"

    def _implementation(self, kind: Implementation) -> Reference:
        if kind not in self._made:
            self._made[kind] = kind(self.parts)
        return self._made[kind]

    def forget(self) -> None:
        """Let go of all that was derived from the weights, which may be leaving their device."""
        self._made.clear()
