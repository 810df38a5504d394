"""Where a biLM comes from: the ways of naming one on a command line."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from elmo_tagger.archives import weights_in
from elmo_tagger.bilm.loading import hdf5_weights
from elmo_tagger.bilm.loading.bundled import BUNDLED, files_of
from elmo_tagger.bilm.loading.checkpoint import read_archive
from elmo_tagger.bilm.model import Bilm
from elmo_tagger.errors import ElmoTaggerError

GZIP = b"\x1f\x8b"  # what every archive begins with


class WeightsSourceError(ElmoTaggerError):
    """A source that names no biLM."""


def load_bilm(
    source: str | Path,
    options_file: str | Path | None = None,
    *,
    precision: str = "float32",
    rounded_weights: bool = False,
) -> Bilm:
    """Load a biLM, stateless.

    Args:
        source: A directory with `options.json` and `weights.hdf5`; an archive (`model.tar.gz`) or the directory of a
            training run; a name of `bundled.BUNDLED`; a `.hdf5` file with its options beside it or in `options_file`;
            or the URL of an archive or of a `.hdf5` file. A `Path` is never a name.
        options_file: Path or URL of `options.json`, for a `.hdf5` file.
        precision: See `Bilm`.
        rounded_weights: See `Bilm`.

    Raises:
        WeightsSourceError: The source names no biLM.
        OptionsError: The options are not those of a biLM.
        WeightsError: The weights are damaged or do not fit the options.
        ArchiveError: The archive is damaged.
        CheckpointError: It has no biLM.
        OSError: A file cannot be read.
    """
    kept: dict[str, Any] = {"precision": precision, "rounded_weights": rounded_weights}
    is_path, source = isinstance(source, Path), str(source)
    options_file = None if options_file is None else str(options_file)
    try:
        named = None if is_path else files_of(source, options_file)
    except ValueError as error:
        raise WeightsSourceError(str(error)) from error
    if named is not None:
        return Bilm.load(*named, **kept)
    path = local(source)
    if not path.exists():
        near = [] if is_path else difflib.get_close_matches(source, BUNDLED, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise WeightsSourceError(f"{source}: no such file or directory: expected {_expected()}{hint}")
    if options_file is None and _is_archive(path):
        return read_archive(path).bilm(**kept)
    options, weight_file = _pair(source, path, options_file)
    return Bilm.load(options, weight_file, **kept)


def files_of_source(source: str) -> tuple[str, str]:
    """Options and weights of a biLM, for a config that names both files.

    Args:
        source: A directory with both files, a `.hdf5` file with its options beside it, or a name of `bundled.BUNDLED`.

    Returns:
        Absolute paths, or the name twice.

    Raises:
        WeightsSourceError: The source names no biLM, or an archive, whose biLM is no file of its own.
    """
    if source in BUNDLED:
        files_of(source)  # refuses a name that stands for two things here
        return source, source
    path = Path(source)
    if not path.exists():
        near = difflib.get_close_matches(source, BUNDLED, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise WeightsSourceError(f"{source}: no such file or directory: expected {_expected()}{hint}")
    if _is_archive(path):
        raise WeightsSourceError(
            f"{source}: expected the files of a biLM, received a trained model: run `elmo-tagger export-bilm` on it"
        )
    options_file, weight_file = _pair(source, path, None)
    return str(options_file.absolute()), str(weight_file.absolute())


def local(source: str) -> Path:
    """The file that a path or URL means; a URL is downloaded once and kept by cached-path.

    Raises:
        WeightsSourceError: It is a URL, but the package cached-path is not installed.
        OSError: The download failed.
    """
    if "://" not in source:
        return Path(source)
    try:
        from cached_path import cached_path
    except ImportError as error:
        raise WeightsSourceError(
            f"{source}: reading URLs needs the package cached-path: run `pip install cached-path`, or download the "
            "file and give its path"
        ) from error
    try:
        return Path(cached_path(source))
    except Exception as error:  # each kind of URL fails in its library's own way
        raise OSError(f"{source}: could not be downloaded: {error}") from error


def _is_archive(path: Path) -> bool:
    if path.is_dir():
        return not (path / hdf5_weights.WEIGHTS_NAME).exists() and weights_in(path) is not None
    with path.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


def _pair(source: str, path: Path, options_file: str | None) -> tuple[Path, Path]:
    if path.is_dir():
        pair = path / hdf5_weights.OPTIONS_NAME, path / hdf5_weights.WEIGHTS_NAME
        missing = [file.name for file in pair if not file.is_file()]
        if options_file is not None:
            raise WeightsSourceError(f"{source}: expected a .hdf5 file beside an options file, received a directory")
        if missing:
            raise WeightsSourceError(f"{source}: expected {' and '.join(missing)} in it, or a trained model's weights")
        return pair
    if options_file is not None:
        return local(options_file), path
    beside = [path.with_name(hdf5_weights.OPTIONS_NAME), path.with_name(_options_name(path))]
    found = next((file for file in beside if file != path and file.is_file()), None)
    if found is None:
        raise WeightsSourceError(f"{source}: expected its options too: an options.json beside it, or --options FILE")
    return found, path


def _options_name(path: Path) -> str:
    """`x_options.json` for `x_weights.hdf5`, as the published files are called."""
    return path.name.replace("_weights.hdf5", "_options.json")


def _expected() -> str:
    names = "".join(f", the name {name}" for name in BUNDLED)
    files = f"{hdf5_weights.OPTIONS_NAME} and {hdf5_weights.WEIGHTS_NAME}"
    return f"a directory with {files}, an archive, a .hdf5 file, a URL{names}"
