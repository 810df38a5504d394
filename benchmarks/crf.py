"""The CRF beside AllenNLP's and pytorch-crf's: decoding, the n best, and loss with its gradient.

    python benchmarks/crf.py                               the whole table
    python benchmarks/crf.py --b 64 --t 40 --k 17 --ragged    one cell, sentences of different lengths
    python benchmarks/crf.py --b 64 --t 40 --k 17 --ragged --n-best 5   also the n best, which pytorch-crf lacks
    python benchmarks/crf.py --device cuda                    the table on a GPU

Times are medians over rounds in which the three take turns. With one thread they count processor time, which other
work on the machine does not add to; with several, or on a GPU, wall time. A ratio above 1 means that ours is faster. A
slow cell is measured until its share of `--seconds` is spent, but at least once after a warm-up run; the number of
rounds is in the JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from allennlp.modules import ConditionalRandomField as AllennlpCrf
from torchcrf import CRF as PytorchCrf

from elmo_tagger.tagging.crf import ConditionalRandomField
from elmo_tagger.tagging.schemes import allowed_transitions

Contender = Callable[[], Any]


def tag_names(size: int) -> list[str]:
    """`O` and BIOUL tags of as many types as fit, K in all."""
    return ["O", *(f"{letter}-{kind}" for kind in range(size) for letter in "BIUL")][:size]


def contenders(
    size: int, steps: int, tags: int, *, ragged: bool, device: str, n_best: Sequence[int] = ()
) -> dict[str, dict[str, Contender]]:
    """For each task, what each implementation does on the same batch."""
    torch.manual_seed(0)
    # Whole types only, so that the constraints allow every length.
    constraints = allowed_transitions(tag_names(tags), "BIOUL")
    emissions = torch.randn(size, steps, tags, device=device)
    gold = torch.randint(tags, (size, steps), device=device)
    lengths = torch.randint(max(1, steps // 4), steps + 1, (size,)) if ragged else torch.full((size,), steps)
    lengths[0] = steps
    mask = (torch.arange(steps) < lengths.unsqueeze(1)).to(device)
    # Random gold tags break the constraints, which AllenNLP's loss ignores too.
    ours = ConditionalRandomField(num_tags=tags, constraints=constraints, constrain_training=False).to(device)
    allennlp = AllennlpCrf(tags, constraints).to(device)
    pytorch_crf = PytorchCrf(tags, batch_first=True).to(device)
    scores = emissions.clone().requires_grad_()
    several = {
        f"{n}-best": {
            "ours": lambda n=n: [part.tolist() for part in ours.decode_n_best(emissions, mask, n)],
            "allennlp": lambda n=n: allennlp.viterbi_tags(emissions, mask, top_k=n),
        }
        for n in n_best
    }
    return {
        "decode": {
            "ours": lambda: ours.decode(emissions, mask)[0].tolist(),
            "allennlp": lambda: allennlp.viterbi_tags(emissions, mask),
            "pytorch-crf": lambda: pytorch_crf.decode(emissions, mask),
        },
        "loss+gradient": {
            "ours": lambda: ours.log_likelihood(scores, gold, mask).sum().backward(),
            "allennlp": lambda: allennlp(scores, gold, mask).backward(),
            "pytorch-crf": lambda: pytorch_crf(scores, gold, mask).backward(),
        },
        **several,
    }


def timed(run: Contender, device: str) -> float:
    """Seconds of one call, the device's queue emptied before and after."""
    alone = device == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    if device == "cuda":
        torch.cuda.synchronize()
    begin = clock()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - begin


def compare(runs: dict[str, Contender], device: str, seconds: float) -> dict[str, list[float]]:
    """Seconds of each call of each contender, taken in turns."""
    # A warm-up is a time too where one call alone exceeds its share.
    first = {name: timed(run, device) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] if first[name] < seconds / 3 else [first[name]] for name in runs}
    for _ in range(200):
        for name, run in runs.items():
            if len(times[name]) < 3 or sum(times[name]) < seconds / len(runs):
                if sum(times[name]) < seconds:
                    times[name].append(timed(run, device))
    return times


def row(task: str, device: str, size: int, steps: int, tags: int, times: dict[str, list[float]]) -> dict[str, Any]:
    """One line of the table."""
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "task": task,
        "device": device,
        "B": size,
        "T": steps,
        "K": tags,
        "milliseconds": {name: 1000 * value for name, value in medians.items()},
        "ratio": {name: value / medians["ours"] for name, value in medians.items() if name != "ours"},
        "rounds": {name: len(values) for name, values in times.items()},
    }


def print_row(cell: dict[str, Any]) -> None:
    """The line as text."""
    spent, ratio = cell["milliseconds"], cell["ratio"]
    place = f"{cell['device']:<5} {cell['task']:<13} {cell['B']:>4} {cell['T']:>4} {cell['K']:>3}"
    peers = ("allennlp", "pytorch-crf")
    times = " ".join(f"{spent[name]:>9.1f}" if name in spent else " " * 9 for name in peers)
    ratios = " ".join(f"{ratio[name]:>9.1f}" for name in peers if name in ratio)
    print(f"{place} {spent['ours']:>9.2f} {times} {ratios}", flush=True)


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--b", type=int, nargs="+", default=[1, 8, 64, 256], help="sentences")
    parser.add_argument("--t", type=int, nargs="+", default=[10, 40, 100, 500], help="tokens")
    parser.add_argument("--k", type=int, nargs="+", default=[9, 17, 73], help="tags")
    parser.add_argument("--ragged", action="store_true", help="lengths between T / 4 and T instead of T")
    parser.add_argument("--n-best", type=int, nargs="*", default=[], metavar="N", help="also the N best sequences")
    parser.add_argument(
        "--device", choices=["cpu", "cuda"], nargs="+", default=["cpu"], help="where to compute, one table for each"
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="time for one cell, three implementations together")
    parser.add_argument("--json", type=Path, help="file to write")
    args = parser.parse_args()
    if "cuda" in args.device and not torch.cuda.is_available():
        parser.error("--device cuda: PyTorch sees no CUDA device on this machine")
    machine = {
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cuda": torch.cuda.get_device_name() if "cuda" in args.device else None,
        "ragged": args.ragged,
    }
    print(machine)
    print("milliseconds; the last two columns: times as fast as the peer")
    print("                       B    T   K      ours  allennlp   pt-crf   /allennlp   /pt-crf")
    cells = []
    for device, tags, steps, size in itertools.product(args.device, args.k, args.t, args.b):
        cell = contenders(size, steps, tags, ragged=args.ragged, device=device, n_best=args.n_best)
        for task, runs in cell.items():
            cells.append(row(task, device, size, steps, tags, compare(runs, device, args.seconds)))
            print_row(cells[-1])
    if args.json:
        args.json.write_text(json.dumps({"machine": machine, "cells": cells}, indent=1) + "\n")


if __name__ == "__main__":
    main()
