"""Shards become one file: .hdf5 in the layout of old consumers, .npy, or JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from elmo_tagger.text.outputs import Target, errors_at_the_end, new_file, new_path
from elmo_tagger.vectors.compute import Array
from elmo_tagger.vectors.shards import HDF5_VERSION, INDEX_NAME, ShardFolder
from elmo_tagger.vectors.windows import Window

HDF5_SUFFIXES = (".hdf5", ".h5")
SUFFIXES = (*HDF5_SUFFIXES, ".npy", ".jsonl")
MAX_INDEX_BYTES = 1 << 28
_RECORD = "elmo_tagger"  # an attribute: those who count or list the datasets do not see it
_HEADER_BYTES = 256  # of .npy: room for any number of rows

Windows = Iterable[tuple[Window, list[Array]]]


def join(
    shards: ShardFolder,
    path: Target,
    *,
    settings: Mapping[str, Any],
    row_shape: tuple[int, ...],
    dtype: str,
    max_index_bytes: int = MAX_INDEX_BYTES,
) -> bool:
    """Writes the vectors of all shards into one file, which takes its name once it is complete.

    Args:
        shards: All of them.
        path: Ends in one of `SUFFIXES`.
        settings: Noted in .hdf5: see `recorded_settings`.
        row_shape: For .npy: of a sentence's array, the same for all.
        dtype: For .npy: of the values.
        max_index_bytes: Beyond this much JSON `sentence_to_index` is left out of .hdf5, since it cannot be written in
            parts; 0 for never writing it.

    Returns:
        Whether all is in the file; False if `sentence_to_index` was wanted but became too large.

    Raises:
        OSError: The file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix in HDF5_SUFFIXES:
        return _write_hdf5(shards.read(), path, settings, max_index_bytes)
    with new_file(path) as file:
        if suffix == ".npy":
            _write_npy(shards, file, row_shape, np.dtype(dtype).newbyteorder("<"))
        else:
            for window, arrays in shards.read():
                file.writelines(line.encode() for line in json_lines(window, arrays))
    return True


def recorded_settings(path: Path) -> dict[str, Any]:
    """The settings that a complete .hdf5 was made with; empty where it says nothing, or is no HDF5 at all.

    Of the formats only HDF5 has a place for them that nobody stumbles over: .npy is a header and numbers, and of .jsonl
    each line is a sentence.
    """
    try:
        with h5py.File(path, "r") as file:
            settings: dict[str, Any] = json.loads(file.attrs.get(_RECORD, "{}"))
    except (OSError, ValueError):
        return {}
    return settings


def json_lines(window: Window, arrays: list[Array]) -> Iterator[str]:
    """One JSON object a sentence: `index`, `tokens`, `vectors`."""
    for number, (sentence, array) in enumerate(zip(window.sentences, arrays, strict=True), start=window.first):
        yield json.dumps({"index": number, "tokens": sentence.tokens, "vectors": array.tolist()}) + "\n"


def _write_hdf5(windows: Windows, path: Target, settings: Mapping[str, Any], max_index_bytes: int) -> bool:
    """Datasets "0", "1", ..., one a sentence, and `sentence_to_index`.

    A dataset is (L, T, 2P) for all layers, T = 0 for a sentence without words. `sentence_to_index` holds one JSON
    object from sentences to names of datasets; of equal sentences the last one's.

    Source: https://github.com/allenai/allennlp/blob/v0.9.0/allennlp/commands/elmo.py; bilm-tf, bilm/model.py,
    dump_bilm_embeddings.
    """
    index: bytearray | None = bytearray() if max_index_bytes else None
    with (
        new_path(path) as unfinished,
        errors_at_the_end(unfinished, path) as raw,
        h5py.File(raw, "w", libver=HDF5_VERSION) as file,
    ):
        for window, arrays in windows:
            for number, (sentence, array) in enumerate(zip(window.sentences, arrays, strict=True), start=window.first):
                file.create_dataset(str(number), data=array)
                if index is not None:
                    # a repeated name is valid JSON, and every reader takes the last
                    index += f', {json.dumps(sentence.text)}: "{number}"'.encode()
            if index is not None and len(index) > max_index_bytes:
                index = None
            raw.check()
        file.attrs[_RECORD] = json.dumps(dict(settings))
        if index is not None:
            text = (b"{" + index[2:] + b"}").decode()
            file.create_dataset(INDEX_NAME, data=[text], dtype=h5py.string_dtype())
    return index is not None or not max_index_bytes


def _write_npy(shards: ShardFolder, file: Any, row_shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """One array (N, ...) for N sentences, as `numpy.load` reads it, memory-mapped too."""
    file.write(_npy_header(0, row_shape, dtype))
    rows = 0
    for _, arrays in shards.read():
        file.write(np.stack(arrays).astype(dtype, copy=False).tobytes())
        rows += len(arrays)
    file.seek(0)
    file.write(_npy_header(rows, row_shape, dtype))


def _npy_header(rows: int, row_shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    # format version 1.0, see numpy.lib.format
    text = repr({"descr": dtype.str, "fortran_order": False, "shape": (rows, *row_shape)})
    room = _HEADER_BYTES - 10
    return b"\x93NUMPY\x01\x00" + room.to_bytes(2, "little") + f"{text:<{room - 1}}\n".encode("latin-1")
