"""The cache of layers in training: first epoch, second epoch, and the same without a cache.

    OMP_NUM_THREADS=1 python benchmarks/cache.py       the original size, in some minutes
    python benchmarks/cache.py --sentences 14041       CoNLL-2003's number of sentences
    python benchmarks/cache.py --size tiny --sentences 400 --epochs 12 --lr 0.01     enough steps for an F1

Trains `training_configs/conll2003.jsonnet` as it is (shuffled, validated after every epoch) on sentences of the
quickstart's grammar, with a biLM of random weights. Seconds are those of an epoch, validation included, but without the
saving of weights, which takes the same however much data there is. They are processor time, which other work on the
machine lengthens little; with one thread it is what a clock would show on a quiet one. `embedding` is the biLM's part
of them, the cache's reading and writing with it.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import measure
import torch
from material import SIZES, save_random

ROOT = Path(__file__).parents[1]
QUICKSTART = ROOT / "fixtures" / "quickstart"


def write_data(directory: Path, sentences: int) -> int:
    """A directory named as CoNLL-2003's; one dev sentence for four to train on. Gives the tokens of both."""
    tokens = 0
    for name, source, count in (("eng.train", "train", sentences), ("eng.testa", "dev", sentences // 4)):
        blocks = (QUICKSTART / f"{source}.conll").read_text(encoding="utf-8").split("\n\n")
        blocks = [block for block in blocks if block.strip() and not block.startswith("-DOCSTART-")]
        # so many as are asked for: another round of the file is told apart by a number after each word
        rounds = -(-count // len(blocks))
        made = [_renamed(block, number) for number in range(rounds) for block in blocks][:count]
        tokens += sum(len(block.splitlines()) for block in made)
        (directory / name).write_text("\n\n".join(made) + "\n", encoding="utf-8")
    (directory / "eng.testb").write_text((directory / "eng.testa").read_text(encoding="utf-8"), encoding="utf-8")
    return tokens


def _renamed(block: str, number: int) -> str:
    if number == 0:
        return block.strip("\n")
    lines = (line.split(maxsplit=1) for line in block.strip("\n").splitlines())
    return "\n".join(f"{word}{number} {rest}" for word, rest in lines)


def train(
    directory: Path, run: Path, *, epochs: int, lr: float, cache: dict[str, Any] | None = None
) -> list[dict[str, float]]:
    """Train; for each epoch its seconds, those of them in the biLM, and the dev set's F1."""
    from allennlp.commands.train import train_model
    from allennlp.common import Params
    from allennlp.training.callbacks import TrainerCallback

    from elmo_tagger.plugin.embedder import ElmoHdf5Embedder

    spent = {"embedding": 0.0, "saving": 0.0}
    marks: list[dict[str, float]] = []

    def timed(name: str, function: Any) -> Any:
        def run(*arguments: Any, **options: Any) -> Any:
            begin = time.process_time()
            try:
                return function(*arguments, **options)
            finally:
                spent[name] += time.process_time() - begin

        return run

    class Clock(TrainerCallback):
        def on_start(self, *_: Any, **__: Any) -> None:
            marks.append({"seconds": time.process_time(), **spent})

        def on_epoch(self, *_: Any, **__: Any) -> None:
            marks.append({"seconds": time.process_time(), **spent})

    TrainerCallback.register("benchmark_clock", exist_ok=True)(Clock)
    variables = {
        "CONLL2003": str(directory),
        "ELMO_OPTIONS": str(directory / "options.json"),
        "ELMO_WEIGHTS": str(directory / "weights.hdf5"),
        "GLOVE": str(ROOT / "fixtures" / "vectors" / "quickstart.16d.txt.gz"),
    }
    changes: dict[str, Any] = {"trainer.num_epochs": epochs, "trainer.optimizer.lr": lr, "evaluate_on_test": False}
    params = Params.from_file(ROOT / "training_configs" / "conll2003.jsonnet", changes, variables)
    params["trainer"]["callbacks"] = [{"type": "benchmark_clock"}]
    params["trainer"]["checkpointer"] = {"keep_most_recent_by_count": 1}
    if cache is not None:
        params["model"]["text_field_embedder"]["token_embedders"]["elmo"]["cache"] = cache
    with (
        mock.patch.object(ElmoHdf5Embedder, "_embed", timed("embedding", ElmoHdf5Embedder._embed)),
        mock.patch.object(torch, "save", timed("saving", torch.save)),
    ):
        train_model(params, str(run))
    epochs_metrics = [json.loads((run / f"metrics_epoch_{epoch}.json").read_text()) for epoch in range(epochs)]
    return [
        {
            "seconds": end["seconds"] - begin["seconds"] - (end["saving"] - begin["saving"]),
            "embedding": end["embedding"] - begin["embedding"],
            "f1": metrics["validation_f1-measure-overall"],
            "loss": metrics["validation_loss"],
        }
        for begin, end, metrics in zip(marks, marks[1:], epochs_metrics, strict=False)
    ]


def main() -> None:
    """Prints one JSON document, and writes it if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="original")
    parser.add_argument("--sentences", type=int, default=256, help="to train on; a quarter of them more to validate on")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=0.001)
    parser.add_argument("--dtype", choices=("float32", "float16"), default="float32")
    parser.add_argument("--json", type=Path, help="file to write")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        save_random(arguments.size, directory)
        tokens = write_data(directory, arguments.sentences)
        cache = {"directory": str(directory / "cache"), "max_gib": 50, "dtype": arguments.dtype}
        # first, since a process's first steps are slow for reasons of their own
        amount = {"epochs": arguments.epochs, "lr": arguments.lr}
        runs = {"without": train(directory, directory / "without", **amount)}
        runs["cached"] = train(directory, directory / "run", cache=cache, **amount)
        runs["next run"] = train(directory, directory / "again", cache=cache, **amount)
        size = sum(path.stat().st_size for path in (directory / "cache").iterdir())
    first, second = runs["cached"][:2]
    report = {
        "size": arguments.size,
        "sentences": arguments.sentences,
        "tokens an epoch": tokens,
        "threads": torch.get_num_threads(),
        "cache MiB": round(size / 2**20, 1),
        "first / second epoch": round(first["seconds"] / second["seconds"], 1),
        "first / second epoch, embedding alone": round(first["embedding"] / second["embedding"], 1),
        "first epoch / next run's first": round(first["seconds"] / runs["next run"][0]["seconds"], 1),
        "epoch without cache / with": round(runs["without"][-1]["seconds"] / runs["cached"][-1]["seconds"], 1),
        "runs": {name: [{k: round(v, 4) for k, v in epoch.items()} for epoch in run] for name, run in runs.items()},
        "machine": measure.machine("cpu"),
    }
    json.dump(report, sys.stdout, indent=1)
    print()
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
