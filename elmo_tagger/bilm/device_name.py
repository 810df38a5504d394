"""What a device is called in front of people."""

from __future__ import annotations

import torch


def device_name(device: torch.device) -> str:
    """Such as `cpu (2 threads)` or `cuda:0 (NVIDIA H200)`."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type != "cpu":
        return str(device)
    threads = torch.get_num_threads()
    return f"{device} ({threads} {'thread' if threads == 1 else 'threads'})"
