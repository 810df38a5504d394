"""What is computed from parameters once and used until they change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class Derived(Generic[T]):
    """Keeps one value and makes it anew once a parameter was changed, moved or replaced.

    A copy, by `copy.deepcopy` or through a file, starts empty: what was derived is no part of a model.
    """

    def __init__(self) -> None:
        self._key: object = None
        self._value: T | None = None

    def of(self, parameters: Iterable[Tensor], make: Callable[[], T]) -> T:
        """The value that `make` makes of these parameters."""
        key = [(parameter.data_ptr(), _version(parameter), parameter.dtype) for parameter in parameters]
        value = self._value
        if value is None or key != self._key:
            # tensors made in inference mode could not be changed outside of it
            with torch.inference_mode(False), torch.no_grad():
                self._value = value = make()
            self._key = key
        return value

    @property
    def current(self) -> T | None:
        """The value that was made last, if any."""
        return self._value

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()


def _version(parameter: Tensor) -> int:
    """PyTorch's count of changes in place (those through `.data` escape it); one made in inference mode has none."""
    return 0 if parameter.is_inference() else parameter._version
