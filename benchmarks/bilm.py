"""The frozen biLM beside AllenNLP's `Elmo`: same weights, same sentences, one run.

    python benchmarks/bilm.py                                  the whole table
    python benchmarks/bilm.py --size small --batch 32 --seconds 20     one cell
    python benchmarks/bilm.py --device cuda                    on a GPU

Every round takes the next sentences of the text. Our side has met the words of the 2,000 sentences before (`--met`), as
in a running job; `new` is the share of a batch's distinct words that it had not. Each side turns character ids into the
mix of all layers. `ratio` is the median over rounds of AllenNLP's time by ours; `peak` is our share of what the
machine's own matrix product reaches in the same run, counting only work that was done; `memory`, of a single sentence,
is the share of the bandwidth at which weights are read, of what the machine reads in the same run; `difference` is the
largest between the mixes. AllenNLP carries the LSTM's state over by design: it is reset before every round. GiB are
those of the process; on a GPU those of PyTorch's tensors there, recorded graphs among them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import measure
import torch
from contenders import load_ours, load_stock, our_embed, stock_embed
from material import SIZES, save_random, sentences
from table import Table, command_line
from torch import Tensor

from elmo_tagger.bilm import Options, encode_sentences

PRECISIONS = ("float32", "float16", "bfloat16", "int8")
ROUNDED = {f"{name}, rounded_weights": name for name in PRECISIONS[1:]}
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}
COLUMNS = {
    "size": ("size", "<9"),
    "batch": ("batch", ">5"),
    "precision": ("precision", "<9"),
    "ratio": ("ratio", ">6.1f"),
    "tokens/s": ("tokens_per_second", ">9.0f"),
    "allennlp": ("allennlp_tokens_per_second", ">9.0f"),
    "peak": ("peak_share", ">6.0%"),
    "memory": ("memory_share", ">6.0%"),
    "GFLOP/s": ("peak_gflops", ">8.0f"),
    "new": ("new_words", ">5.0%"),
    "difference": ("difference", ">10.1e"),
    "mean": ("mean_size", ">6.2f"),
    "rounds": ("rounds", ">6"),
}


def work(options: Options, *, tokens: int, distinct: int, new: int) -> float:
    """Operations of products that a batch costs.

    Args:
        options: The model's.
        tokens: Words and boundaries.
        distinct: Of those the words for which what their vectors add to the first layer's gates is computed: on a CPU
            the distinct ones, on a GPU all.
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


def weight_bytes(options: Options, *, steps: int, of_a_weight: int) -> float:
    """Bytes of weights that the LSTM's steps read, one step after the other, and each layer's product ahead of them."""
    lstm = options.lstm
    step = lstm.projection_dim * 4 * lstm.dim + lstm.dim * lstm.projection_dim
    ahead = lstm.projection_dim * 4 * lstm.dim
    return 2 * lstm.n_layers * (steps * step + ahead) * of_a_weight


def cell(
    models: dict[str, Any], options: Options, batch: int, text: Iterator[list[str]], args: argparse.Namespace
) -> list[dict[str, Any]]:
    """One number of sentences: a row for each precision."""
    embed = {name: stock_embed(each) if name == "allennlp" else our_embed(each) for name, each in models.items()}
    found: dict[str, Tensor] = {}
    notes: list[dict[str, Any]] = []
    read = _words_read(models, args.precision)
    peak = {name: measure.peak_flops(name, device=args.device) for name in args.precision}
    bandwidth = measure.read_bandwidth() * min(2, args.threads)  # the directions read side by side

    def rounds(number: int) -> dict[str, Callable[[], Any]]:
        words = [next(text) for _ in range(batch)]
        ids = torch.from_numpy(encode_sentences(words)).long().to(args.device)
        before = dict(read)
        notes.append(
            {
                "tokens": sum(map(len, words)),
                "steps": max(map(len, words)) + 2,
                "distinct": len({word for each in words for word in each}),
                "read": before,
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
        met = {name: read[name] - last["read"][name] for name in args.precision}
        # a GPU keeps no words from batch to batch
        last["new"] = met if args.device == "cpu" else dict.fromkeys(args.precision, last["distinct"])
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
            work(
                options,
                tokens=n["tokens"] + 2 * batch,
                distinct=n["distinct"] + 2 if args.device == "cpu" else n["tokens"] + 2 * batch,
                new=n["new"][name],
            )
            / (peak[name] * spent[name])
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
                "peak_share": _median(shares),
                "memory_share": _median(
                    weight_bytes(options, steps=n["steps"], of_a_weight=BYTES[name]) / (bandwidth * spent[name])
                    for n, spent in zip(notes, times, strict=True)
                )
                if batch == 1 and args.device == "cpu"
                else float("nan"),
                "bandwidth_gb": bandwidth / 1e9,
                "peak_gflops": peak[name] / 1e9,
                "new_words": sum(n["new"][name] for n in notes) / sum(n["distinct"] for n in notes),
                "difference": max(n["differences"][name] for n in notes),
                "mean_size": notes[-1]["size"],
                "rounds": len(times),
            }
        )
    return rows


def _median(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def _words_read(models: dict[str, Any], names: Sequence[str]) -> dict[str, int]:
    """Words that have passed each model's character CNN, counted from now on."""
    read = dict.fromkeys(names, 0)
    for name in names:

        def count(_: Any, inputs: tuple[Tensor, ...], name: str = name) -> None:
            read[name] += len(inputs[0])

        models[name].char_cnn.register_forward_pre_hook(count)
    return read


def meet(models: dict[str, Any], text: Iterator[list[str]], number: int) -> None:
    """Let our models' character CNNs see the words of so many sentences, as those of a running job have."""
    words = {word for sentence in islice(text, number) for word in sentence}
    if words:
        ids = torch.from_numpy(encode_sentences([sorted(words)]))[0]
        for bilm in models.values():
            bilm.embed_words(ids.to(bilm.char_cnn.char_embed.device))


def loading(directory: Path, device: str, rounds: int = 3) -> dict[str, float]:
    """Seconds from files to a model that has embedded a word."""
    ids = torch.from_numpy(encode_sentences([["word"]])).long().to(device)
    ready = {
        "ours": lambda: our_embed(load_ours(directory, device, "float32"))(ids),
        "allennlp": lambda: stock_embed(load_stock(directory, device))(ids),
    }
    times = measure.take_turns(lambda _: ready, budget=0, device=device, least=rounds)
    return {name: measure.median(times, name) for name in ready} | {"ratio": measure.ratio(times, "ours", "allennlp")}


def memory(directory: Path, batch: int, args: argparse.Namespace) -> dict[str, list[float]]:
    """For each contender, in a process of its own, the GiB that loading and one batch add: at their peak, and held."""
    chosen = ["--device", args.device, "--threads", str(args.threads)]
    results = {}
    for name in ("allennlp", *PRECISIONS, *ROUNDED):
        command = [sys.executable, __file__, "--memory-of", name, str(directory), "--batch", str(batch)]
        output = subprocess.run([*command, *chosen], check=True, capture_output=True, text=True, env=os.environ).stdout
        results[name] = [float(value) for value in output.split()[-2:]]
    return results


def print_memory_of(name: str, directory: Path, batch: int, device: str) -> None:
    """Print the GiB that one contender adds; the imports are not counted."""
    text, _ = sentences()
    ids = torch.from_numpy(encode_sentences([next(text) for _ in range(batch)])).long().to(device)
    if name == "allennlp":
        import allennlp.modules.elmo  # noqa: F401
    before, _ = _held_gib(device)
    if name == "allennlp":
        embed = stock_embed(load_stock(directory, device))
    elif name in ROUNDED:
        embed = our_embed(load_ours(directory, device, ROUNDED[name], rounded_weights=True))
    else:
        embed = our_embed(load_ours(directory, device, name))
    embed(ids)
    now, most = _held_gib(device)
    print(most - before, now - before)


def _held_gib(device: str) -> tuple[float, float]:
    """What is held now, and what was held at most."""
    if measure.on_cuda(device):
        return torch.cuda.memory_allocated() / 2**30, torch.cuda.max_memory_allocated() / 2**30
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    now, most = (int(fields[name].split()[0]) / 2**20 for name in ("VmRSS", "VmHWM"))
    return now, most


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = command_line(__doc__, seconds=40.0, rounds=30)
    parser.add_argument("--size", nargs="+", choices=SIZES, default=["original", "small"])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32, 256], help="sentences")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--met", type=int, default=2000, help="sentences whose words were met before")
    parser.add_argument("--memory-batch", type=int, default=32, help="sentences with which memory is measured")
    parser.add_argument("--no-memory", action="store_true", help="leave out the peaks of memory and the loading times")
    parser.add_argument("--memory-of", nargs=2, metavar=("NAME", "DIRECTORY"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    if args.memory_of:
        print_memory_of(args.memory_of[0], Path(args.memory_of[1]), args.batch[0], args.device)
        return
    text, kind = sentences(args.text)
    table = Table(COLUMNS, device=args.device)
    table.report |= {"sentences": kind, "met": args.met, "loading": {}, "memory_gib": {}}
    with tempfile.TemporaryDirectory() as parent:
        for size in args.size:
            directory = Path(parent) / size
            args.current, options = size, save_random(size, directory)
            models = {name: load_ours(directory, args.device, name) for name in args.precision}
            meet(models, text, args.met)
            models["allennlp"] = load_stock(directory, args.device)
            for batch in args.batch:
                for row in cell(models, options, batch, text, args):
                    table.add(row)
            del models
            if not args.no_memory:
                found = table.report["loading"][size] = loading(directory, args.device)
                print(f"{size}: ready to embed, seconds:", _rounded(found), flush=True)
                found = table.report["memory_gib"][size] = memory(directory, args.memory_batch, args)
                print(f"{size}: GiB at the peak and held:", found, flush=True)
    table.report["seconds"] = time.process_time()
    table.save(args.json)


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}


if __name__ == "__main__":
    main()
