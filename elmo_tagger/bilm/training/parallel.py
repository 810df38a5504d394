"""Work shared out to processes, results in order, memory bounded."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_AHEAD = 2  # pieces that wait for each process, so that none is ever idle


class WorkerDiedError(OSError):
    """A process ended before it gave its result."""


def map_in_order(function: Callable[[Item], Result], items: Iterable[Item], *, workers: int) -> Iterator[Result]:
    """Apply a function of a module to items, in several processes.

    Args:
        function: Given by name to the processes.
        items: Taken as they are needed, never more than a few ahead.
        workers: Processes; with 0 or 1 all is done in this one.

    Yields:
        The results, in the order of the items.

    Raises:
        WorkerDiedError: A process was killed.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    # a fork would copy the locks that other threads (of torch, of a progress bar) hold
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context)
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > workers * _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise WorkerDiedError(
            f"one of {workers} worker processes ended before its work was done; if memory is short, "
            "use fewer of them: nothing was written"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
