"""Interleaved timing, the machine's peak of matrix products, and what the machine is."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from elmo_tagger.bilm.cpu.prepacked_linear import PrepackedLinear, available_layouts
from elmo_tagger.bilm.cuda.ops import has_triton
from elmo_tagger.bilm.factors import Factor
from elmo_tagger.bilm.precision import product_dtype, weight_dtype


def seconds(run: Callable[[], Any], device: str = "cpu") -> float:
    """Time of one call, the device's queue emptied before and after.

    With one thread on a CPU it is processor time, which other work on the machine does not add to. On a GPU it is the
    third call of three: the first may compile kernels and record graphs for shapes that are new, which gives PyTorch's
    cached memory back to the driver, and the second asks for it again.
    """
    if on_cuda(device):
        run(), run()
    clock = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    _wait(device)
    begin = clock()
    run()
    _wait(device)
    return clock() - begin


def take_turns(
    rounds: Callable[[int], Mapping[str, Callable[[], Any]]],
    *,
    budget: float,
    device: str = "cpu",
    warm_up: bool = True,
    least: int = 1,
    most: int = 50,
) -> list[dict[str, float]]:
    """Seconds of each contender, round by round.

    Contenders take turns, in another order each round, so that a busy machine slows all alike.

    Args:
        rounds: For the number of a round what each contender does.
        budget: No round begins after so many seconds.
        device: Where they compute.
        warm_up: Whether round 0 is not counted.
        least: Rounds that are measured however long they take.
        most: Rounds at most.
    """
    times: list[dict[str, float]] = []
    begin = time.perf_counter()
    number = 0
    if warm_up:
        for run in rounds(number).values():
            run()
        number = 1
    while len(times) < most and (len(times) < least or time.perf_counter() - begin < budget):
        runs = list(rounds(number).items())
        first = number % len(runs)
        times.append({name: seconds(run, device) for name, run in runs[first:] + runs[:first]})
        number += 1
    return times


def ratio(times: list[dict[str, float]], name: str, peer: str) -> float:
    """How many times as fast as the peer: the median over rounds."""
    return statistics.median(each[peer] / each[name] for each in times)


def median(times: list[dict[str, float]], name: str) -> float:
    """Median seconds of a contender."""
    return statistics.median(each[name] for each in times)


def peak_flops(precision: str, *, device: str = "cpu") -> float:
    """Operations a second of a large square product, in the fastest layout for what a precision multiplies."""
    size = 8192 if on_cuda(device) else 2048  # large enough that its launch takes no time
    if on_cuda(device):
        rows = torch.randn(size, size, dtype=product_dtype(precision, torch.float32, "cuda"), device=device)
        products: list[Callable[[], Any]] = [lambda: rows @ rows]
    else:
        weight = Factor(torch.randn(size, size)).rounded(weight_dtype(precision, "", torch.float32))
        dtype = product_dtype(precision, torch.float32, "cpu")
        rows = torch.randn(size, size, dtype=dtype)
        own = PrepackedLinear(weight, dtype=dtype)
        products = [lambda: rows @ rows, lambda: own(rows)]
        for layout in available_layouts(dtype):
            matrix = PrepackedLinear(rows, layout=layout)
            products.append(lambda matrix=matrix: matrix(rows))
    best = min(seconds(product, device) for product in products for _ in range(3))
    return 2 * size**3 / best


def read_bandwidth() -> float:
    """Bytes a second that a core reads from memory, of more than its caches hold."""
    values = torch.ones(2**27)
    return values.nbytes / min(seconds(values.sum) for _ in range(5))


def machine(device: str) -> dict[str, Any]:
    """What the numbers depend on; on CUDA also whether the biLM's kernels are Triton's."""
    found = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": [round(value, 1) for value in os.getloadavg()],
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name(device) if on_cuda(device) else device,
    }
    return {**found, "triton": has_triton(torch.device(device))} if on_cuda(device) else found


def on_cuda(device: str) -> bool:
    """Whether a name, as `cuda` or `cuda:0`, is that of a GPU of NVIDIA's."""
    return torch.device(device).type == "cuda"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _wait(device: str) -> None:
    if on_cuda(device):
        torch.cuda.synchronize(device)
