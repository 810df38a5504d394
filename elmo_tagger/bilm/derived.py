"""What is computed from parameters once and used until they change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

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
        # PyTorch counts the changes in place of a tensor; those through `.data` escape it
        key = [(parameter.data_ptr(), parameter._version, parameter.dtype) for parameter in parameters]
        value = self._value
        if value is None or key != self._key:
            self._value = value = make()
            self._key = key
        return value

    @property
    def current(self) -> T | None:
        """The value that was made last, if any."""
        return self._value

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()
