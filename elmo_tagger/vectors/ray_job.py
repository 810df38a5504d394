"""The same work on many machines, through Ray Data: windows are handed out, each becomes one shard.

A shard is the same whoever makes it, and there once however often it is made: when a worker dies Ray hands its windows
to another one. The input, the weights and the folder must be seen by all machines under the same names, and this
package must be installed on each of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from elmo_tagger.vectors.compute import Request, SentenceVectors, chosen_device
from elmo_tagger.vectors.model_source import ModelSource
from elmo_tagger.vectors.partial_file import OutputError
from elmo_tagger.vectors.record import Seen
from elmo_tagger.vectors.sentences import STANDARD_INPUT, SentenceSource
from elmo_tagger.vectors.shards import SHARD_FORMATS, prepare_folder, shard_path, write_manifest, write_shard
from elmo_tagger.vectors.slices import Slice, slices

_FIELDS = [field.name for field in fields(Slice)]


def run(
    source: SentenceSource,
    model: ModelSource,
    request: Request,
    folder: str | Path,
    *,
    settings: Mapping[str, Any],
    shard_format: str = "hdf5",
    workers: int | None = None,
    device: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    report: Callable[[Slice, int], None] = lambda slice, worker: None,
) -> int:
    """Embed all sentences of a file into a folder of shards and a `manifest.json`.

    Args:
        source: A file that is not packed.
        model: What workers load, one each.
        request: What is wanted of each sentence.
        folder: Made if need be.
        settings: As of `job.settings`; a resumed folder must have been begun with the same ones.
        shard_format: See `write_shard`.
        workers: How many; by default one for each GPU of the cluster, or for each CPU.
        device: As of `chosen_device`, for each worker.
        resume: Keep the shards that are there.
        overwrite: Remove them.
        report: Is told each window when it is done, and the process that did it.

    Returns:
        The number of sentences.

    Raises:
        OutputError: The folder holds shards already, or those of other settings or another input, or a shard is
            missing in the end.
        DataError: A line of the input is wrong.
        OSError: Reading or writing failed.
    """
    folder = Path(folder)
    _check(source, shard_format)
    seen = Seen()
    plan = list(slices(source, batch_tokens=request.batch_tokens, seen=seen))
    manifest: dict[str, Any] = {
        "format": shard_format,
        "sentences": seen.sentences,
        "input": seen.hexdigest(),
        "shards": len(plan),
        "settings": dict(settings),
        "complete": False,
    }
    prepare_folder(folder, manifest, resume=resume, overwrite=overwrite)
    left = [each for each in plan if not shard_path(folder, each.number, shard_format).exists()]
    arguments = {"source": source, "model": model, "request": request, "device": device}
    for done, process in _hand_out(left, {**arguments, "folder": folder, "shard_format": shard_format}, workers):
        report(done, process)
    missing = [each.number for each in plan if not shard_path(folder, each.number, shard_format).exists()]
    if missing:
        raise OutputError(
            f"{folder}: {len(missing)} shards are missing, the first is {missing[0]}: --resume makes them"
        )
    write_manifest(folder, {**manifest, "complete": True})
    return seen.sentences


class Worker:
    """Embeds windows; Ray makes one of it in each worker process."""

    def __init__(
        self,
        source: SentenceSource,
        model: ModelSource,
        request: Request,
        device: str | None,
        folder: Path,
        shard_format: str,
    ) -> None:
        self._source = source
        bilm, mix = model.load()
        self._vectors = SentenceVectors(bilm, request, mix=mix, device=chosen_device(device))
        self._folder = folder
        self._format = shard_format

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Write the shards of some slices; gives back which they were, and this process."""
        rows = [Slice(*map(int, row)) for row in zip(*(batch[name] for name in _FIELDS), strict=True)]
        for each in rows:
            window = each.read(self._source)
            arrays = self._vectors([sentence.tokens for sentence in window.sentences])
            write_shard(shard_path(self._folder, each.number, self._format), window, arrays)
        return {
            **{name: [getattr(each, name) for each in rows] for name in _FIELDS},
            "process": [os.getpid()] * len(rows),
        }


def _check(source: SentenceSource, shard_format: str) -> None:
    if shard_format not in SHARD_FORMATS:
        raise OutputError(f"format: expected one of {', '.join(SHARD_FORMATS)}, received {shard_format!r}")
    if source.path == STANDARD_INPUT or source.size is None:
        raise OutputError(f"{source.name}: expected a file that every worker can read from the middle, so unpacked")


def import_ray() -> ModuleType:
    """Ray, told that its workers use the environment that is there.

    Of a program under `uv run` Ray would otherwise copy the working folder and start each worker by `uv run` in the
    copy, whereupon uv installs the project anew, from the copy, where UV_PROJECT_ENVIRONMENT says: in the caller's own
    environment. Who wants that sets RAY_ENABLE_UV_RUN_RUNTIME_ENV=1, or imports Ray before.

    Raises:
        OutputError: Ray is not installed.
    """
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # read when Ray is imported
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise OutputError("many machines need Ray: run `pip install 'elmo-tagger[ray]'`") from error
    return ray


def _hand_out(left: list[Slice], arguments: dict[str, Any], workers: int | None) -> Iterator[tuple[Slice, int]]:
    """Have all slices done; gives each as it is, and the process that did it."""
    if not left:
        return
    ray = import_ray()
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    resources: dict[str, float] = ray.cluster_resources()
    gpus = 0 if arguments["device"] == "cpu" else int(resources.get("GPU", 0))
    dataset = ray.data.from_items([asdict(each) for each in left], override_num_blocks=len(left)).map_batches(
        Worker,
        fn_constructor_kwargs=arguments,
        batch_size=1,
        concurrency=min(len(left), workers or gpus or int(resources["CPU"])),
        num_cpus=1,
        num_gpus=1 if gpus else None,
    )
    for row in dataset.iter_rows():
        yield Slice(*(int(row[name]) for name in _FIELDS)), int(row["process"])
