"""Sentence classification with AllenNLP's own reader and model: trained, evaluated, used."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from allennlp.commands.evaluate import evaluate_from_archive
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.models.archival import load_archive
from allennlp.predictors import Predictor

import elmo_tagger.plugin  # noqa: F401 - registers
from elmo_tagger.bilm.loading.archive import read_archive
from elmo_tagger.curves import read_curves

FIXTURES = Path("fixtures")
CONFIGS = sorted(Path("training_configs/classification").glob("*.jsonnet"))
VARIABLES = {
    **{part.upper(): str(FIXTURES / "classification" / f"{part}.jsonl") for part in ("train", "dev", "test")},
    "ELMO_OPTIONS": str(FIXTURES / "bilm" / "options.json"),
    "ELMO_WEIGHTS": str(FIXTURES / "bilm" / "weights.hdf5"),
    "ELMO_PROJECTION_DIM": "32",
}


def test_the_script_makes_what_is_committed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, FIXTURES / "make_classification.py", tmp_path], check=True)
    texts = []
    for part in ("train", "dev", "test"):
        made = (tmp_path / "classification" / f"{part}.jsonl").read_bytes()
        assert made == (FIXTURES / "classification" / f"{part}.jsonl").read_bytes()
        texts += [json.loads(line)["text"] for line in made.splitlines()]
    assert len(texts) == len(set(texts)) == 600


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_trains_evaluates_and_predicts(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    changes = {"trainer.num_epochs": 10, "trainer.optimizer.lr": 0.003}
    train_model(Params.from_file(config, changes, VARIABLES), str(run))
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test_accuracy"] > 0.45, (
        "three labels, about as frequent as each other; the biLM's weights are random"
    )
    again = evaluate_from_archive(str(run / "model.tar.gz"), VARIABLES["TEST"])
    assert again["accuracy"] == pytest.approx(metrics["test_accuracy"], abs=1e-9)

    predictor = Predictor.from_archive(load_archive(str(run / "model.tar.gz")))
    output = predictor.predict_json({"sentence": "the lamp is broken ."})
    assert output["label"] in {"good", "bad", "neither"}
    assert output["tokens"] == ["the", "lamp", "is", "broken", "."]

    # without AllenNLP, for `elmo-tagger embed --mix`
    mix = read_archive(run / "model.tar.gz").mix()
    assert mix.gamma.item() != 1.0, "it learns"

    curves = read_curves(run)
    assert curves.epochs == list(range(10))
    assert (set(curves.loss), curves.score_name) == ({"training", "validation"}, "accuracy")
    logged = b"".join(path.read_bytes() for path in (run / "log" / "train").iterdir())
    assert b"scalar_mix_0.scalar_parameters.2" in logged


def test_the_mean_is_masked() -> None:
    """AllenNLP's `boe`, as the config uses it: a text's vector does not depend on how long its batch is."""
    params = Params.from_file(CONFIGS[-1], ext_vars=VARIABLES)["model"]["seq2vec_encoder"]
    from allennlp.modules import Seq2VecEncoder

    encoder = Seq2VecEncoder.from_params(params)
    vectors = torch.randn(2, 5, encoder.get_input_dim())
    mask = torch.tensor([[True, True, False, False, False], [True] * 5])
    torch.testing.assert_close(encoder(vectors, mask)[0], vectors[0, :2].mean(0))
