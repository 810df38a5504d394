"""Two pieces of work at a time on a CPU, each with half of PyTorch's threads.

PyTorch shares every single operation among its threads and waits for the last of them. An LSTM has a thousand short
ones, and where another program holds a core, each of them waits for it. Two pieces of work that need nothing of each
other wait once, at their end.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import torch

Piece = Callable[[], None]

WORTH_A_THREAD = 2**20
"""Multiplications of a step's product, below which two directions of an LSTM are faster one after the other."""

_teams: dict[int, tuple[ThreadPoolExecutor, ThreadPoolExecutor]] = {}
_making = threading.Lock()


def run_in_parallel(one: Piece, other: Piece, *, short: bool = False) -> None:
    """Do both, at the same time if PyTorch has more than one thread.

    Args:
        one: What gradient and inference mode are for the caller, they are for both pieces. Autocast is not.
        other: Must neither read nor write what `one` writes.
        short: Whether their operations take microseconds, so that two threads would mostly wait for each other's
            Python: then one after the other, with half of the threads all the same.

    Raises:
        Exception: What one of them raises, once both have ended.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        one()
        other()
        return
    gradients, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    def as_here(piece: Piece) -> None:
        with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
            piece()

    first, second = _team(threads)
    ends = [first.submit(as_here, one), (first if short else second).submit(as_here, other)]
    wait(ends)
    for end in ends:
        end.result()


def _team(threads: int) -> tuple[ThreadPoolExecutor, ThreadPoolExecutor]:
    """Two workers that share a number of threads; kept, since each thread brings its own threads for OpenMP."""
    with _making:
        if threads not in _teams:
            _teams[threads] = _worker(threads - threads // 2), _worker(threads // 2)
            # a thread sets its own number, and the one that threads begin with which are made later
            torch.set_num_threads(threads)
        return _teams[threads]


def _worker(threads: int) -> ThreadPoolExecutor:
    def begin() -> None:
        torch.get_num_threads()  # the first look would put the number back to what threads begin with
        torch.set_num_threads(threads)

    worker = ThreadPoolExecutor(1, thread_name_prefix="elmo_tagger")
    worker.submit(begin).result()
    return worker


def _forget() -> None:
    """A fork has the teams' threads in its books, but not the threads."""
    global _making
    _teams.clear()
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
