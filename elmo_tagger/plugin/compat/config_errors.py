"""Mistakes in a config: AllenNLP's messages say what failed, these say where and what to type instead."""

import difflib
import functools
import inspect
import re
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Optional

from allennlp.commands.train import TrainModel
from allennlp.common import from_params, params
from allennlp.common.checks import ConfigurationError
from allennlp.common.params import Params
from allennlp.training.gradient_descent_trainer import GradientDescentTrainer

from elmo_tagger.errors import shown

EXAMPLE = """'{"trainer.num_epochs": 3}'"""


def explain_jsonnet_errors() -> None:
    """Makes `Params.from_file` name the variables that are missing, all at once, and quote no internals of Jsonnet."""
    read = Params.from_file.__func__  # type: ignore[attr-defined]

    @functools.wraps(read)
    def from_file(
        cls: Any, params_file: Any, params_overrides: Any = "", ext_vars: Optional[Dict[str, Any]] = None
    ) -> Params:
        if Path(params_file).is_dir():  # Jsonnet would end the process
            raise ConfigurationError(f"{params_file}: expected a config, this is a directory")
        values, missing = dict(ext_vars or {}), []
        while True:
            try:
                config: Params = read(cls, params_file, params_overrides, values)
            except RuntimeError as error:
                name = _undefined_variable(error)
                if name is not None and name not in missing:
                    missing.append(name)
                    values[name] = "0"  # reads as text, as a number and as JSON: to see what else is missing
                elif missing:
                    break
                else:
                    reason = _reason(error)
                    where = "" if reason.startswith(f"{params_file}:") else f"{params_file}: "
                    raise ConfigurationError(where + reason) from None
            else:
                break
        if missing:
            exports = " ".join(f"{name}=..." for name in missing)
            raise ConfigurationError(
                f"{params_file} takes values from environment variables that are not set: export {exports}"
            )
        if not isinstance(config.params, dict):
            raise ConfigurationError(f"{params_file}: expected an object, received {shown(config.params)}")
        return config

    Params.from_file = classmethod(from_file)


def explain_overrides() -> None:
    """Makes `--overrides` say what it expects, and name the key of the config that was probably meant."""
    parse, merge = params.parse_overrides, params.with_overrides

    @functools.wraps(parse)
    def parse_overrides(serialized_overrides: str, ext_vars: Optional[Dict[str, Any]] = None) -> Dict[str, Any]:
        expected = f"--overrides: expected JSON such as {EXAMPLE}, received {shown(serialized_overrides)}"
        try:
            found = parse(serialized_overrides, ext_vars)
        except RuntimeError as error:
            if _undefined_variable(error) is not None:
                raise
            raise ConfigurationError(f"{expected} ({_reason(error)})") from None
        if not isinstance(found, dict):
            raise ConfigurationError(expected)
        return found

    @functools.wraps(merge)
    def with_overrides(original: Any, overrides_dict: Dict[str, Any], prefix: str = "") -> Any:
        where = prefix.rstrip(".") or "the config"
        if not isinstance(original, (dict, list)):
            raise ConfigurationError(f"--overrides: {where} is {shown(original)} in the config, expected an object")
        known = [str(key) for key in (original if isinstance(original, dict) else range(len(original)))]
        for key in overrides_dict:
            leads_somewhere = any(key == each or key.startswith(f"{each}.") for each in known)
            added = isinstance(original, dict) and "." not in key
            if not (leads_somewhere or added):
                raise ConfigurationError(f"--overrides: {where}: {_unknown(key.split('.')[0], known)}")
        return merge(original, overrides_dict, prefix)

    params.parse_overrides, params.with_overrides = parse_overrides, with_overrides


def name_unknown_keys() -> None:
    """Makes every part of a config name a key that it does not know, with its place and a near name.

    That holds for the trainer too, whose constructor would swallow any key.
    """
    create = from_params.create_kwargs

    @functools.wraps(create)
    def create_kwargs(constructor: Callable[..., Any], cls: Any, params: Params, **extras: Any) -> Dict[str, Any]:
        trains = cls is GradientDescentTrainer
        arguments = inspect.signature(constructor).parameters if trains else from_params.infer_params(cls, constructor)
        names = [name for name, each in arguments.items() if each.kind is not each.VAR_KEYWORD and name != "self"]
        takes_any = any(each.kind is each.VAR_KEYWORD for each in arguments.values()) and not trains
        unknown = [] if takes_any else [key for key in params if key not in names]
        if unknown:
            # what AllenNLP gives is not for the config
            known = [name for name in names if name not in extras]
            where = params.history.rstrip(".") or ("the config" if issubclass(cls, TrainModel) else cls.__name__)
            raise ConfigurationError(f"{where}: {_unknown(unknown[0], known)}")
        return create(constructor, cls, params, **extras)

    from_params.create_kwargs = create_kwargs


def name_unknown_types() -> None:
    """Makes a `type` that is not registered be named with its place and a near name."""
    choose = Params.pop_choice

    @functools.wraps(choose)
    def pop_choice(self: Params, key: str, choices: List[Any], *args: Any, **kwargs: Any) -> Any:
        given = self.get(key)
        try:
            return choose(self, key, choices, *args, **kwargs)
        except ConfigurationError:
            if not isinstance(given, str):
                raise
            hint = _hint(given, map(str, choices))
            code = "a class of your own needs --include-package" if key == "type" else ""
            raise ConfigurationError(
                f"{self.history}{key}: unknown {shown(given)}{hint}{code and f' ({code})'}"
            ) from None

    Params.pop_choice = pop_choice


def _unknown(key: str, known: Iterable[str]) -> str:
    """What is said of a key that something does not know: a near name, or all that there are."""
    return f"unknown key {shown(key)}{_hint(key, known)}"


def _hint(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f", expected one of {', '.join(known)}" if known else ""


def _undefined_variable(error: RuntimeError) -> Optional[str]:
    found = re.match(r"RUNTIME ERROR: undefined external variable: (\S+)", str(error))
    return found and found[1]


def _reason(error: RuntimeError) -> str:
    """Jsonnet's message on one line, without the words that it begins with."""
    return " ".join(re.sub(r"^(STATIC|RUNTIME) ERROR: ", "", str(error)).split())
