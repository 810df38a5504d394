"""An archive of AllenNLP's with another temperature, and all else as it was."""

from __future__ import annotations

import tarfile
import tempfile
from pathlib import Path

import torch

from elmo_tagger.archives import open_archive
from elmo_tagger.archives.archive import weights_in
from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.text.outputs import Target, errors_at_the_end, new_path

TEMPERATURE = "crf.temperature"
_TYPE = "elmo_bilstm_crf"


def check_archive(source: str | Path) -> None:
    """Looks whether an archive can be written again with a temperature.

    Raises:
        ElmoTaggerError: It is no archive, or AllenNLP would not load it with one.
        ArchiveError: It is damaged.
        OSError: It cannot be read.
    """
    if not Path(source).is_file():
        raise ElmoTaggerError(f"{source}: expected an archive, of which another is made; or give a folder as output")
    with open_archive(source) as archive:
        kind = archive.config()["model"].get("type")
    if kind != _TYPE:
        raise ElmoTaggerError(
            f"{source}: the model {kind} of AllenNLP has no temperature, expected {_TYPE}; give a folder as output"
        )


def write_with_temperature(source: str | Path, target: Target, temperature: float) -> None:
    """Writes an archive's files again, with this temperature among the weights.

    Args:
        source: The archive.
        target: The archive to write; it takes its name once it is complete.
        temperature: Divides all scores of its CRF.

    Raises:
        ArchiveError: The source is damaged.
        OSError: A file cannot be read or written.
    """
    with open_archive(source) as archive, tempfile.TemporaryDirectory() as directory, new_path(target) as unfinished:
        weights = Path(directory) / "weights.th"
        with errors_at_the_end(weights, weights) as file:  # a full disk would be PyTorch's RuntimeError
            torch.save({**archive.weights(), TEMPERATURE: torch.tensor(temperature)}, file)
        old = weights_in(archive.directory)
        # weights hardly shrink: higher levels take up to 13 times as long for 7 %
        with tarfile.open(unfinished, "w:gz", compresslevel=1) as written:
            for path in sorted(archive.directory.rglob("*")):
                if path.is_file():
                    written.add(weights if path == old else path, arcname=str(path.relative_to(archive.directory)))
