"""A folder of shards, one file a window of sentences, each there completely or not at all: what can be continued.

A shard's name holds its window's number and a hash of the window's words, so a shard that is there need not be made
again, whoever made it, and an input that is another one is noticed. A manifest tells what the numbers depend on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from elmo_tagger.errors import shown
from elmo_tagger.text.outputs import OutputError, errors_at_the_end, new_file, new_path
from elmo_tagger.vectors.compute import Array
from elmo_tagger.vectors.sentences import InputSentence
from elmo_tagger.vectors.windows import Window

SHARD_FORMATS = ("hdf5", "parquet")
JOINED = "npz"
"""The format of shards that become one file in the end."""
MANIFEST_NAME = "manifest.json"
AN_EARLIER_RUN = "left by an earlier run: continue it with --resume, or begin anew with --force"
INDEX_NAME = "sentence_to_index"
# Groups as of 2008: the names of millions of datasets then need no memory. Every h5py reads them.
HDF5_VERSION = ("v108", "v108")
_SHARD = re.compile(r"part-(\d{8,})-[0-9a-f]{16}\.\w+")


class ShardFolder:
    """A folder, made if need be, that takes shards.

    Args:
        folder: Where.
        shard_format: `hdf5`: a file as `join` makes, its datasets named by the index in the whole input; `parquet`:
            rows with `index`, `tokens`, `shape` and `vectors` (flat); `JOINED`.
        settings: All that the numbers depend on beside the sentences, as JSON values.
        computed_on: What computes: the last bits depend on it.
        replace: Whether the file that the shards will become may replace another one; a resumed folder knows.
        resume: Keep the shards that are there.
        force: Remove them.

    Attributes:
        folder, format, settings: As given.
        replace: As given, or as the folder was begun with.
        begun_on: What computed the shards that are there; `computed_on` where there are none.

    Raises:
        OutputError: There are shards already, or those of other settings.
        OSError: The folder cannot be written.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        shard_format: str,
        settings: Mapping[str, Any],
        computed_on: str = "",
        replace: bool = False,
        resume: bool = False,
        force: bool = False,
    ) -> None:
        if shard_format not in (*SHARD_FORMATS, JOINED):
            raise OutputError(f"format: expected one of {', '.join(SHARD_FORMATS)}, received {shard_format!r}")
        check_choice(resume=resume, force=force)
        self.folder = Path(folder)
        self.format = shard_format
        self._there = self._found()
        self._manifest_path = self.folder / MANIFEST_NAME
        self._manifest: dict[str, Any] = {"format": shard_format, "settings": dict(settings), "complete": False}
        self._manifest |= {"computed_on": computed_on, "replace": replace}
        if resume and (self._there or self._manifest_path.exists()):
            self._check_manifest()
        elif (self._there or self._manifest_path.exists()) and not force:
            raise OutputError(f"{folder}: {AN_EARLIER_RUN}")
        self.settings = dict(settings)
        self.replace, self.begun_on = self._manifest["replace"], self._manifest["computed_on"]
        self.folder.mkdir(parents=True, exist_ok=True)
        if not resume:
            self._remove_shards()
        self._write_manifest()

    def has(self, number: int, digest: str) -> bool:
        """Whether a window's shard is there.

        Raises:
            OutputError: There is that of another window: the input is another one.
        """
        if number in self._there and self._there[number] != self.path(number, digest).name:
            raise self._another_input()
        return number in self._there

    def path(self, number: int, digest: str) -> Path:
        """The file of a window."""
        return self.folder / f"part-{number:08d}-{digest}.{self.format}"

    def write(self, number: int, window: Window, arrays: list[Array]) -> None:
        """Adds a window's shard.

        Raises:
            OSError: It cannot be written; names it.
        """
        path = self.path(number, window.digest)
        write_shard(path, window, arrays)
        self._there[number] = path.name

    def finish(self, shards: int, *, sentences: int) -> None:
        """Makes sure that all shards are there, and notes it.

        Raises:
            OutputError: One is missing, or there are more.
        """
        self._there = self._found()
        missing = [number for number in range(shards) if number not in self._there]
        if missing:
            some = f"{len(missing)} shards are missing, the first is {missing[0]}"
            raise OutputError(f"{self.folder}: {some}: --resume makes them")
        if len(self._there) > shards:
            raise self._another_input()
        self._manifest |= {"complete": True, "sentences": sentences, "shards": shards}
        self._write_manifest()

    def read(self) -> Iterator[tuple[Window, list[Array]]]:
        """The windows of a `JOINED` folder with their arrays, in order; their places in the input are not kept."""
        first = 0
        for _, name in sorted(self._there.items()):
            window, arrays = _read_npz(self.folder / name, first)
            yield window, arrays
            first += len(arrays)

    def remove(self) -> None:
        """Removes what is there of it: once it has become a file, or if it holds nothing."""
        self._remove_shards()
        self._manifest_path.unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    @property
    def empty(self) -> bool:
        """Whether there are no shards."""
        return not self._there

    def _found(self) -> dict[int, str]:
        names = [path.name for path in self.folder.glob("part-*")]
        return {int(match[1]): name for name in names if (match := _SHARD.fullmatch(name))}

    def _remove_shards(self) -> None:
        for name in self._there.values():
            (self.folder / name).unlink(missing_ok=True)
        self._there = {}

    def _check_manifest(self) -> None:
        try:
            before = json.loads(self._manifest_path.read_text(encoding="utf-8"))
            settings = before["settings"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OutputError(
                f"{self._manifest_path}: missing or damaged, so nothing tells what the shards are of: begin anew with "
                "--force"
            ) from error
        check_settings(
            {**settings, "format": before.get("format")}, {**self._manifest["settings"], "format": self.format}
        )
        for name in ("computed_on", "replace"):
            self._manifest[name] = before.get(name, self._manifest[name])

    def _write_manifest(self) -> None:
        with new_file(self._manifest_path) as file:
            file.write(json.dumps(self._manifest, indent=1).encode() + b"\n")

    def _another_input(self) -> OutputError:
        return OutputError(
            f"{self.folder}: its vectors are not those of this input: expected the same input to --resume"
        )


def check_choice(*, resume: bool, force: bool) -> None:
    """Refuses to continue and to begin anew at once."""
    if resume and force:
        raise OutputError("expected --resume or --force, received both")


def check_settings(before: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Refuse to continue with other settings.

    Raises:
        OutputError: They differ; names each with both values.
    """
    changed = [name for name in settings if before.get(name) != settings[name]]
    if changed:
        differences = "; ".join(f"{name} was {shown(before.get(name))}, is {shown(settings[name])}" for name in changed)
        raise OutputError(f"the earlier run had other settings: {differences}: expected the same to --resume")


def write_shard(path: Path, window: Window, arrays: list[Array]) -> None:
    """Writes a window's file under a name of its own, then gives it its name: any number of processes may do so.

    Args:
        path: See `ShardFolder.path`; its ending tells the format.
        window: The sentences.
        arrays: Theirs.
    """
    write = {".hdf5": _write_hdf5, ".parquet": _write_parquet, f".{JOINED}": _write_npz}[path.suffix]
    with new_path(path) as unfinished:
        write(unfinished, window, arrays)


def _write_hdf5(path: Path, window: Window, arrays: list[Array]) -> None:
    index = {sentence.text: str(number) for number, sentence in enumerate(window.sentences, start=window.first)}
    with errors_at_the_end(path, path) as raw, h5py.File(raw, "w", libver=HDF5_VERSION) as file:
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


def _write_npz(path: Path, window: Window, arrays: list[Array]) -> None:
    sentences = json.dumps([[sentence.text, sentence.tokens] for sentence in window.sentences]).encode()
    with path.open("wb") as file:
        np.savez(
            file,
            vectors=np.concatenate([array.ravel() for array in arrays]),
            shapes=np.array([array.shape for array in arrays]),
            sentences=np.frombuffer(sentences, dtype=np.uint8),
        )


def _read_npz(path: Path, first: int) -> tuple[Window, list[Array]]:
    with np.load(path) as shard:
        flat, shapes = shard["vectors"], shard["shapes"]
        sentences = json.loads(shard["sentences"].tobytes())
    ends = np.cumsum(shapes.prod(axis=1))
    arrays = [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]
    return Window(first, [InputSentence(text, tokens, 0, 0, 0, 0) for text, tokens in sentences]), arrays
