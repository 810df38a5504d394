"""Which of several ways to compute the same is taken.

The reference is the one that can be read: operations that autograd knows, any device, any type. The others are faster
where they apply, and are tested against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

_REFERENCE_ONLY = ContextVar("reference_only", default=False)
_RECORDED_ON = {"cuda"}  # what can be recorded runs anywhere, but only gains there


@contextmanager
def reference_only() -> Iterator[None]:
    """Within, the biLM is computed by its reference, however slow."""
    token = _REFERENCE_ONLY.set(True)
    try:
        yield
    finally:
        _REFERENCE_ONLY.reset(token)


def is_frozen(module: nn.Module, inputs: Tensor) -> bool:
    """Whether a module may take the path of frozen weights: on a CPU, and no gradients are recorded."""
    if _REFERENCE_ONLY.get() or inputs.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return False
    return not records_gradients(module, inputs)


def is_recorded(module: nn.Module, inputs: Tensor) -> bool:
    """Whether a module may take the path of frozen weights for CUDA (not ROCm, which also says "cuda")."""
    device = inputs.device.type
    if _REFERENCE_ONLY.get() or device not in _RECORDED_ON or torch.version.hip or torch.is_autocast_enabled(device):
        return False
    return not records_gradients(module, inputs)


def records_gradients(module: nn.Module, inputs: Tensor) -> bool:
    """Whether what a module makes of inputs will have gradients."""
    if not torch.is_grad_enabled():
        return False
    return inputs.requires_grad or any(parameter.requires_grad for parameter in module.parameters())


def has_own_backward(module: nn.Module, inputs: Tensor) -> bool:
    """Whether the LSTM may take its own backward."""
    return not _REFERENCE_ONLY.get() and records_gradients(module, inputs)
