"""The biLMs that come with the package, by their names."""

from __future__ import annotations

from pathlib import Path

from elmo_tagger.bilm import weights

NAMED: dict[str, Path] = {}
"""Directories with `options.json`, `weights.hdf5` and a model card."""


def files_of(name: str, options_file: str | None = None) -> tuple[str, str] | None:
    """Options and weights of a named biLM; None if no biLM has the name.

    Args:
        name: What was given in place of a weight file.
        options_file: What was given for the options.

    Raises:
        ValueError: A named biLM was given options of another file.
    """
    directory = NAMED.get(name)
    if directory is None:
        return None
    if options_file is not None:
        raise ValueError(f"{name}: a biLM of the package has its own options, received {options_file} for them too")
    return str(directory / weights.OPTIONS_NAME), str(directory / weights.WEIGHTS_NAME)
