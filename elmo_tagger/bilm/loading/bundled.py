"""The biLMs that come with the package, by their names."""

from __future__ import annotations

from pathlib import Path

from elmo_tagger.bilm.loading import hdf5_weights

BUNDLED: dict[str, Path] = {"starter": Path(__file__).parent.parent / "starter"}
"""Directories with `options.json`, `weights.hdf5` and a model card."""


def files_of(name: str | None, options_file: str | None = None) -> tuple[str, str] | None:
    """Options and weights of a named biLM; None if no biLM has the name.

    Args:
        name: What was given in place of a weight file.
        options_file: What was given for the options: nothing, or the name again.

    Raises:
        ValueError: A named biLM was given options of another file, or another weight file its options; or a file or
            directory here has the name too.
    """
    directory = BUNDLED.get(name or "")
    if directory is None and options_file in BUNDLED:
        raise ValueError(
            f"{options_file}: a biLM of the package has its own weights, expected {options_file} for them too"
        )
    if directory is None:
        return None
    if Path(str(name)).exists():
        raise ValueError(f"{name}: a biLM of the package, and something here has that name: for that give ./{name}")
    if options_file not in (None, name):
        raise ValueError(
            f"{name}: a biLM of the package has its own options, expected none or {name}, received {options_file}"
        )
    return str(directory / hdf5_weights.OPTIONS_NAME), str(directory / hdf5_weights.WEIGHTS_NAME)
