"""Modules without a random start, for weights that are about to be overwritten."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode

_DRAWN = (nn.init.normal_, nn.init.uniform_)


class Uninitialized(TorchFunctionMode):
    """A context in which nothing is drawn: `with Uninitialized(): bilm = Bilm(options)`.

    Unlike a construction on the device "meta" it imports nothing: that would take two seconds for each one that PyTorch
    itself takes, and 250 MB.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Passes everything on but the drawing."""
        kwargs = kwargs or {}
        if func in _DRAWN:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
