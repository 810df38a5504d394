"""An epoch of the CoNLL-2003 config with the starter and cached layers: AllenNLP's encoder parts and ours, in turns.

    python benchmarks/training_epoch.py --data ../shared/data/ner/wnut17     train.conll and dev.conll, WNUT-17's
    python benchmarks/training_epoch.py                                      the quickstart's made-up sentences

Both sides are `training_configs/conll2003.jsonnet` with the package's `starter`, the same seed and the same batches; in
`stock`, `with_faster_parts` replaces nothing. An epoch is what the trainer does with its data: of each batch of the
training set forward, backward, clipping and Adam, of each of the development set forward and decoding. Its layers come
from the cache from the second epoch on, and only such epochs are measured. Sides take turns batch by batch; seconds are
processor time of one thread. `difference` is the largest between losses of a step, relative to the loss.

To see what a machine without AVX-512 does, set ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2
MKL_ENABLE_INSTRUCTIONS=AVX2 (oneDNN's and MKL's products follow their own variables).
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
import warnings
from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any
from unittest import mock

import measure
import numpy as np
import torch
from corpus import CONFIG

ROOT = Path(__file__).parents[1]
PARTS = "elmo_tagger.plugin.model.with_faster_parts"
SIDES = ("stock", "ours")


class Side:
    """A model in training, with a random generator of its own."""

    def __init__(self, name: str, config: dict[str, Any], folder: Path) -> None:
        from allennlp.common import Params
        from allennlp.data import DataLoader, DatasetReader, Vocabulary
        from allennlp.models import Model
        from allennlp.training.optimizers import AdamOptimizer

        _seed(1)
        reader = DatasetReader.from_params(Params(config["dataset_reader"]))
        self._loaders = [
            DataLoader.from_params(Params(deepcopy(config["data_loader"])), reader=reader, data_path=config[key])
            for key in ("train_data_path", "validation_data_path")
        ]
        vocabulary = Vocabulary.from_instances(each for loader in self._loaders for each in loader.iter_instances())
        for loader in self._loaders:
            loader.index_with(vocabulary)
        config["model"]["text_field_embedder"]["token_embedders"]["elmo"]["cache"] = {"directory": str(folder / name)}
        with mock.patch(PARTS) if name == "stock" else nullcontext():
            self.model = Model.from_params(Params(config["model"]), vocab=vocabulary)
        named = [(name, each) for name, each in self.model.named_parameters() if each.requires_grad]
        self._parameters = [each for _, each in named]
        self._optimizer = AdamOptimizer(named, lr=0.001)
        self._random = torch.get_rng_state()

    def batches(self, epoch: int) -> list[tuple[bool, dict[str, Any]]]:
        """Those of the training set, marked true, and of the development set."""
        _seed(epoch)
        return [(not number, batch) for number, loader in enumerate(self._loaders) for batch in loader]

    def step(self, trains: bool, batch: dict[str, Any]) -> tuple[float, float]:
        """Processor seconds, and the loss."""
        torch.set_rng_state(self._random)
        self.model.train(trains)
        begin = time.process_time()
        with torch.set_grad_enabled(trains):
            loss = self.model(**batch)["loss"]
            if trains:
                self._optimizer.zero_grad()
                (loss + self.model.get_regularization_penalty()).backward()
                torch.nn.utils.clip_grad_norm_(self._parameters, 5.0)
                self._optimizer.step()
        seconds = time.process_time() - begin
        self._random = torch.get_rng_state()
        return seconds, float(loss.detach())


def _seed(number: int) -> None:
    random.seed(number), np.random.seed(number), torch.manual_seed(number)


def main() -> None:
    """Print one JSON document, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT / "fixtures" / "quickstart", help="train.conll, dev.conll")
    parser.add_argument("--batches", type=int, help="of an epoch, at most; drawn from all of it")
    parser.add_argument("--epochs", type=int, default=1, help="that are measured")
    parser.add_argument("--json", type=Path, help="file to write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as name:
        warnings.simplefilter("ignore")
        report = run(arguments, Path(name))
    print(json.dumps(report, indent=1))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The report of all epochs."""
    from allennlp.common import Params

    import elmo_tagger.plugin  # noqa: F401  (registers ours)

    for name, part in (("eng.train", "train"), ("eng.testa", "dev"), ("eng.testb", "dev")):
        (folder / name).write_bytes((arguments.data / f"{part}.conll").read_bytes())
    variables = {"CONLL2003": str(folder), "ELMO_OPTIONS": "", "ELMO_WEIGHTS": "starter"}
    variables["GLOVE"] = str(ROOT / "fixtures" / "vectors" / "quickstart.16d.txt.gz")
    config = Params.from_file(str(CONFIG), ext_vars=variables).as_dict(quiet=True)
    del config["model"]["text_field_embedder"]["token_embedders"]["elmo"]["options_file"]
    sides = {name: Side(name, deepcopy(config), folder) for name in SIDES}
    chosen = sides["ours"].batches(0)
    if arguments.batches is not None:
        chosen = random.Random(0).sample(chosen, min(arguments.batches, len(chosen)))
    seconds, tokens, worst = {name: [0.0, 0.0] for name in SIDES}, [0, 0], 0.0
    for epoch in range(arguments.epochs + 1):
        for number, (trains, batch) in enumerate(chosen):
            order = SIDES if number % 2 else SIDES[::-1]
            found = {name: sides[name].step(trains, batch) for name in order}
            stock, ours = (found[name][1] for name in SIDES)
            worst = max(worst, abs(ours - stock) / abs(stock))
            if epoch:
                tokens[not trains] += sum(len(each["words"]) for each in batch["metadata"])
                for name in SIDES:
                    seconds[name][not trains] += found[name][0]
    return {
        "machine": measure.machine("cpu") | {"capability": torch.backends.cpu.get_cpu_capability()},
        "epochs": arguments.epochs,
        "tokens": dict(zip(("train", "dev"), tokens, strict=True)),
        "seconds": {name: dict(zip(("train", "dev"), each, strict=True)) for name, each in seconds.items()},
        "tokens_per_second": {name: tokens[0] / each[0] for name, each in seconds.items()},
        "ratio": {
            "train": seconds["stock"][0] / seconds["ours"][0],
            "dev": seconds["stock"][1] / max(seconds["ours"][1], 1e-9),
            "epoch": sum(seconds["stock"]) / sum(seconds["ours"]),
        },
        "difference": worst,
    }


if __name__ == "__main__":
    main()
