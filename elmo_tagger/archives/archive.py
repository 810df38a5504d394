"""An opened archive: its config, its weights and its vocabulary, each checked when it is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from torch import Tensor

from elmo_tagger.archives.extraction import ArchiveError, extracted
from elmo_tagger.archives.weights import read_weights
from elmo_tagger.errors import naming, shown
from elmo_tagger.text.files import DataError
from elmo_tagger.text.strict_json import parse_object

CONFIG_NAME = "config.json"
META_NAME = "meta.json"
WEIGHTS_NAMES = ("weights.th", "best.th")
"""In an archive; in the directory of a training run."""
MAX_TEXT = 2**26  # bytes of a config or the like


@dataclass(frozen=True)
class Archive:
    """The files of a trained model.

    Attributes:
        name: What was opened, for messages.
        directory: Where the files are, while the archive is open.
    """

    name: str
    directory: Path

    def config(self) -> dict[str, Any]:
        """What `config.json` holds: plain JSON with at least the objects `dataset_reader` and `model`.

        Raises:
            ArchiveError: It is missing or something else.
        """
        config = self.read_json(CONFIG_NAME)
        for key in ("dataset_reader", "model"):
            if not isinstance(config.get(key), dict):
                raise ArchiveError(f"{self.label(CONFIG_NAME)}: expected an object {key!r} in it")
        return config

    def weights(self) -> dict[str, Tensor]:
        """The trained tensors by their names, mapped into memory where the format allows; they outlive the archive.

        Raises:
            ArchiveError: They are missing, damaged, or anything but tensors.
        """
        path = self._weights_file()
        return read_weights(path, name=self.label(path.name))

    def version(self) -> str | None:
        """The version of AllenNLP that made it, such as "2.10.1"; None without `meta.json`, as before 2.2.

        Raises:
            ArchiveError: `meta.json` does not say a version.
        """
        if not (self.directory / META_NAME).is_file():
            return None
        version = self.read_json(META_NAME).get("version")
        if not isinstance(version, str) or not re.fullmatch(r"\d+\.\d+\.\d+\S{0,40}", version):
            raise ArchiveError(f"{self.label(META_NAME)}: expected a version such as 2.10.1, received {shown(version)}")
        return version

    def time(self) -> datetime:
        """When its weights were written, as far as the archive tells; 1970 if it does not.

        Raises:
            ArchiveError: There are none.
        """
        return datetime.fromtimestamp(self._weights_file().stat().st_mtime, timezone.utc)

    def read_json(self, member: str) -> dict[str, Any]:
        """A file of the archive that holds a JSON object.

        Raises:
            ArchiveError: It is missing or something else.
        """
        path = self._file(member)
        if path.stat().st_size > MAX_TEXT:
            raise ArchiveError(f"{self.label(member)}: expected at most {MAX_TEXT} bytes")
        try:
            return parse_object(path.read_bytes(), name=self.label(member))
        except DataError as error:
            raise ArchiveError(str(error)) from None

    def label(self, member: str) -> str:
        """How messages call a file of the archive."""
        return f"{self.name}: {member}"

    def _weights_file(self) -> Path:
        return weights_in(self.directory) or self._file(WEIGHTS_NAMES[0])

    def _file(self, member: str) -> Path:
        path = self.directory / member
        if not path.is_file():
            received = "a directory" if path.is_dir() else "none"
            raise ArchiveError(f"{self.name}: expected a file {member} in it, received {received}")
        return path


def weights_in(directory: str | Path) -> Path | None:
    """The file of weights in a directory, or None."""
    paths = (Path(directory) / name for name in WEIGHTS_NAMES)
    return next((each for each in paths if each.is_file()), None)


@contextmanager
def open_archive(source: str | Path | bytes, *, name: str | None = None) -> Iterator[Archive]:
    """Open a `model.tar.gz`, or the directory of a training run; an error of the package while it is open names it.

    Args:
        source: Path of an archive or directory, or an archive's bytes.
        name: For messages; by default the path.

    Raises:
        ArchiveError: It is damaged, or no archive.
        OSError: It cannot be read.
    """
    if isinstance(source, bytes):
        name = name or "the archive"
    else:
        source = Path(source)
        name = name or str(source)
    with ExitStack() as stack:
        if isinstance(source, Path) and source.is_dir():
            directory = source
        else:
            file: BinaryIO = BytesIO(source) if isinstance(source, bytes) else stack.enter_context(source.open("rb"))
            directory = stack.enter_context(extracted(file, name))
        with naming(name):
            yield Archive(name, directory)
