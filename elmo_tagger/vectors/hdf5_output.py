"""Vectors as .hdf5, in the layout of the `allennlp elmo` command and of bilm-tf's dumps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py

from elmo_tagger.vectors.compute import Array
from elmo_tagger.vectors.output import FileOutput
from elmo_tagger.vectors.partial_file import PartialFile
from elmo_tagger.vectors.windows import Window

INDEX_NAME = "sentence_to_index"
MAX_INDEX_BYTES = 1 << 28
# Groups as of 2008: the names of millions of datasets then need no memory. Every h5py reads them.
VERSION = ("v108", "v108")
_RECORD = "elmo_tagger"  # an attribute: those who count or list the datasets do not see it


class Hdf5Output(FileOutput):
    """Datasets "0", "1", ..., one a sentence, and `sentence_to_index`; what they were made of is an attribute.

    A dataset is (L, T, 2P) for all layers, T = 0 for a sentence without words. `sentence_to_index` holds one JSON
    object from sentences to names of datasets; of equal sentences the last one's.

    Args:
        file: The file.
        max_index_bytes: Beyond this much JSON `sentence_to_index` is left out, since it cannot be written in parts; 0
            for never writing it.

    Source: https://github.com/allenai/allennlp/blob/v0.9.0/allennlp/commands/elmo.py; bilm-tf, bilm/model.py,
    dump_bilm_embeddings.
    """

    def __init__(self, file: PartialFile, *, max_index_bytes: int = MAX_INDEX_BYTES) -> None:
        super().__init__(file)
        self._max_index_bytes = max_index_bytes
        self._index: bytearray | None = bytearray() if max_index_bytes else None

    @property
    def index_dropped(self) -> bool:
        """Whether `sentence_to_index` was wanted but became too large."""
        return self._index is None and self._max_index_bytes > 0

    def skip(self, window: Window) -> None:
        """Take note of a window that an earlier run wrote."""
        self._remember(window)

    def write(self, window: Window, arrays: Sequence[Array]) -> None:
        """Add a window's datasets; the file is complete HDF5 after each."""
        with _Hdf5(self._file) as datasets:
            for number, array in enumerate(arrays, start=window.first):
                datasets.create_dataset(str(number), data=array)
                self._file.check()
        self._remember(window)

    def finish(self) -> None:
        """Add `sentence_to_index` and the record of what was committed, and give the file its name."""
        with _Hdf5(self._file) as datasets:
            datasets.attrs[_RECORD] = json.dumps(dict(self.state))
            if self._index is not None:
                text = (b"{" + self._index[2:] + b"}").decode()
                datasets.create_dataset(INDEX_NAME, data=[text], dtype=h5py.string_dtype())
        super().finish()

    def _remember(self, window: Window) -> None:
        for number, sentence in enumerate(window.sentences, start=window.first):
            if self._index is None:
                return
            # a repeated name is valid JSON, and every reader takes the last
            self._index += f', {json.dumps(sentence.text)}: "{number}"'.encode()
            if len(self._index) > self._max_index_bytes:
                self._index = None


def recorded_state(path: Path) -> dict[str, Any]:
    """What the last commit to a complete file said; empty where it says nothing, or is no HDF5 at all."""
    try:
        with h5py.File(path, "r") as file:
            state: dict[str, Any] = json.loads(file.attrs.get(_RECORD, "{}"))
    except OSError:
        return {}
    return state


class _Hdf5:
    """The HDF5 file in a partial file; once writing has failed it closes as it can: that failure is what counts."""

    def __init__(self, file: PartialFile) -> None:
        self._file = file

    def __enter__(self) -> Any:
        self._hdf5 = h5py.File(self._file, "r+" if self._file.size else "w", libver=VERSION)
        return self._hdf5

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            self._hdf5.close()
        except (OSError, RuntimeError):
            self._file.check()
            raise
        self._file.check()
