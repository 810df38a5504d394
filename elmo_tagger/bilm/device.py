"""The device that a model computes on: its name for people, and tensors on their way to it."""

from __future__ import annotations

import torch
from torch import Tensor


def device_name(device: torch.device) -> str:
    """The device as people know it, such as `cpu (2 threads)` or `cuda:0 (NVIDIA H200)`."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type != "cpu":
        return str(device)
    threads = torch.get_num_threads()
    return f"{device} ({threads} {'thread' if threads == 1 else 'threads'})"


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; from the CPU to CUDA through pinned memory, so that what the device still does goes on."""
    # where CUDA is PyTorch's default device, what was meant for the CPU may be there already
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    # PyTorch's allocator of pinned memory gives none away again before the copy is done
    return tensor.pin_memory().to(device, non_blocking=True)
