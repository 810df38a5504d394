"""Where vectors go: into a file, made of a folder of shards beside it, or into a folder that keeps its shards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from elmo_tagger.text.outputs import Output, OutputError
from elmo_tagger.vectors.compute import SentenceVectors
from elmo_tagger.vectors.join import MAX_INDEX_BYTES, SUFFIXES, join, recorded_settings
from elmo_tagger.vectors.shards import AN_EARLIER_RUN, JOINED, ShardFolder, check_choice, check_settings


class Destination:
    """An output, looked at before a large model is loaded.

    Args:
        output: A name that ends in one of `SUFFIXES`, or a folder.
        inputs: Files that must not be written over.
        pooled: Whether sentences have one vector each.
        resume: Continue where an interrupted run stopped.
        force: Replace what is there.

    Attributes:
        path: The output.
        folder: The folder of shards: beside a file it is named like it, with `.parts`.
        complete: Whether there is nothing to resume, because the file is there.

    Raises:
        OutputError: Something stands in the way, or the format is not known or does not fit.
        OSError: There is no folder to write the file into.
    """

    def __init__(self, output: str, *, inputs: Iterable[str], pooled: bool, resume: bool, force: bool) -> None:
        check_choice(resume=resume, force=force)
        self.path = Path(output)
        suffix = self.path.suffix.lower()
        self._is_file = suffix in SUFFIXES and not self.path.is_dir()
        if not self._is_file and suffix and not output.endswith("/") and not self.path.is_dir():
            raise OutputError(f"{output}: expected a name that ends in one of {', '.join(SUFFIXES)}, or a folder")
        if self._is_file and suffix == ".npy" and not pooled:
            raise OutputError(f"{output}: sentences differ in length: one .npy array needs --pool; or expected .hdf5")
        self.folder = self.path.with_name(self.path.name + ".parts") if self._is_file else self.path
        self.complete = resume and self._is_file and self.path.exists() and not self.folder.exists()
        self._inputs, self._resume, self._force = tuple(inputs), resume, force
        if self._is_file and not resume:
            self._output(force)
            if self.folder.exists() and not force:
                raise OutputError(f"{self.folder}: {AN_EARLIER_RUN}")

    def check_complete(self, settings: Mapping[str, Any]) -> None:
        """Refuses a complete file that says it was made with other settings; .hdf5 alone can say it.

        Raises:
            OutputError: It was.
        """
        recorded = recorded_settings(self.path)
        if recorded:
            check_settings(recorded, settings)

    def open(self, settings: Mapping[str, Any], *, computed_on: str, shard_format: str) -> ShardFolder:
        """The folder to fill.

        Args:
            settings: See `ShardFolder`.
            computed_on: See `ShardFolder`.
            shard_format: Of a folder that keeps its shards.
        """
        return ShardFolder(
            self.folder,
            shard_format=JOINED if self._is_file else shard_format,
            settings=settings,
            computed_on=computed_on,
            replace=self._force,
            resume=self._resume,
            force=self._force,
        )

    def finish(self, shards: ShardFolder, vectors: SentenceVectors, *, forget_sentences: bool = False) -> bool:
        """Makes the file, if one is wanted, and removes its shards.

        Returns:
            False if `sentence_to_index` became too large for it and is left out.
        """
        if not self._is_file:
            return True
        whole = join(
            shards,
            self._output(shards.replace),
            settings=shards.settings,
            row_shape=vectors.shape(0),
            dtype=vectors.request.dtype,
            max_index_bytes=0 if forget_sentences else MAX_INDEX_BYTES,
        )
        shards.remove()
        return whole

    def _output(self, force: bool) -> Output:
        return Output(self.path, inputs=self._inputs, force=force)
