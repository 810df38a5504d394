"""One training of the comparison: which system, on which corpus, with which seed."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).with_name("tagger.jsonnet")
SYSTEMS = {
    "words": "(a) words from scratch + character CNN",
    "static": "(b) static vectors + character CNN",
    "elmo": "(c) biLM",
    "elmo_static": "(d) biLM + static vectors",
}
BATCH = {"wikigold": 16}  # CrossNER has but 100 to 200 sentences
SMALL_BATCH = 8


@dataclass(frozen=True)
class Trial:
    """A training and where its result is kept.

    Attributes:
        corpus: Directory with train.conll, dev.conll and test.conll.
        system: One of `SYSTEMS`.
        seed: Of AllenNLP, NumPy and PyTorch.
        bilm: Directory with options.json and weights.hdf5.
        layers: What the biLM gives: mix, average, top, concat or a number.
        vectors: Static word vectors.
        runs: Directory of all results.
    """

    corpus: Path
    system: str
    seed: int
    bilm: Path
    layers: str
    vectors: Path
    runs: Path

    @property
    def uses_bilm(self) -> bool:
        """Whether the system has one."""
        return self.system.startswith("elmo")

    @property
    def run(self) -> Path:
        """The serialization directory."""
        name = self.system
        if self.uses_bilm:
            name += f"-{self.bilm.name}-{self.layers}"
        return self.runs / self.corpus.name / name / str(self.seed)

    def metrics(self) -> dict[str, Any] | None:
        """What a finished training reached; None before."""
        path = self.run / "metrics.json"
        if not path.is_file():
            return None
        metrics: dict[str, Any] = json.loads(path.read_text())
        return metrics

    def train(self) -> dict[str, Any]:
        """Train with early stopping on dev, score test once; a second call returns what is there."""
        found = self.metrics()
        if found is not None:
            return found
        from allennlp.commands.train import train_model
        from allennlp.common import Params

        import elmo_tagger.plugin  # noqa: F401  (registers everything)

        shutil.rmtree(self.run, ignore_errors=True)
        seeds = dict.fromkeys(("random_seed", "numpy_seed", "pytorch_seed"), self.seed)
        files = {
            "SYSTEM": self.system,
            "DATA": str(self.corpus),
            "BATCH": str(BATCH.get(self.corpus.name, SMALL_BATCH)),
            "VECTORS": str(self.vectors),
            "ELMO": str(self.bilm),
            "LAYERS": self.layers,
            "CACHE": str(self.runs / "cache"),
        }
        train_model(Params.from_file(CONFIG, seeds, files), str(self.run))
        # what is left is small: config, vocabulary and the metrics of each epoch
        for path in [*self.run.glob("*.th"), *self.run.glob("*.tar.gz")]:
            path.unlink()
        metrics = self.metrics()
        assert metrics is not None, f"{self.run}: the training wrote no metrics.json"
        return metrics
