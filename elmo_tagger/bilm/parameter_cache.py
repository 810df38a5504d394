"""What is computed from parameters once and used until they change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class ParameterCache(Generic[T]):
    """Keeps one value and makes it anew once a parameter was changed, moved or replaced.

    A copy, by `copy.deepcopy` or through a file, starts empty: what was derived is no part of a model.
    """

    def __init__(self) -> None:
        self._made: tuple[object, T] | None = None

    def of(self, parameters: Iterable[Tensor], make: Callable[[], T]) -> T:
        """The value that `make` makes of these parameters."""
        own = list(parameters)
        key = [(parameter.data_ptr(), _version(parameter), parameter.dtype) for parameter in own]
        made = self._made
        if made is None or made[0] != key:
            # tensors made in inference mode could not be changed outside of it
            with torch.inference_mode(False), torch.no_grad():
                made = key, make()
            _finish({parameter.device for parameter in own})
            self._made = made
        return made[1]

    @property
    def current(self) -> T | None:
        """The value that was made last, if any."""
        return None if self._made is None else self._made[1]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()


def _finish(devices: Iterable[torch.device]) -> None:
    """Wait until what was made is there: another thread may use it on a stream that does not wait for this one's."""
    for device in devices:
        if device.type == "cuda":
            torch.cuda.current_stream(device).synchronize()


def _version(parameter: Tensor) -> int:
    """PyTorch's count of changes in place (those through `.data` escape it); one made in inference mode has none."""
    return 0 if parameter.is_inference() else parameter._version
