"""Where the time of a frozen biLM's batch goes on a GPU.

    python benchmarks/gpu_profile.py --batch 1 32 256 --precision bfloat16

`launched` is when the call returns, `done` when the GPU has finished; `LSTM` is its layers alone, and `a step` one step
of one layer in both directions, beside the time that reading its weights takes at the speed of a large copy. Below come
the kernels that take longest. Shapes are recorded before; medians of some calls.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure
import torch
from contenders import load_ours
from material import SIZES, save_random, sentences

from elmo_tagger.bilm import Bilm, encode_sentences


def milliseconds(run: Callable[[], Any], device: str, calls: int = 15) -> tuple[float, float]:
    """Medians of a call: until it returns, and until the device has finished."""
    run(), run()
    returned, done = [], []
    for _ in range(calls):
        _wait(device)
        begin = time.perf_counter()
        run()
        returned.append(time.perf_counter() - begin)
        _wait(device)
        done.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(returned), 1e3 * statistics.median(done)


def copied_gb(device: str) -> float:
    """Gigabytes a second that a large copy reads and writes."""
    values = torch.empty(2**29 if device == "cuda" else 2**20, device=device)
    other = torch.empty_like(values)
    return 8 * values.numel() / milliseconds(lambda: other.copy_(values), device)[1] / 1e6


def show(bilm: Bilm, batch: int, device: str, bandwidth: float) -> None:
    """The lines of one number of sentences."""
    text, _ = sentences()
    words = [next(text) for _ in range(batch)]
    ids = torch.from_numpy(encode_sentences(words)).to(device)
    lengths = [len(each) + 2 for each in words]
    vectors = torch.randn(batch, bilm.output_dim // 2, device=device)
    steps = torch.arange(max(lengths))
    grid = torch.where(steps < torch.tensor(lengths).unsqueeze(1), torch.arange(batch).unsqueeze(1), -1).to(device)
    depths = list(range(1, bilm.num_layers))
    launched, done = milliseconds(lambda: bilm(ids), device)
    lstm = milliseconds(lambda: bilm.lstm(vectors, grid, depths=depths, lengths=lengths), device)[1]
    shape = bilm.options.lstm
    weights = 2 * 5 * shape.projection_dim * shape.dim * (2 if bilm.precision in ("bfloat16", "float16") else 4)
    step = 1e3 * lstm / (len(depths) * max(lengths))
    print(
        f"{batch:>4} sentences, {bilm.precision}: launched {launched:.2f} ms, done {done:.2f} ms, "
        f"{1e3 * sum(map(len, words)) / done:,.0f} tokens/s; LSTM {lstm:.2f} ms, "
        f"a step {step:.1f} us (weights {weights / bandwidth / 1e3:.1f} us)",
        flush=True,
    )
    if device == "cuda":
        with torch.profiler.profile(activities=list(torch.profiler.supported_activities())) as profile:
            bilm(ids)
            torch.cuda.synchronize()
        print(profile.key_averages().table(sort_by="self_cuda_time_total", row_limit=12, max_name_column_width=70))


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="original")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32, 256])
    parser.add_argument("--precision", nargs="+", default=["bfloat16"])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    bandwidth = copied_gb(args.device)
    print(measure.machine(args.device), f"copy {bandwidth:,.0f} GB/s")
    with tempfile.TemporaryDirectory() as directory:
        save_random(args.size, Path(directory))
        for precision in args.precision:
            bilm = load_ours(Path(directory), args.device, precision)
            for batch in args.batch:
                show(bilm, batch, args.device, bandwidth)


if __name__ == "__main__":
    main()
