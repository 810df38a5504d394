"""A whole training step of the CoNLL-2003 config with a frozen biLM, beside AllenNLP's own parts in the same shape.

    python benchmarks/training_step.py

Ours is training_configs/conll2003.jsonnet as it is (`elmo_hdf5`, `elmo_bilstm_crf`); stock is `elmo_token_embedder` and
`crf_tagger`, with the same static vectors, character CNN and encoder. Both see the same 64 sentences. A step is what
the trainer does with a batch: forward, backward, clipping, Adam. Our biLM has met the words before, as from the second
epoch of a training on; `--first-epoch` measures without.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import measure
import torch
from corpus import our_config, stock_config, write_columns, write_vectors
from material import SIZES, save_random, sentences
from table import Table, command_line

SENTENCES = 512
COLUMNS = {
    "size": ("size", "<9"),
    "precision": ("precision", "<9"),
    "ratio": ("ratio", ">6.1f"),
    "tokens/s": ("tokens_per_second", ">9.0f"),
    "allennlp": ("allennlp_tokens_per_second", ">9.0f"),
    "rounds": ("rounds", ">6"),
}


class Side:
    """A model, its optimizer and its batches."""

    def __init__(self, config: dict[str, Any], device: str) -> None:
        from allennlp.common import Params
        from allennlp.data import DatasetReader, Vocabulary
        from allennlp.data.data_loaders import SimpleDataLoader
        from allennlp.models import Model
        from allennlp.training.optimizers import AdamOptimizer

        reader = DatasetReader.from_params(Params(config["dataset_reader"]))
        instances = list(reader.read(config["train_data_path"]))
        for instance in instances:
            reader.apply_token_indexers(instance)
        vocabulary = Vocabulary.from_instances(instances)
        self.loader = SimpleDataLoader(instances, 64, vocab=vocabulary)
        self.loader.set_target_device(torch.device(device))
        self.model = Model.from_params(Params(config["model"]), vocab=vocabulary).to(device).train()
        parameters = [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]
        self.optimizer = AdamOptimizer(parameters, lr=0.001)
        self._parameters = [parameter for _, parameter in parameters]
        self.batches = self._endless()

    def meet_words(self) -> None:
        """Let the biLM's character CNN see all words, as the first epoch does."""
        embedder = self.model.text_field_embedder.token_embedder_elmo
        for batch in self.loader:
            ids = batch["tokens"]["elmo"]["elmo_tokens"]
            embedder.bilm.embed_words(ids[(ids != 0).any(-1)].unique(dim=0))

    def step(self, batch: dict[str, Any]) -> float:
        """One step of training; the loss."""
        self.optimizer.zero_grad()
        loss = self.model(**batch)["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 5.0)
        self.optimizer.step()
        return float(loss.detach())

    def _endless(self) -> Iterator[dict[str, Any]]:
        while True:
            yield from self.loader


def rows(size: str, directory: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """One size of the biLM, a row for each precision."""
    bilm = directory / size
    options = save_random(size, bilm)
    columns, vectors = directory / "columns.txt", directory / "vectors.txt"
    words = write_columns(columns, sentences(args.text)[0], SENTENCES)
    write_vectors(vectors, {word.lower() for word in words})
    sides = {"allennlp": Side(stock_config(columns, vectors, bilm, 2 * options.lstm.projection_dim), args.device)}
    for precision in ("float32", "bfloat16"):
        config = our_config(columns, vectors, bilm)
        config["model"]["text_field_embedder"]["token_embedders"]["elmo"]["precision"] = precision
        sides[precision] = Side(config, args.device)
        if not args.first_epoch:
            sides[precision].meet_words()
    tokens = []

    def rounds(number: int) -> dict[str, Callable[[], Any]]:
        batches = {name: next(side.batches) for name, side in sides.items()}
        tokens.append(sum(len(entry["words"]) for entry in batches["allennlp"]["metadata"]))
        return {name: lambda name=name, side=side: side.step(batches[name]) for name, side in sides.items()}

    times = measure.take_turns(rounds, budget=args.seconds, device=args.device, least=2, most=args.rounds)
    return [
        {
            "size": size,
            "precision": name,
            "ratio": measure.ratio(times, name, "allennlp"),
            "tokens_per_second": sum(tokens[1:]) / sum(each[name] for each in times),
            "allennlp_tokens_per_second": sum(tokens[1:]) / sum(each["allennlp"] for each in times),
            "rounds": len(times),
        }
        for name in ("float32", "bfloat16")
    ]


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = command_line(__doc__, seconds=60.0, rounds=10)
    parser.add_argument("--size", nargs="+", choices=SIZES, default=["original", "small"])
    parser.add_argument("--first-epoch", action="store_true", help="with words that are met for the first time")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import allennlp_models.tagging  # noqa: F401  (registers the stock reader and model)

        import elmo_tagger.plugin  # noqa: F401  (registers ours)
    table = Table(COLUMNS, device=args.device)
    with tempfile.TemporaryDirectory() as directory:
        for size in args.size:
            for each in rows(size, Path(directory), args):
                table.add(each)
    table.save(args.json)


if __name__ == "__main__":
    main()
