"""Which AllenNLP made an archive, as far as it changes what the archive computes.

One thing changed its meaning and kept its name: since 1.2.1 the character encoder `cnn` leaves out windows of padding.
Source: https://github.com/allenai/allennlp/pull/4746. All else that changed can be read off the archive itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from torch import Tensor

from elmo_tagger.archives import Archive
from elmo_tagger.errors import shown
from elmo_tagger.tagger.json_fields import ConfigError
from elmo_tagger.tagger.migration.weights import lstms_without_cell

_MASKED_SINCE = (1, 2, 1)
_MASKED_SINCE_TIME = datetime(2020, 11, 5, tzinfo=timezone.utc)  # of the change
_FIRST_TIME = datetime(2017, 9, 1, tzinfo=timezone.utc)  # of AllenNLP's first release; an earlier time is none
FTA = "fta"
"""The folder in which AllenNLP before 1.0 kept the files that a config names."""


@dataclass(frozen=True)
class Age:
    """When an archive was made.

    Attributes:
        made_by: Such as "AllenNLP 2.10.1", with what says so; for messages.
        masks_padding: Whether its character encoder `cnn` leaves out windows of padding; None if nothing tells.
        before_1: Whether it was made by AllenNLP 0.x.
    """

    made_by: str
    masks_padding: bool | None
    before_1: bool = False


def age_of(archive: Archive, raw: Mapping[str, Any], weights: Mapping[str, Tensor], given: str | None = None) -> Age:
    """The age of an archive.

    Args:
        archive: The archive; its `meta.json` (since 2.2) has the version, else the layout of 0.x is told by its files,
            else the time of its weights counts.
        raw: Its config.
        weights: Its tensors.
        given: A version that a user gives, which goes before all of these.

    Raises:
        ArchiveError: Its `meta.json` is none.
        ConfigError: What was given is no version.
    """
    marks = list(_marks_of_0(archive, raw, weights))
    for version, evidence in ((given, "as given"), (archive.version(), "says meta.json")):
        if version is not None:
            numbers = _numbers(version)
            made_by = f"AllenNLP {version.removeprefix('v')} ({evidence})"
            return Age(made_by, numbers >= _MASKED_SINCE, before_1=numbers < (1,) or bool(marks))
    if marks:
        return Age(f"AllenNLP 0.x ({marks[0]})", masks_padding=False, before_1=True)
    time = archive.time()
    if time < _FIRST_TIME:
        return Age("an unknown AllenNLP", masks_padding=None)
    masks = time >= _MASKED_SINCE_TIME
    return Age(f"AllenNLP {'1.2.1 or later' if masks else 'before 1.2.1'} (its weights are of {time:%Y-%m-%d})", masks)


def _marks_of_0(archive: Archive, raw: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Iterator[str]:
    """What only archives of 0.x have."""
    if (archive.directory / FTA).is_dir() or (archive.directory / "files_to_archive.json").is_file():
        yield "it has files_to_archive.json"
    if "iterator" in raw:
        yield "its config has an iterator"
    for key in ("regularizer", "initializer"):
        if isinstance(raw["model"].get(key), list):
            yield f"its {key} is a list"
    if "constraint_type" in raw["model"]:
        yield "its config has a constraint_type"
    if lstms_without_cell(weights):
        yield "names of its LSTM's weights"


def _numbers(version: str) -> tuple[int, ...]:
    found = re.fullmatch(r"v?(\d{1,4}(?:\.\d{1,4}){0,2})\S*", version)
    if found is None:
        raise ConfigError(f"expected a version of AllenNLP such as 0.9 or 1.2.1, received {shown(version)}")
    return tuple(map(int, found[1].split(".")))
