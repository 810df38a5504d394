"""The biLM of a trained model, from its archive (`model.tar.gz`) or run, without AllenNLP."""

from __future__ import annotations

from pathlib import Path

from elmo_tagger.archives import open_archive
from elmo_tagger.bilm.loading import checkpoint
from elmo_tagger.bilm.loading.checkpoint import Checkpoint, CheckpointError


def read_archive(path: str | Path) -> Checkpoint:
    """The one embedder `elmo_hdf5` of an archive or of the directory of a training run.

    Raises:
        ArchiveError: It is damaged, or has no weights.
        CheckpointError: Its model has no embedder `elmo_hdf5` or several.
        OSError: It cannot be read.
    """
    with open_archive(path) as archive:
        found = checkpoint.described(archive.weights(), source=str(path))
    if len(found) != 1:
        raise CheckpointError(f"{path}: expected a model with one embedder elmo_hdf5, this one has {len(found)}")
    return found[0]
