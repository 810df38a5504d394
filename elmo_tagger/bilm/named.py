"""The biLMs that come with the package, by their names."""

from __future__ import annotations

from pathlib import Path

from elmo_tagger.bilm import weights

NAMED: dict[str, Path] = {"starter": Path(__file__).parent / "starter"}
"""Directories with `options.json`, `weights.hdf5` and a model card."""


def files_of(name: str, options_file: str | None = None) -> tuple[str, str] | None:
    """Options and weights of a named biLM; None if no biLM has the name.

    Args:
        name: What was given in place of a weight file.
        options_file: What was given for the options: nothing, or the name again.

    Raises:
        ValueError: A named biLM was given options of another file.
    """
    directory = NAMED.get(name)
    if directory is None:
        return None
    if options_file not in (None, name):
        raise ValueError(
            f"{name}: a biLM of the package has its own options, expected none or {name}, received {options_file}"
        )
    return str(directory / weights.OPTIONS_NAME), str(directory / weights.WEIGHTS_NAME)
