"""JSON objects to frozen dataclasses, with errors that say where in the object something is wrong."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from elmo_tagger.errors import ElmoTaggerError, shown

Part = TypeVar("Part")

NOT_OURS = "the engine does not have it; `allennlp predict` can still run the archive"


class ConfigError(ElmoTaggerError):
    """A config that describes no tagger of this engine."""


def read_object(kind: type[Part], raw: object, where: str) -> Part:
    """Make a dataclass of a JSON object whose keys are its fields.

    A dataclass may have class attributes that say more about its objects: `TYPES`, the values of the key "type" that
    mean it; `UNUSED`, keys that are accepted and count for nothing here, such as those of training; `ONLY`, keys that
    are accepted with one value alone.

    Args:
        kind: The dataclass. Its fields may be annotated with `str`, `int`, `float`, `bool`, other dataclasses, unions
            of dataclasses told apart by their `TYPES`, `X | None`, `tuple[X, ...]` and `dict[str, X]`.
        raw: What the JSON text holds at this place.
        where: The place, for messages.

    Raises:
        ConfigError: A key is missing or unknown, or a value is of another type.
    """
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{where}: expected an object, received {shown(raw)}")
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    unused, only = getattr(kind, "UNUSED", ()), getattr(kind, "ONLY", {})
    types = getattr(kind, "TYPES", None)
    if types is not None and raw.get("type") not in types:
        raise _unknown_type(raw.get("type"), types, where)
    for key, value in raw.items():
        if key in names or key in unused or (key == "type" and types is not None):
            continue
        if key in only:
            if value not in (None, only[key]):
                raise ConfigError(f"{where}.{key}: received {shown(value)}, expected {only[key]!r}: {NOT_OURS}")
        elif value is not None:
            near = difflib.get_close_matches(str(key), [*names, *unused, *only], n=1)
            raise ConfigError(f"{where}.{key}{f' (is {near[0]} meant?)' if near else ''}: {NOT_OURS}")
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name in raw:
            values[field.name] = read_value(hints[field.name], raw[field.name], f"{where}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ConfigError(f"{where}.{field.name} is missing")
    return kind(**values)


def _unknown_type(received: object, known: Iterable[str | None], where: str) -> ConfigError:
    expected = ", ".join(each for each in known if each is not None)
    return ConfigError(f"{where}.type: received {shown(received)}, expected one of {expected}: {NOT_OURS}")


def read_value(annotation: Any, raw: object, where: str) -> Any:
    """A value of the annotated type; see `read_object`.

    Raises:
        ConfigError: It is of another type.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return raw
    if origin in (Union, types.UnionType):
        return _read_union(arguments, raw, where)
    if _is_part(annotation):
        return read_object(annotation, raw, where)
    if origin is tuple:
        if not isinstance(raw, Sequence) or isinstance(raw, str):
            raise ConfigError(f"{where}: expected a list, received {shown(raw)}")
        return tuple(read_value(arguments[0], item, f"{where}[{place}]") for place, item in enumerate(raw))
    if origin is dict:
        if not isinstance(raw, Mapping):
            raise ConfigError(f"{where}: expected an object, received {shown(raw)}")
        return {str(key): read_value(arguments[1], item, f"{where}.{key}") for key, item in raw.items()}
    return _read_scalar(annotation, raw, where)


def _read_union(choices: Sequence[Any], raw: object, where: str) -> Any:
    if raw is None and type(None) in choices:
        return None
    parts = [choice for choice in choices if _is_part(choice)]
    if isinstance(raw, str) and str not in choices and any(hasattr(part, "TYPES") for part in parts):
        raw = {"type": raw}  # AllenNLP's short form
    if isinstance(raw, Mapping) and parts:
        known = {name: part for part in parts for name in getattr(part, "TYPES", (None,))}
        name = raw.get("type")
        if not isinstance(name, str | None) or name not in known:
            raise _unknown_type(name, known, where)
        return read_object(known[name], raw, where)
    problems = []
    for choice in choices:
        if choice is not type(None) and choice not in parts:
            try:
                return read_value(choice, raw, where)
            except ConfigError as error:
                problems.append(str(error))
    raise ConfigError(problems[0] if problems else f"{where}: expected an object, received {shown(raw)}")


def _is_part(annotation: Any) -> bool:
    return isinstance(annotation, type) and is_dataclass(annotation)


_NAMES = {str: "a string", bool: "true or false", int: "an integer", float: "a number"}


def _read_scalar(kind: type, raw: object, where: str) -> Any:
    # bool is a subclass of int, and an integer is a number
    fits = isinstance(raw, int | float) if kind is float else isinstance(raw, kind)
    if not fits or (kind is not bool and isinstance(raw, bool)):
        raise ConfigError(f"{where}: expected {_NAMES[kind]}, received {shown(raw)}")
    return kind(raw)
