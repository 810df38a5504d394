"""The frozen biLM beside AllenNLP's `Elmo`: same weights, same sentences, one run.

    python benchmarks/bilm.py                                  the whole table
    python benchmarks/bilm.py --size small --batch 32 --seconds 20     one cell
    python benchmarks/bilm.py --device cuda                    on a GPU

Every round takes the next sentences of the text, so words are met again as often as in real use. Each side turns
character ids into the mix of all layers. `ratio` is the median over rounds of AllenNLP's time by ours; `peak` is our
share of what the machine's own matrix product reaches in the same run, counting only work that was done; `difference`
is the largest between the mixes. AllenNLP carries the LSTM's state over by design: it is reset before every round.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import measure
import torch
from material import SIZES, save_random, sentences
from torch import Tensor

from elmo_tagger.bilm import Bilm, Options, ScalarMix, encode_sentences

PRECISIONS = ("float32", "bfloat16")
Embed = Callable[[Tensor], Tensor]


def load_stock(directory: Path, device: str) -> Any:
    """AllenNLP's `Elmo`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from allennlp.modules.elmo import Elmo

    elmo = Elmo(str(directory / "options.json"), str(directory / "weights.hdf5"), 1, dropout=0.0)
    return elmo.eval().requires_grad_(False).to(device)


def load_ours(directory: Path, device: str, precision: str) -> Bilm:
    """Ours."""
    bilm = Bilm.load(directory / "options.json", directory / "weights.hdf5", precision=precision)
    return bilm.requires_grad_(False).to(device)


def stock_embed(elmo: Any) -> Embed:
    """Ids to the mix of layers, without state from before."""

    def embed(ids: Tensor) -> Tensor:
        elmo._elmo_lstm._elmo_lstm.reset_states()
        mixed: Tensor = elmo(ids)["elmo_representations"][0]
        return mixed

    return embed


def our_embed(bilm: Bilm) -> Embed:
    """The same with ours."""
    mix = ScalarMix(bilm.num_layers).requires_grad_(False).to(next(bilm.parameters()).device)

    def embed(ids: Tensor) -> Tensor:
        output = bilm(ids)
        mixed: Tensor = mix(list(output.layers.values()))
        return mixed

    return embed


def work(options: Options, *, tokens: int, distinct: int, new: int) -> float:
    """Operations of products that a batch costs.

    Args:
        options: The model's.
        tokens: Words and boundaries.
        distinct: Distinct ones: what their vectors add to the first layer's gates is computed once.
        new: Words that pass the character CNN.
    """
    lstm, cnn = options.lstm, options.char_cnn
    product = 2 * lstm.projection_dim * 4 * lstm.dim
    step = product + 2 * lstm.dim * lstm.projection_dim
    deeper = (lstm.n_layers - 1) * product
    recurrent = 2 * (tokens * (lstm.n_layers * step + deeper) + distinct * product)
    # windows: 9 a word, its letters and marks; the filling is cut off
    windows = sum(2 * 9 * width * cnn.embedding_dim * count for width, count in cnn.filters)
    highways = cnn.n_highway * 2 * 2 * cnn.n_filters**2
    return recurrent + new * (windows + highways + 2 * cnn.n_filters * lstm.projection_dim)


def cell(
    models: dict[str, Any], options: Options, batch: int, text: Iterator[list[str]], args: argparse.Namespace
) -> list[dict[str, Any]]:
    """One number of sentences: a row for each precision."""
    embed = {name: stock_embed(each) if name == "allennlp" else our_embed(each) for name, each in models.items()}
    found: dict[str, Tensor] = {}
    notes: list[dict[str, Any]] = []

    def rounds(number: int) -> dict[str, Callable[[], Any]]:
        words = [next(text) for _ in range(batch)]
        ids = torch.from_numpy(encode_sentences(words)).long().to(args.device)
        before = {name: _stored(models[name]) for name in args.precision}
        notes.append(
            {
                "tokens": sum(map(len, words)),
                "distinct": len({word for each in words for word in each}),
                "stored": before,
                "peak": {name: measure.peak_flops(getattr(torch, name), device=args.device) for name in args.precision},
                "differences": {},
            }
        )

        def run(name: str) -> None:
            found[name] = embed[name](ids)

        return {name: lambda name=name: run(name) for name in embed}

    def noted(number: int) -> dict[str, Callable[[], Any]]:
        if found:
            finish()
        return rounds(number)

    def finish() -> None:
        last = notes[-1]
        last["new"] = {name: _stored(models[name]) - last["stored"][name] for name in args.precision}
        last["differences"] = {name: float((found[name] - found["allennlp"]).abs().max()) for name in args.precision}
        last["size"] = float(found["allennlp"].abs().mean())

    # AllenNLP alone may take half a minute a round at 256: no round is lost to warming up there
    warm_up = batch < 256
    times = measure.take_turns(
        noted, budget=args.seconds, device=args.device, warm_up=warm_up, least=2, most=args.rounds
    )
    finish()
    notes = notes[1:] if warm_up else notes
    rows = []
    for name in args.precision:
        shares = [
            work(options, tokens=n["tokens"] + 2 * batch, distinct=n["distinct"] + 2, new=n["new"][name])
            / (n["peak"][name] * spent[name])
            for n, spent in zip(notes, times, strict=True)
        ]
        tokens = sum(n["tokens"] for n in notes)
        rows.append(
            {
                "size": args.current,
                "batch": batch,
                "precision": name,
                "ratio": measure.ratio(times, name, "allennlp"),
                "tokens_per_second": tokens / sum(each[name] for each in times),
                "allennlp_tokens_per_second": tokens / sum(each["allennlp"] for each in times),
                "peak_share": sorted(shares)[len(shares) // 2],
                "peak_gflops": sorted(n["peak"][name] for n in notes)[len(notes) // 2] / 1e9,
                "new_words": sum(n["new"][name] for n in notes) / sum(n["distinct"] for n in notes),
                "difference": max(n["differences"][name] for n in notes),
                "mean_size": notes[-1]["size"],
                "rounds": len(times),
            }
        )
    return rows


def _stored(bilm: Bilm) -> int:
    """Words that have passed the character CNN and are kept."""
    store = bilm.word_store
    return 0 if store is None else len(store)


def print_row(row: dict[str, Any]) -> None:
    """A row as text."""
    print(
        f"{row['size']:<9}{row['batch']:>6} {row['precision']:<9}{row['ratio']:>7.1f}x{row['tokens_per_second']:>10.0f}"
        f"{row['allennlp_tokens_per_second']:>10.0f}{row['peak_share']:>8.0%}{row['peak_gflops']:>9.0f}"
        f"{row['new_words']:>8.0%}{row['difference']:>12.1e}{row['mean_size']:>7.2f}{row['rounds']:>7}",
        flush=True,
    )


def loading(directory: Path, rounds: int = 3) -> dict[str, float]:
    """Seconds from files to a model that has embedded a word."""
    ids = torch.from_numpy(encode_sentences([["word"]])).long()
    ready = {
        "ours": lambda: our_embed(load_ours(directory, "cpu", "float32"))(ids),
        "allennlp": lambda: stock_embed(load_stock(directory, "cpu"))(ids),
    }
    times = measure.take_turns(lambda _: ready, budget=0, least=rounds)
    return {name: measure.median(times, name) for name in ready} | {"ratio": measure.ratio(times, "ours", "allennlp")}


def memory(directory: Path, batch: int, threads: int) -> dict[str, float]:
    """For each contender, in a process of its own, the GiB that loading and one batch add at their peak."""
    results = {}
    for name in ("allennlp", *PRECISIONS):
        command = [sys.executable, __file__, "--memory-of", name, str(directory), "--batch", str(batch)]
        output = subprocess.run(
            [*command, "--threads", str(threads)], check=True, capture_output=True, text=True, env=os.environ
        ).stdout
        results[name] = float(output.split()[-1])
    return results


def print_memory_of(name: str, directory: Path, batch: int) -> None:
    """Print the GiB that one contender adds; the imports are not counted."""
    text, _ = sentences()
    ids = torch.from_numpy(encode_sentences([next(text) for _ in range(batch)])).long()
    if name == "allennlp":
        import allennlp.modules.elmo  # noqa: F401
    before = _resident_gib("VmRSS")
    embed = (
        stock_embed(load_stock(directory, "cpu"))
        if name == "allennlp"
        else our_embed(load_ours(directory, "cpu", name))
    )
    embed(ids)
    print(_resident_gib("VmHWM") - before)


def _resident_gib(field: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 2**20


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", nargs="+", choices=SIZES, default=["original", "small"])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32, 256], help="sentences")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=40.0, help="no round of a cell begins later")
    parser.add_argument("--rounds", type=int, default=30, help="of a cell, at most")
    parser.add_argument("--text", type=Path, help="directory with tokenised text, one sentence a line, *.xz")
    parser.add_argument("--no-memory", action="store_true", help="leave out the peaks of memory and the loading times")
    parser.add_argument("--json", type=Path, help="file to write")
    parser.add_argument("--memory-of", nargs=2, metavar=("NAME", "DIRECTORY"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    if args.memory_of:
        print_memory_of(args.memory_of[0], Path(args.memory_of[1]), args.batch[0])
        return
    text, kind = sentences(args.text)
    report: dict[str, Any] = {"machine": measure.machine(args.device), "sentences": kind, "cells": [], "loading": {}}
    report["memory_gib"] = {}
    print(report["machine"], "sentences:", kind)
    print("size      batch precision   ratio  tokens/s  allennlp    peak  GFLOP/s     new  difference   mean rounds")
    with tempfile.TemporaryDirectory() as parent:
        for size in args.size:
            directory = Path(parent) / size
            args.current, options = size, save_random(size, directory)
            models = {name: load_ours(directory, args.device, name) for name in args.precision}
            models["allennlp"] = load_stock(directory, args.device)
            for batch in args.batch:
                rows = cell(models, options, batch, text, args)
                report["cells"] += rows
                for row in rows:
                    print_row(row)
            del models
            if not args.no_memory:
                report["loading"][size] = loading(directory)
                print(f"{size}: ready to embed, seconds:", _rounded(report["loading"][size]), flush=True)
                report["memory_gib"][size] = memory(directory, 32, args.threads)
                print(f"{size}: GiB at the peak, 32 sentences:", _rounded(report["memory_gib"][size]), flush=True)
    report["seconds"] = time.process_time()
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}


if __name__ == "__main__":
    main()
