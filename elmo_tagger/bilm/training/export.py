"""A trained biLM as `options.json` and `weights.hdf5`."""

from __future__ import annotations

import re
from pathlib import Path

from elmo_tagger.archives import read_weights, weights_in
from elmo_tagger.bilm.loading import checkpoint
from elmo_tagger.bilm.loading.checkpoint import CheckpointError
from elmo_tagger.bilm.loading.hdf5_weights import WEIGHTS_NAME
from elmo_tagger.bilm.loading.source import load_bilm
from elmo_tagger.bilm.model import Bilm
from elmo_tagger.text.outputs import Target

_CHECKPOINT = re.compile(r"model_state_e(\d+)_b(\d+)\.th")


def export(run: str | Path, directory: Target, *, dtype: str = "float32") -> Path:
    """Write the biLM of a training.

    Args:
        run: The directory of a training, of a biLM or of a tagger that fine-tuned one, finished or not; its archive;
            or any other source of a biLM that `load_bilm` knows.
        directory: Where to write.
        dtype: See `hdf5_weights.save`.

    Returns:
        The file with the weights.

    Raises:
        ArchiveError: The weights are damaged.
        CheckpointError: There is no biLM.
        ValueError: Other sources' errors; another dtype, or values that it cannot hold.
        OSError: A file cannot be read or written.
    """
    _load(str(run)).save(directory, dtype=dtype)
    return Path(directory) / WEIGHTS_NAME


def _load(run: str) -> Bilm:
    path = Path(run)
    last = _last_checkpoint(path) if path.is_dir() and weights_in(path) is None else None
    if last is None:
        return load_bilm(run)
    found = checkpoint.described(read_weights(last), source=str(last))
    if len(found) != 1:
        raise CheckpointError(f"{last}: expected a model with one biLM, this one has {len(found)}")
    return found[0].bilm()


def _last_checkpoint(run: Path) -> Path | None:
    """The newest weights of a training that has finished no epoch yet."""
    places = {path: _CHECKPOINT.fullmatch(path.name) for path in run.iterdir()}
    found = {path: (int(match[1]), int(match[2])) for path, match in places.items() if match is not None}
    return max(found, key=lambda path: found[path], default=None)
