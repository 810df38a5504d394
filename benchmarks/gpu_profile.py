"""Where the time of a frozen biLM's batch goes on a GPU.

    python benchmarks/gpu_profile.py --batch 1 32 256 --precision bfloat16

`launched` is when the call returns, `done` when the GPU has finished; `LSTM` is its layers alone, all in milliseconds;
`step` is one step of one layer in both directions, beside the time that reading its `weights` takes at the speed of a
large copy, in microseconds. Below come the kernels that take longest. Shapes are recorded before; medians of some
calls.
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
from table import Table

from elmo_tagger.bilm import Bilm, encode_sentences

COLUMNS = {
    "batch": ("batch", ">5"),
    "precision": ("precision", "<9"),
    "launched": ("launched_ms", ">8.2f"),
    "done": ("done_ms", ">8.2f"),
    "tokens/s": ("tokens_per_second", ">9.0f"),
    "LSTM": ("lstm_ms", ">8.2f"),
    "step": ("step_us", ">6.1f"),
    "weights": ("weights_us", ">7.1f"),
}


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
    values = torch.empty(2**29 if measure.on_cuda(device) else 2**20, device=device)
    other = torch.empty_like(values)
    return 8 * values.numel() / milliseconds(lambda: other.copy_(values), device)[1] / 1e6


def row(bilm: Bilm, batch: int, device: str, *, text: Path | None, bandwidth: float) -> dict[str, Any]:
    """The line of one number of sentences, and on a GPU the kernels that take longest."""
    stream, _ = sentences(text)
    words = [next(stream) for _ in range(batch)]
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
    found = {
        "batch": batch,
        "precision": bilm.precision,
        "launched_ms": launched,
        "done_ms": done,
        "tokens_per_second": 1e3 * sum(map(len, words)) / done,
        "lstm_ms": lstm,
        "step_us": 1e3 * lstm / (len(depths) * max(lengths)),
        "weights_us": weights / bandwidth / 1e3,
    }
    if not measure.on_cuda(device):
        return found
    with torch.profiler.profile(activities=list(torch.profiler.supported_activities())) as profile:
        bilm(ids)
        _wait(device)
    return {**found, "kernels": profile.key_averages().table("self_cuda_time_total", 12, max_name_column_width=70)}


def _wait(device: str) -> None:
    if measure.on_cuda(device):
        torch.cuda.synchronize(device)


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="original")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32, 256])
    parser.add_argument("--precision", nargs="+", default=["bfloat16"])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--text", type=Path, help="directory with tokenised text, one sentence a line, *.xz")
    parser.add_argument("--json", type=Path, help="file to write")
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    table = Table(COLUMNS, device=args.device)
    bandwidth = copied_gb(args.device)
    table.report |= {"size": args.size, "sentences": sentences(args.text)[1], "copy_gb_per_second": bandwidth}
    with tempfile.TemporaryDirectory() as directory:
        save_random(args.size, Path(directory))
        for precision in args.precision:
            bilm = load_ours(Path(directory), args.device, precision)
            for batch in args.batch:
                found = row(bilm, batch, args.device, text=args.text, bandwidth=bandwidth)
                table.add(found)
                if "kernels" in found:
                    print(found["kernels"], flush=True)
    table.save(args.json)


if __name__ == "__main__":
    main()
