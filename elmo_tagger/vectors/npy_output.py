"""Pooled vectors as one .npy array."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from elmo_tagger.vectors.compute import Array
from elmo_tagger.vectors.output import FileOutput
from elmo_tagger.vectors.partial_file import PartialFile
from elmo_tagger.vectors.windows import Window

_HEADER_BYTES = 256  # room for any number of rows


class NpyOutput(FileOutput):
    """One array (N, ...) for N sentences, as `numpy.load` reads it, memory-mapped too.

    Args:
        file: The file.
        row_shape: Of a sentence's array, the same for all.
        dtype: Of the values.
    """

    def __init__(self, file: PartialFile, *, row_shape: tuple[int, ...], dtype: str) -> None:
        super().__init__(file)
        self._rows = 0
        self._row_shape = row_shape
        self._dtype = np.dtype(dtype).newbyteorder("<")

    def skip(self, window: Window) -> None:
        """Count a window that an earlier run wrote."""
        self._rows += len(window.sentences)

    def write(self, window: Window, arrays: Sequence[Array]) -> None:
        """Add a window's rows."""
        if not self._rows:
            self._write_header()
        self._file.seek(0, os.SEEK_END)
        self._file.write(np.stack(arrays).astype(self._dtype, copy=False))
        self._rows += len(arrays)

    def finish(self) -> None:
        """Put the number of rows into the header and give the file its name."""
        self._write_header()
        super().finish()

    def _write_header(self) -> None:
        # format version 1.0, see numpy.lib.format
        shape = (self._rows, *self._row_shape)
        text = repr({"descr": self._dtype.str, "fortran_order": False, "shape": shape})
        room = _HEADER_BYTES - 10
        self._file.seek(0)
        self._file.write(b"\x93NUMPY\x01\x00" + room.to_bytes(2, "little") + f"{text:<{room - 1}}\n".encode("latin-1"))
