"""The config of a training without a config: a shipped one with its variables filled in, to be read and edited."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import elmo_tagger
from elmo_tagger.errors import ElmoTaggerError

CONFIG = "train.jsonnet"
LIBRARY = "lib/tagger.libsonnet"
_VARIABLE = re.compile(r"std\.extVar\('(\w+)'\)")
_HEADER = re.compile(r"(?://.*\n)+")


def shipped_configs() -> Path:
    """The folder of the configs: within the package where it is installed, beside it in a clone."""
    package = Path(elmo_tagger.__file__).parent
    places = [package / "training_configs", package.parent / "training_configs"]
    return next(place for place in places if place.is_dir())


def run_config(name: str, variables: Mapping[str, str], changes: Mapping[str, Any], *, title: str) -> str:
    """A shipped config as the Jsonnet of one training.

    Args:
        name: Its file name.
        variables: The value of each of its variables.
        changes: What is added to it, as nested objects; a key whose value is an object is merged into the config's.
        title: The first line, a comment.

    Raises:
        ElmoTaggerError: The config has a variable without a value.
    """
    text = _HEADER.sub("", (shipped_configs() / name).read_text(encoding="utf-8"), count=1)

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in variables:
            raise ElmoTaggerError(f"{name}: expected a value of {match[1]}, received none")
        return json.dumps(variables[match[1]], ensure_ascii=False)

    text = _VARIABLE.sub(value_of, text)
    if changes:
        text = f"{text.rstrip()} + {_jsonnet(changes)}\n"
    return f"// {title}\n{text}"


def files_of_run(config: str) -> dict[str, str]:
    """The files of a run's config by their paths in the folder of the run: itself and what it imports."""
    return {CONFIG: config, LIBRARY: (shipped_configs() / LIBRARY).read_text(encoding="utf-8")}


def _jsonnet(value: Any, indent: str = "") -> str:
    """A value as Jsonnet in which objects are merged into those of the config."""
    if not isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False)
    inner = indent + "  "
    lines = [
        f"{inner}{key}{'+' * isinstance(each, Mapping)}: {_jsonnet(each, inner)},\n" for key, each in value.items()
    ]
    return "{\n" + "".join(lines) + indent + "}"
