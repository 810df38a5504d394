"""Training sentences come in another order every epoch unless a config says otherwise."""

import functools
from typing import Any

from allennlp.data.data_loaders import MultiProcessDataLoader


def shuffle_by_default() -> None:
    """Makes AllenNLP's data loader shuffle the sentences of readers that say `shuffles_by_default`.

    AllenNLP 1 shuffled, AllenNLP 2 does not unless it is told to, and configs that were written for 1 train worse.
    """
    build = MultiProcessDataLoader.__init__
    if getattr(build, "shuffles", False):
        return

    @functools.wraps(build)
    def __init__(self: MultiProcessDataLoader, reader: Any, *args: Any, **kwargs: Any) -> None:
        ordered_otherwise = "batch_sampler" in kwargs or kwargs.get("max_instances_in_memory") is not None
        if getattr(reader, "shuffles_by_default", False) and not ordered_otherwise:
            kwargs.setdefault("shuffle", True)
        build(self, reader, *args, **kwargs)

    __init__.shuffles = True  # type: ignore[attr-defined]
    MultiProcessDataLoader.__init__ = __init__
