"""Vectors as JSON lines, to a file or to standard output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence

from elmo_tagger.vectors.compute import Array
from elmo_tagger.vectors.output import FileOutput, VectorOutput
from elmo_tagger.vectors.windows import Window


class JsonLinesOutput(FileOutput):
    """A file with one JSON object a sentence: `index`, `tokens`, `vectors`."""

    def write(self, window: Window, arrays: Sequence[Array]) -> None:
        """Add a window's lines."""
        self._file.seek(0, os.SEEK_END)
        for line in _lines(window, arrays):
            self._file.write(line.encode())


class StandardOutput(VectorOutput):
    """The same lines to standard output, where nothing can be resumed."""

    def write(self, window: Window, arrays: Sequence[Array]) -> None:
        """Print a window's lines."""
        sys.stdout.writelines(_lines(window, arrays))
        sys.stdout.flush()


def _lines(window: Window, arrays: Sequence[Array]) -> Iterator[str]:
    for number, (sentence, array) in enumerate(zip(window.sentences, arrays, strict=True), start=window.first):
        yield json.dumps({"index": number, "tokens": sentence.tokens, "vectors": array.tolist()}) + "\n"
