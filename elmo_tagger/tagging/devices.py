"""Where values lie, and the copy that brings them where Python can look at them.

A look at a value on a device waits until the device has finished all that it was given. So what must be known of a
batch is gathered there, and comes over in one copy.
"""

from __future__ import annotations

from torch import Tensor


def on_host(values: Tensor) -> bool:
    """Whether values can be looked at without a copy from a device."""
    return values.device.type == "cpu"


def to_host(values: Tensor) -> Tensor:
    """The values in the host's memory; every copy of the CRF's fast ways goes through here."""
    return values.cpu()
