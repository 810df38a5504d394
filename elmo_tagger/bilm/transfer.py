"""Tensors from the host to where a model computes, without waiting for it."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on a device; for CUDA through pinned memory, so that what the device still does goes on."""
    if device.type != "cuda":
        return tensor.to(device)
    # PyTorch's allocator of pinned memory gives none away again before the copy is done
    return tensor.pin_memory().to(device, non_blocking=True)
