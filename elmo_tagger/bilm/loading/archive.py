"""The trained state in an archive (`model.tar.gz`), read without unpacking it and without AllenNLP."""

from __future__ import annotations

import gzip
import lzma
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path

from elmo_tagger.bilm.loading import checkpoint
from elmo_tagger.bilm.loading.checkpoint import Checkpoint, CheckpointError


def read_archive(path: str | Path) -> Checkpoint:
    """The one embedder `elmo_hdf5` of an archive or of the directory of a training run.

    Of an archive only the file `weights.th` is read: no name in it decides where anything is written.

    Raises:
        CheckpointError: It is damaged, has no weights, or its model has no embedder `elmo_hdf5` or several.
        OSError: It cannot be read.
    """
    path = Path(path)
    found = _in_directory(path) if path.is_dir() else _in_tar(path)
    if len(found) != 1:
        raise CheckpointError(f"{path}: expected a model with one embedder elmo_hdf5, this one has {len(found)}")
    return found[0]


def _in_directory(path: Path) -> list[Checkpoint]:
    weights = checkpoint.weights_in(path)
    if weights is None:
        raise CheckpointError(f"{path}: expected one of {', '.join(checkpoint.WEIGHTS_NAMES)} in it")
    return checkpoint.read(weights, source=str(path))


def _in_tar(path: Path) -> list[Checkpoint]:
    name = checkpoint.WEIGHTS_NAMES[0]
    try:
        with tarfile.open(path) as archive, tempfile.TemporaryDirectory() as directory:
            member = next((each for each in archive if each.name.removeprefix("./") == name), None)
            # a link could lead to any file of this machine
            if member is None or not member.isreg():
                raise CheckpointError(f"{path}: expected a file {name} in it, as `allennlp train` writes")
            unpacked = Path(directory) / name
            content = archive.extractfile(member)
            assert content is not None  # it is a regular file
            with unpacked.open("wb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
            return checkpoint.read(unpacked, source=str(path))
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise CheckpointError(f"{path}: expected a complete archive (model.tar.gz): {error}") from error
