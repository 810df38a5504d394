"""Modules without a random start, for weights that are about to be overwritten."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_DRAWN = (
    *(nn.init.normal_, nn.init.uniform_, nn.init.kaiming_normal_, nn.init.kaiming_uniform_),
    *(nn.init.xavier_normal_, nn.init.xavier_uniform_, Tensor.normal_, Tensor.uniform_),
)

_active: ContextVar[bool] = ContextVar("active", default=False)


def nothing_is_drawn() -> bool:
    """Whether modules are made within `Uninitialized`, so that their values mean nothing yet."""
    return _active.get()


class Uninitialized(TorchFunctionMode):
    """A context in which nothing is drawn: `with Uninitialized(): bilm = Bilm(options)`.

    Unlike a construction on the device "meta" it imports nothing: that would take two seconds for each one that PyTorch
    itself takes, and 250 MB.
    """

    def __enter__(self) -> Uninitialized:
        self._before = _active.set(True)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *arguments: Any) -> None:
        super().__exit__(*arguments)  # type: ignore[no-untyped-call]
        _active.reset(self._before)

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
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)
