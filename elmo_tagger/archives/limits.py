"""Sizes that an archive's config claims, held against the tensors that are there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from elmo_tagger.archives.extraction import ArchiveError
from elmo_tagger.errors import shown

FACTOR = 4
"""A model under construction makes some tensors twice, such as a matrix and its orthogonal start."""
SLACK = 2**20
"""Values, and the largest number in a config, that no model is too small for."""
MAX_CHARACTERS = 2**16
"""The largest number in the config of a token indexer, which pads each word to it."""

_NO_SIZES = ("max_tokens_per_pass",)  # bounds, for which people write a number that is never reached


@contextmanager
def bounded_by(weights: Mapping[str, Tensor], config: object, *, name: str) -> Iterator[None]:
    """A context in which a model is built from a config, and which refuses sizes that no tensor has.

    What is refused is refused before it is allocated: numbers of the config first, then each tensor that the model's
    construction asks for.

    Args:
        weights: The trained tensors.
        config: The config's object `model`.
        name: Of the archive, for messages.

    Raises:
        ArchiveError: The config asks for more than the weights have.
    """
    values = sum(tensor.numel() for tensor in weights.values())
    check_numbers(config, max(values, SLACK), where=f"{name}: config.json: model")
    try:
        with _Budget(FACTOR * values + SLACK):
            yield
    except MemoryError as error:
        raise ArchiveError(
            f"{name}: config.json: describes a model that is larger than its weights, which hold {values} values"
        ) from error


def check_numbers(config: object, limit: int, *, where: str) -> None:
    """Refuses integers of a config that are above a limit.

    Raises:
        ArchiveError: One is.
    """
    if isinstance(config, Mapping):
        for key, value in config.items():
            if key not in _NO_SIZES:
                check_numbers(value, limit, where=f"{where}.{shown(str(key))[1:-1]}")
    elif isinstance(config, Sequence) and not isinstance(config, str):
        for place, value in enumerate(config):
            check_numbers(value, limit, where=f"{where}[{place}]")
    elif isinstance(config, int) and abs(config) > limit:
        raise ArchiveError(f"{where}: expected a size of at most {limit}, received {shown(config)}")


class _Budget(TorchFunctionMode):
    """Counts the values of new tensors before they are made.

    Tensors of the old constructors, such as `torch.FloatTensor(3, 4)`, do not pass here when they are made; their
    memory is only promised then, and they are refused when something is to be written to them.
    """

    def __init__(self, values: int) -> None:
        super().__init__()
        self._values = self._left = values

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Passes everything on, unless it would make more than is left."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in _FACTORIES:
            self._left -= _created([*args, kwargs.get("size")])
        largest = max((value.numel() for value in args if isinstance(value, Tensor)), default=0)
        if self._left < 0 or largest > self._values:
            # no ValueError: AllenNLP takes those for an argument of the wrong type, and tries the next type
            raise MemoryError
        return func(*args, **kwargs)


_SHAPED = "arange empty empty_strided eye full linspace ones rand randint randn zeros".split()
_FACTORIES = frozenset([*_SHAPED, *(f"new_{name}" for name in _SHAPED)])


def _created(arguments: Sequence[Any]) -> int:
    """Values of a tensor that is made from sizes: one sequence of them, or one after another."""
    shapes = [argument for argument in arguments if isinstance(argument, list | tuple)]
    sizes = shapes[0] if shapes else arguments
    return math.prod(max(1, size) for size in sizes if isinstance(size, int))
