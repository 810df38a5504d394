"""A folder of shards, one file a window, each there completely or not at all, and a manifest of them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from elmo_tagger.vectors.compute import Array
from elmo_tagger.vectors.hdf5_output import INDEX_NAME, VERSION
from elmo_tagger.vectors.partial_file import OutputError
from elmo_tagger.vectors.windows import Window

SHARD_FORMATS = ("hdf5", "parquet")
MANIFEST_NAME = "manifest.json"


def shard_path(folder: Path, number: int, shard_format: str) -> Path:
    """The file of a window."""
    return folder / f"part-{number:08d}.{shard_format}"


def write_shard(path: Path, window: Window, arrays: list[Array]) -> None:
    """Write a window's file under a name of its own, then give it its name: any number of processes may do so.

    Args:
        path: Ends in one of `SHARD_FORMATS`. `hdf5`: a file as `Hdf5Output` makes, its datasets named by the index in
            the whole input; `parquet`: rows with `index`, `tokens`, `shape` and `vectors` (flat).
        window: The sentences.
        arrays: Theirs.
    """
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        (_write_hdf5 if path.suffix == ".hdf5" else _write_parquet)(unfinished, window, arrays)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def prepare_folder(folder: Path, manifest: dict[str, Any], *, resume: bool, overwrite: bool) -> None:
    """Make a folder ready for shards.

    Raises:
        OutputError: It holds vectors already, or those of other settings or another input.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if resume and overwrite:
        raise OutputError("expected --resume or --overwrite, received both")
    path = folder / MANIFEST_NAME
    shards = [file for shard_format in SHARD_FORMATS for file in folder.glob(f"part-*.{shard_format}")]
    if (path.exists() or shards) and not (resume or overwrite):
        raise OutputError(f"{folder}: holds vectors already: continue with --resume, or begin anew with --overwrite")
    if resume and shards and not path.exists():
        raise OutputError(f"{path}: missing, so nothing tells what the shards are of: begin anew with --overwrite")
    if resume and path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = [name for name in manifest if name != "complete" and before.get(name) != manifest[name]]
        if changed:
            raise OutputError(f"{folder}: begun with other {', '.join(changed)}: expected the same to --resume")
    if overwrite:
        for file in shards:
            file.unlink()
    write_manifest(folder, manifest)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write or replace the manifest."""
    new = folder / f".{MANIFEST_NAME}"
    new.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    new.replace(folder / MANIFEST_NAME)


def _write_hdf5(path: Path, window: Window, arrays: list[Array]) -> None:
    index = {sentence.text: str(number) for number, sentence in enumerate(window.sentences, start=window.first)}
    with h5py.File(path, "w", libver=VERSION) as file:
        for number, array in enumerate(arrays, start=window.first):
            file.create_dataset(str(number), data=array)
        file.create_dataset(INDEX_NAME, data=[json.dumps(index)], dtype=h5py.string_dtype())


def _write_parquet(path: Path, window: Window, arrays: list[Array]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    bounds = np.cumsum([0, *(array.size for array in arrays)])
    flat = pa.array(np.concatenate([array.ravel() for array in arrays]))
    columns = {
        "index": pa.array(range(window.first, window.first + len(arrays)), pa.int64()),
        "tokens": pa.array([sentence.tokens for sentence in window.sentences], pa.list_(pa.string())),
        "shape": pa.array([list(array.shape) for array in arrays], pa.list_(pa.int64())),
        "vectors": pa.LargeListArray.from_arrays(pa.array(bounds, pa.int64()), flat),
    }
    pq.write_table(pa.table(columns), path)
