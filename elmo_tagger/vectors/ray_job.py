"""The same work on many machines, through Ray Data: windows are handed out, each becomes one shard.

A shard is the same whoever makes it, and there once however often it is made: when a worker dies Ray hands its windows
to another one. The input, the weights and the folder must be seen by all machines under the same names, and this
package must be installed on each of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from types import ModuleType
from typing import Any

from elmo_tagger.text.outputs import OutputError
from elmo_tagger.vectors.compute import Request, SentenceVectors, chosen_device
from elmo_tagger.vectors.model_source import ModelSource
from elmo_tagger.vectors.sentences import STANDARD_INPUT, SentenceSource
from elmo_tagger.vectors.shards import ShardFolder, write_shard
from elmo_tagger.vectors.slices import Slice, slices

_FIELDS = [field.name for field in fields(Slice)]

HandOut = Callable[[list[Slice], dict[str, Any], "int | None"], Iterator[tuple[Slice, int]]]
"""What has slices done, as `with_ray` does."""


def run(
    source: SentenceSource,
    model: ModelSource,
    request: Request,
    shards: ShardFolder,
    *,
    workers: int | None = None,
    device: str | None = None,
    report: Callable[[Slice, int], None] = lambda slice, worker: None,
    hand_out: HandOut | None = None,
) -> int:
    """Embed all sentences of a file into shards.

    Args:
        source: A file that is not packed.
        model: What workers load, one each.
        request: What is wanted of each sentence.
        shards: Takes what is made; what is there is not made again.
        workers: How many; by default one for each GPU of the cluster, or for each CPU.
        device: As of `chosen_device`, for each worker.
        report: Is told each window when it is done, and the process that did it.
        hand_out: Has slices done by workers; `with_ray` by default.

    Returns:
        The number of sentences.

    Raises:
        OutputError: The folder that is resumed belongs to another input, or a shard is missing in the end.
        DataError: A line of the input is wrong.
        OSError: Reading or writing failed.
    """
    check_source(source)
    plan = list(slices(source, batch_tokens=request.batch_tokens))
    left = [each for each in plan if not shards.has(each.number, each.digest)]
    arguments = {"source": source, "model": model, "request": request, "device": device, "shards": shards}
    for done, process in (hand_out or with_ray)(left, arguments, workers):
        report(done, process)
    sentences = sum(each.count for each in plan)
    shards.finish(len(plan), sentences=sentences)
    return sentences


def check_source(source: SentenceSource) -> None:
    """Refuses an input that the workers cannot read.

    Raises:
        OutputError: It is a pipe, or packed.
    """
    if source.path == STANDARD_INPUT or source.size is None:
        raise OutputError(f"{source.name}: expected a file that every worker can read from the middle, so unpacked")


class Worker:
    """Embeds windows; Ray makes one of it in each worker process."""

    def __init__(
        self,
        source: SentenceSource,
        model: ModelSource,
        request: Request,
        device: str | None,
        shards: ShardFolder,
    ) -> None:
        self._source = source
        bilm, mix = model.load()
        self._vectors = SentenceVectors(bilm, request, mix=mix, device=chosen_device(device))
        self._shards = shards

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Write the shards of some slices; gives back which they were, and this process."""
        rows = [_slice(row) for row in zip(*(batch[name] for name in _FIELDS), strict=True)]
        for each in rows:
            window = each.read(self._source)
            arrays = self._vectors([sentence.tokens for sentence in window.sentences])
            write_shard(self._shards.path(each.number, each.digest), window, arrays)
        return {
            **{name: [getattr(each, name) for each in rows] for name in _FIELDS},
            "process": [os.getpid()] * len(rows),
        }


def _slice(values: Iterable[Any]) -> Slice:
    """A slice from NumPy's values."""
    number, digest, *places = values
    return Slice(int(number), str(digest), *map(int, places))


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


def with_ray(left: list[Slice], arguments: dict[str, Any], workers: int | None) -> Iterator[tuple[Slice, int]]:
    """Have all slices done by `Worker`s of a Ray cluster.

    Args:
        left: The slices.
        arguments: Of `Worker`.
        workers: How many; by default one for each GPU of the cluster, or for each CPU.

    Yields:
        Each slice when it is done, and the process that did it.
    """
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
        yield _slice(row[name] for name in _FIELDS), int(row["process"])
