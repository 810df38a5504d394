"""The one place that chooses who computes a biLM: the reference, or an implementation that is faster where it applies.

A new fast path is a folder with a subclass of `Reference`, and its name in `FAST_PATHS`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

from torch import Tensor, nn

from elmo_tagger.bilm.backward.training import CpuTraining
from elmo_tagger.bilm.cpu.inference import CpuInference
from elmo_tagger.bilm.cuda.inference import CudaInference
from elmo_tagger.bilm.reference import Parts, Reference, records_gradients

Implementation = type[Reference]

FAST_PATHS: tuple[Implementation, ...] = (CudaInference, CpuInference, CpuTraining)
"""The first that suits a device is taken, and the reference where none does."""

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
        parts: What they compute with.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._made: dict[Implementation, Reference] = {}

    def choose(self, module: nn.Module, inputs: Tensor) -> Reference:
        """The implementation for what a module of the biLM is to make of inputs."""
        gradients = records_gradients(module, inputs)
        suitable = (path for path in _allowed.get() if path.suits(inputs.device, gradients=gradients))
        kind = next(suitable, Reference)
        if kind not in self._made:
            self._made[kind] = kind(self.parts)
        return self._made[kind]

    def forget(self) -> None:
        """Let go of all that was derived from the weights, which may be leaving their device."""
        self._made.clear()
