"""The same tags from many machines, through Ray: documents are handed out in batches, and come back in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from types import ModuleType
from typing import Any

from elmo_tagger.cli.tag_inputs import Item
from elmo_tagger.tagger import Document, Tagger, load
from elmo_tagger.vectors.compute import chosen_device
from elmo_tagger.vectors.ray_job import import_ray

AHEAD = 4
"""Batches a worker that are read, or tagged, before their turn: one slow batch does not keep the others waiting."""
_RETRIES = 3  # of a batch whose worker died: one that kills every worker shall not be tried for ever


class Worker:
    """Tags batches of documents; Ray makes one of it in each worker process, for as long as there are documents."""

    def __init__(self, model: str, load_options: dict[str, Any], pipe_options: dict[str, Any]) -> None:
        self._tagger = load_tagger(model, load_options)
        self._options = pipe_options

    def tag(self, inputs: list[dict[str, Any]]) -> list[Document]:
        """Tag one batch."""
        return list(self._tagger.pipe(inputs, **self._options))


def load_tagger(model: str, options: dict[str, Any]) -> Tagger:
    """As `load`; its device may be None, for a GPU if there is one.

    Raises:
        ValueError: There is no such device, or from `load`.
    """
    return load(model, **{**options, "device": chosen_device(options["device"])})


def tag_with_ray(
    items: Iterable[Item],
    model: str,
    *,
    load_options: dict[str, Any],
    pipe_options: dict[str, Any],
    workers: int | None,
) -> Iterator[tuple[Item, Document]]:
    """Tags documents with a cluster, a bounded number of them at once, so that memory does not grow with the input.

    A worker that dies is started again, and another one gets its batch.

    Args:
        items: The documents.
        model: What workers load, once each; all machines must see it under this name.
        load_options: Of `load_tagger`.
        pipe_options: Arguments of `Tagger.pipe`; its `batch_size` are handed out together.
        workers: How many; by default one for each GPU of the cluster, or for each CPU.

    Yields:
        As `items`, in their order.
    """
    load_tagger(model, {**load_options, "device": "cpu"})  # what is wrong with it is known here, not from a worker
    ray = import_ray()
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    gpus = 0 if load_options.get("device") == "cpu" else int(ray.cluster_resources().get("GPU", 0))
    worker = ray.remote(Worker).options(
        num_cpus=1, num_gpus=1 if gpus else 0, max_restarts=-1, max_task_retries=_RETRIES
    )
    count = workers or gpus or int(ray.cluster_resources()["CPU"])
    actors = [worker.remote(model, load_options, pipe_options) for _ in range(count)]
    items = iter(items)
    batches = iter(lambda: list(islice(items, pipe_options["batch_size"])), [])
    for batch, documents in _in_order(ray, actors, batches):
        yield from zip(batch, documents, strict=True)


def _in_order(
    ray: ModuleType, actors: list[Any], batches: Iterator[list[Item]]
) -> Iterator[tuple[list[Item], list[Document]]]:
    """Batches with their documents. A worker that is not ready yet, or never will be, gets none."""
    working = {actor.tag.remote([]): actor for actor in actors}  # by what is asked of them; first, to be there
    idle: list[Any] = []
    waiting: deque[tuple[list[Item], Any]] = deque()
    ended = False
    while waiting or not ended:
        while idle and not ended and len(waiting) < AHEAD * len(actors):
            batch = next(batches, [])
            ended = not batch
            if batch:
                actor = idle.pop()
                asked = actor.tag.remote([item.given for item in batch])
                working[asked] = actor
                waiting.append((batch, asked))
        while waiting and waiting[0][1] not in working:
            batch, asked = waiting.popleft()
            yield batch, ray.get(asked)
        if waiting or not ended:
            (answered,), _ = ray.wait(list(working), num_returns=1)
            idle.append(working.pop(answered))
