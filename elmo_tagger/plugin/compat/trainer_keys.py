"""A misspelt key under `trainer` is an error, as everywhere else in a config."""

import difflib
import functools
import inspect
from typing import Any

from allennlp.common.checks import ConfigurationError
from allennlp.training.gradient_descent_trainer import GradientDescentTrainer


def refuse_unknown_trainer_keys() -> None:
    """Makes the trainer's constructor refuse what AllenNLP would swallow in its `**kwargs`."""
    construct = GradientDescentTrainer.from_partial_objects.__func__
    if getattr(construct, "refuses_unknown", False):
        return
    parameters = inspect.signature(construct).parameters.values()
    known = [each.name for each in parameters if each.kind is not inspect.Parameter.VAR_KEYWORD][1:]

    @functools.wraps(construct)
    def from_partial_objects(cls: Any, *args: Any, **kwargs: Any) -> Any:
        for name in kwargs:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else f", expected one of {', '.join(sorted(known))}"
                raise ConfigurationError(f"trainer: unknown key {name!r}{hint}")
        return construct(cls, *args, **kwargs)

    from_partial_objects.refuses_unknown = True  # type: ignore[attr-defined]
    GradientDescentTrainer.from_partial_objects = classmethod(from_partial_objects)
