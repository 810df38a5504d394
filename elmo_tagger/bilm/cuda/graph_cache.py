"""Work on tensors that stay where they are, recorded once and played again."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Protocol

import torch

logger = logging.getLogger(__name__)

Work = Callable[[], None]

# PyTorch allows one recording at a time in a process
_RECORDING = threading.Lock()


class Recorder(Protocol):
    """A way to record work."""

    def record(self, work: Work) -> Work:
        """Something that does the same, faster."""

    def on_stream(self) -> AbstractContextManager[None]:
        """Within, what is played comes after what was played before, also where that was in another thread."""


class GraphCache:
    """A bounded store of recorded work: what was longest not played makes room.

    All of it works on the same tensors, so one caller at a time may fill them, play, and take what was computed.

    Args:
        recorder: How work is recorded.
        capacity: Recordings at most.
    """

    def __init__(self, recorder: Recorder, *, capacity: int) -> None:
        self.capacity = capacity
        self._recorder = recorder
        self._recorded: OrderedDict[Hashable, Work] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._recorded)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Within, no other thread plays."""
        with self._lock:
            with self._recorder.on_stream():
                yield

    def play(self, key: Hashable, work: Work) -> None:
        """Do some work: as it is the first time, which also compiles what needs compiling, then as it was recorded."""
        recorded = self._recorded.get(key)
        if recorded is not None:
            self._recorded.move_to_end(key)
            recorded()
            return
        work()
        self._recorded[key] = self._recorder.record(work)
        # only now, since recording has waited until nothing plays
        while len(self._recorded) > self.capacity:
            self._recorded.popitem(last=False)


class Unrecorded:
    """Does the work itself, where there are no CUDA graphs."""

    def record(self, work: Work) -> Work:
        """The work."""
        return work

    def on_stream(self) -> AbstractContextManager[None]:
        """Nothing: work is done at once."""
        return nullcontext()


class CudaGraphs:
    """Records work as CUDA graphs that share memory for what they need only while they play.

    Nothing that a graph allocates may be used after it has played: the next one may lie there.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        # one stream for all recordings, since cuBLAS takes a workspace for each
        self._side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        # what recordings read and write is made here
        self._last = torch.cuda.current_stream(device)
        self._broken: torch.cuda.CUDAGraph | None = None
        self._warned = False

    def record(self, work: Work) -> Work:
        """A graph of the work, which is not done; or the work itself, where it cannot be recorded."""
        if self._broken is not None:
            return work
        graph = torch.cuda.CUDAGraph()
        # only this thread is watched: another one may well allocate meanwhile
        recording = torch.cuda.graph(graph, pool=self._pool, stream=self._side, capture_error_mode="thread_local")
        stream = torch.cuda.current_stream(self._device)
        try:
            # a random generator's counters, made by a process's first recording, must not be tensors of inference mode:
            # before PyTorch 2.11 recordings in other modes fail to set them
            with _RECORDING, torch.inference_mode(False), torch.no_grad(), recording:
                work()
        except RuntimeError as error:
            self._warn(error)
            if not isinstance(error, torch.cuda.OutOfMemoryError):
                self._give_up(graph)
            return work
        finally:
            # `recording` leaves the side stream only if the driver ends the recording without an error
            torch.cuda.set_stream(stream)
        return graph.replay

    @contextmanager
    def on_stream(self) -> Iterator[None]:
        """Threads may have streams of their own; and the model need not be on the current device."""
        with torch.cuda.device(self._device):
            current = torch.cuda.current_stream()
            if self._last != current:
                current.wait_stream(self._last)
            self._last = current
            yield

    def _warn(self, error: RuntimeError) -> None:
        if not self._warned:
            logger.warning("CUDA graphs cannot be recorded here, so the biLM is slower: %s", error)
        self._warned = True

    def _give_up(self, graph: torch.cuda.CUDAGraph) -> None:
        """Record nothing more: what a recording that the driver broke off leaves behind cannot be known."""
        # PyTorch's allocator may go on asking the graph whether memory is for it, unless it is told
        self._broken = graph
        with suppress(RuntimeError, AttributeError):  # it was told, or has no such function
            torch._C._cuda_endAllocateToPool(self._device.index or 0, self._pool)
