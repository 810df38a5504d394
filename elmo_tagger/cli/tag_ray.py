"""The same tags from many machines, through Ray Data: documents are handed out in batches, and come back in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from elmo_tagger.cli.tag_inputs import Item
from elmo_tagger.tagger import Document, Tagger, load
from elmo_tagger.vectors.compute import chosen_device
from elmo_tagger.vectors.ray_job import import_ray

WINDOW = 2**16
"""Documents that are read before the first of them are handed out; workers load the model once for each window."""


class Worker:
    """Tags batches of documents; Ray makes one of it in each worker process."""

    def __init__(self, model: str, load_options: dict[str, Any], pipe_options: dict[str, Any]) -> None:
        self._tagger = load_tagger(model, load_options)
        self._options = pipe_options

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Tag one batch, which is numbered."""
        (inputs,) = batch["inputs"]
        return {"number": list(batch["number"]), "documents": [list(self._tagger.pipe(inputs, **self._options))]}


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
    """Tags documents with a cluster, `WINDOW` of them after the other, so that memory does not grow with the input.

    Args:
        items: The documents.
        model: What workers load; all machines must see it under this name.
        load_options: Of `load_tagger`.
        pipe_options: Arguments of `Tagger.pipe`; its `batch_size` are handed out together.
        workers: How many; by default one for each GPU of the cluster, or for each CPU.

    Yields:
        As `items`, in their order.
    """
    items = iter(items)
    while known := list(islice(items, WINDOW)):
        yield from _tag_window(known, model, load_options, pipe_options, workers)


def _tag_window(
    known: Sequence[Item],
    model: str,
    load_options: dict[str, Any],
    pipe_options: dict[str, Any],
    workers: int | None,
) -> Iterator[tuple[Item, Document]]:
    ray = import_ray()
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    batch_size = pipe_options["batch_size"]
    batches = [known[first : first + batch_size] for first in range(0, len(known), batch_size)]
    rows = [{"number": n, "inputs": [item.given for item in batch]} for n, batch in enumerate(batches)]
    gpus = 0 if load_options.get("device") == "cpu" else int(ray.cluster_resources().get("GPU", 0))
    tagged = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        Worker,
        fn_constructor_args=(model, load_options, pipe_options),
        batch_size=1,
        concurrency=min(len(rows), workers or gpus or int(ray.cluster_resources()["CPU"])),
        num_cpus=1,
        num_gpus=1 if gpus else None,
    )
    waiting = deque(known)
    for row in tagged.iter_rows():
        for document in row["documents"]:
            yield waiting.popleft(), document
