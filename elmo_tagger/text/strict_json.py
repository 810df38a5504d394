"""JSON as the standard defines it, from files that others wrote: no surprises in what a number or a key means."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NoReturn

from elmo_tagger.errors import shown
from elmo_tagger.text.files import DataError

MAX_DEPTH = 100
"""Levels of objects and lists in each other. Configs have a dozen; a program that walks thousands of them dies."""


def parse_object(content: bytes, *, name: str) -> dict[str, Any]:
    """The object that a JSON text in UTF-8 holds; see `parse`.

    Raises:
        DataError: It is no such text.
    """
    value = parse(content, name=name, expected="a JSON object")
    if not isinstance(value, dict):
        raise DataError(f"{name}: expected a JSON object, received {_kind(value)}")
    return value


def parse(content: bytes, *, name: str, expected: str = "JSON") -> Any:
    """The value that a JSON text in UTF-8 holds.

    Stricter than `json.loads`: no key twice in an object, no NaN, no number beyond the range of a float, at most
    `MAX_DEPTH` levels.

    Args:
        content: The bytes of the file.
        name: Of the file, for messages.
        expected: What is to be read, for messages.

    Raises:
        DataError: It is no such text.
    """
    try:
        value = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_without_repetition,
            parse_constant=_no_number,
            parse_float=_finite,
        )
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: expected {expected} in UTF-8: {error}") from None
    except RecursionError:
        raise _too_deep(name) from None
    except ValueError as error:
        raise DataError(f"{name}: expected {expected}: {error}") from None
    _check_depth(value, name)
    return value


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f"key {shown(twice)} twice in one object")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {shown(text)[1:-1]} is beyond the range of a float")
    return value


def _check_depth(value: Any, name: str) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        inner = [item for each in level for item in (each.values() if isinstance(each, dict) else each)]
        level = [item for item in inner if isinstance(item, (dict, list))]
        if not level:
            return
    raise _too_deep(name)


def _too_deep(name: str) -> DataError:
    return DataError(f"{name}: expected at most {MAX_DEPTH} levels of objects and lists in each other, received more")


def _kind(value: object) -> str:
    kinds = {list: "a list", str: "a string", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), "null")
