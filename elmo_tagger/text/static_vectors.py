"""Static word vectors (GloVe, word2vec and fastText text files), read for the words that are asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from elmo_tagger.errors import shown
from elmo_tagger.text.files import BOM, DataError, read_lines

OutOfVocabulary = Literal["zero", "random", "mean"]
_NUMBER = re.compile(rb"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Coverage:
    """How many of the words asked for have a vector.

    Attributes:
        exact: Words that the file contains.
        lowercase: Words that it contains in lower case only.
        missing: Words that it does not contain.
    """

    exact: int
    lowercase: int
    missing: int

    def __str__(self) -> str:
        words = self.exact + self.lowercase + self.missing
        share = (self.exact + self.lowercase) / words if words else 0.0
        return (
            f"{share:.1%} of {words:,} words have a vector"
            f" ({self.exact:,} as written, {self.lowercase:,} in lower case, {self.missing:,} missing)"
        )


@dataclass(frozen=True, eq=False)
class StaticVectors:
    """Words and their vectors.

    Attributes:
        matrix: (words, D) float32.
        index: Each word's row, in the order in which the words were asked for.
        coverage: How many rows come from the file.
    """

    matrix: NDArray[np.float32]
    index: dict[str, int]
    coverage: Coverage


def load_vectors(
    path: str | Path,
    words: Iterable[str] | None,
    *,
    lowercase_fallback: bool = True,
    oov: OutOfVocabulary = "zero",
    seed: int = 0,
) -> StaticVectors:
    """Reads the vectors of some words, line by line, in memory for those words only.

    A line is a word and its numbers, set apart by single spaces; words may contain spaces. The first line may be a
    header, "words dimensions". Where a word is repeated its first vector counts.

    Args:
        path: The file; `.gz` and `.xz` are unpacked.
        words: The words; None for all of the file.
        lowercase_fallback: Whether a missing word gets the vector of its lower-case form.
        oov: The vectors of words still missing: zeros; normally distributed with the mean and standard deviation of
            all numbers found; or the mean of the vectors found.
        seed: Of the random vectors.

    Raises:
        DataError: A line with another number of numbers than the first, something that is no finite number in the
            vector of a wanted word (all with their line), a file cut off, an empty file, or none of the words found.
        OSError: The file cannot be opened or unpacked.
    """
    if oov not in get_args(OutOfVocabulary):
        raise DataError(f"oov {oov!r}: expected one of {', '.join(map(repr, get_args(OutOfVocabulary)))}")
    names = None if words is None else list(dict.fromkeys(words))
    wanted = None if names is None else _forms(names, lowercase_fallback)
    rows = _Rows(path)
    found: dict[str, NDArray[np.float32]] = {}
    for word, numbers, line in rows:
        form = word.decode(errors="replace") if wanted is None else wanted.get(word)
        if form is not None and form not in found:
            found[form] = rows.vector(numbers, line)
    if names is None:
        names = list(found)
    if names and not found:
        raise DataError(f"{path}: none of the {len(names):,} words asked for is in the file")
    return _assemble(names, found, rows.dimensions, lowercase_fallback=lowercase_fallback, oov=oov, seed=seed)


def _forms(names: Iterable[str], lowercase_fallback: bool) -> dict[bytes, str]:
    """The words and perhaps their lower-case forms, by the bytes that stand for them in the file."""
    forms = {form for name in names for form in ((name, name.lower()) if lowercase_fallback else (name,))}
    return {form.encode(errors="surrogatepass"): form for form in forms}


class _Rows:
    """The lines of a vector file as word, numbers and line number; all lines are checked for the number of numbers."""

    def __init__(self, path: str | Path):
        self.path = path
        self.dimensions = 0

    def __iter__(self) -> Iterator[tuple[bytes, bytes, int]]:
        promised, count, number = 0, 0, 0
        for number, raw in enumerate(read_lines(self.path), start=1):
            line = raw.rstrip(b" \r\n")
            if number == 1:
                line = line.removeprefix(BOM)
                promised, self.dimensions = _header(line)
                if promised:
                    continue
            if not line:
                continue
            self.dimensions = self.dimensions or line.count(b" ")
            count += 1
            if 0 < self.dimensions == line.count(b" "):
                word, _, numbers = line.partition(b" ")
            else:
                word, numbers = self._split_from_the_right(line, number)
            yield word, numbers, number
        if count == 0:
            raise DataError(
                f"{self.path}: no vectors in its {number} lines" if number else f"{self.path}: the file is empty"
            )
        if count < promised:
            raise DataError(
                f"{self.path}: {count:,} vectors, but its first line promises {promised:,}: the file is cut off"
            )

    def vector(self, numbers: bytes, line: int) -> NDArray[np.float32]:
        """(D,) the numbers of a line."""
        try:
            with np.errstate(over="ignore"):  # ends as infinity, which is refused below
                vector = np.array(numbers.split(b" "), dtype=np.float64).astype(np.float32)
        except ValueError:
            bad = next(number for number in numbers.split(b" ") if not _NUMBER.fullmatch(number))
            raise self._error(line, f"{shown(bad.decode(errors='replace'))} is not a number") from None
        if not np.isfinite(vector).all():
            raise self._error(line, "a value is NaN or infinite, expected finite numbers")
        return vector

    def _split_from_the_right(self, line: bytes, number: int) -> tuple[bytes, bytes]:
        """For a line with more cells than usual: the word contains spaces, unless what is too much is a number."""
        cells = line.split(b" ")
        extra = cells[1 : max(1, len(cells) - self.dimensions)]
        if self.dimensions == 0 or not extra or _NUMBER.fullmatch(extra[-1]):
            hint = "; the file looks binary, expected text" if b"\0" in line else ""
            raise self._error(number, f"{len(cells) - 1} numbers, expected {self.dimensions or 'at least 1'}{hint}")
        return b" ".join(cells[: -self.dimensions]), b" ".join(cells[-self.dimensions :])

    def _error(self, line: int, problem: str) -> DataError:
        return DataError(f"{self.path}:{line}: {problem}", path=str(self.path), line=line)


def _header(line: bytes) -> tuple[int, int]:
    """Words and dimensions that a first line like "400000 50" promises; zeros if the line is no header."""
    cells = line.split(b" ")
    return (int(cells[0]), int(cells[1])) if len(cells) == 2 and all(map(bytes.isdigit, cells)) else (0, 0)


def _assemble(
    names: list[str],
    found: dict[str, NDArray[np.float32]],
    dimensions: int,
    *,
    lowercase_fallback: bool,
    oov: OutOfVocabulary,
    seed: int,
) -> StaticVectors:
    matrix = np.zeros((len(names), dimensions), dtype=np.float32)
    missing = np.zeros(len(names), dtype=bool)
    exact = 0
    for row, name in enumerate(names):
        vector = found.get(name)
        exact += vector is not None
        if vector is None and lowercase_fallback:
            vector = found.get(name.lower())
        if vector is None:
            missing[row] = True
        else:
            matrix[row] = vector
    if missing.any() and oov != "zero":
        known = matrix[~missing].astype(np.float64)
        if oov == "mean":
            matrix[missing] = known.mean(axis=0)
        else:
            drawn = np.random.default_rng(seed).normal(known.mean(), known.std(), matrix.shape)
            matrix[missing] = drawn[missing]
    absent = int(missing.sum())
    coverage = Coverage(exact=exact, lowercase=len(names) - exact - absent, missing=absent)
    return StaticVectors(matrix, {name: row for row, name in enumerate(names)}, coverage)
