"""Tensors from the host to where a model computes, without waiting for it."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; from the CPU to CUDA through pinned memory, so that what the device still does goes on."""
    # where CUDA is PyTorch's default device, what was meant for the CPU may be there already
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    # PyTorch's allocator of pinned memory gives none away again before the copy is done
    return tensor.pin_memory().to(device, non_blocking=True)
