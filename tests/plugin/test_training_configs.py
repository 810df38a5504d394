"""Every shipped tagger config is trained for an epoch on tiny data."""

import json
import re
from pathlib import Path

import pytest
from allennlp.commands.evaluate import evaluate_from_archive
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.models.archival import load_archive
from allennlp.predictors import Predictor

from tests.plugin.conftest import TRAINING

CONFIGS = sorted(Path("training_configs").glob("*.jsonnet"))
# Enough to find something; batches of one sentence leave several processes shares of unlike length.
QUICK = {
    "trainer.num_epochs": 10,
    "trainer.optimizer.lr": 0.02,
    "model.encoder.hidden_size": 16,
    "data_loader.batch_sampler.batch_size": 1,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, bilm_files: dict[str, str]) -> dict[str, str]:
    """What the configs' users give: files and numbers."""
    directory = tmp_path_factory.mktemp("user")
    for name in ("train.conll", "dev.conll", "test.conll", "eng.train", "eng.testa", "eng.testb"):
        (directory / name).write_text(TRAINING + "Emma B-PER\n\n")
    (directory / "vectors.txt").write_text("emma 1 2\noslo 3 4\n")
    tiny = {
        "TRAIN": "train.conll",
        "DEV": "dev.conll",
        "TEST": "test.conll",
        "VECTORS": "vectors.txt",
        "GLOVE": "vectors.txt",
    }
    return {
        **{variable: str(directory / name) for variable, name in tiny.items()},
        "VECTORS_DIM": "2",
        "CONLL2003": str(directory),
        "WNUT17": str(directory),
        "ELMO_OPTIONS": bilm_files["options_file"],
        "ELMO_WEIGHTS": bilm_files["weight_file"],
        "CUDA_DEVICES": "[-1, -1]",
    }


def test_the_list_is_complete() -> None:
    assert {path.stem for path in CONFIGS} >= {
        "quickstart",
        "conll2003",
        "elmo_only",
        "elmo_and_vectors",
        "static_baseline",
        "wnut17",
        "distributed",
        "fine_tuning",
    }


def params_of(config: Path, data: dict[str, str]) -> Params:
    return Params.from_file(config, QUICK, data)


# The quickstart is trained to its end by the README's test.
@pytest.mark.parametrize("config", [path for path in CONFIGS if path.stem != "quickstart"], ids=lambda path: path.stem)
def test_config_trains_archives_and_predicts(config: Path, data: dict[str, str], tmp_path: Path) -> None:
    params = params_of(config, data)
    if config.stem == "distributed":
        # Spawned workers import the package by name.
        train_model(params, str(tmp_path / "run"), include_package=["elmo_tagger.plugin"])
    else:
        train_model(params, str(tmp_path / "run"))
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    # The archive scores the test set as the training did: on several processes too, each of which read a share of it.
    archive = str(tmp_path / "run" / "model.tar.gz")
    again = evaluate_from_archive(archive, params_of(config, data)["test_data_path"])
    for score in ("f1-measure-overall", "recall-overall", "accuracy", "loss"):
        assert again[score] == pytest.approx(metrics[f"test_{score}"], abs=1e-5)
        # The development set holds the same sentences.
        assert again[score] == pytest.approx(metrics[f"best_validation_{score}"], abs=1e-5)
    assert again["f1-measure-overall"] > 0.3
    assert any((tmp_path / "run" / "log" / "validation").iterdir())
    predictor = Predictor.from_archive(load_archive(archive))
    output = predictor.predict_json({"text": "Emma flew to Oslo."})
    assert output["tokens"] == ["Emma", "flew", "to", "Oslo", "."]


def test_no_config_sums_widths_by_hand() -> None:
    for path in Path("training_configs").rglob("*.*sonnet"):
        assert not re.search(r"input_(size|dim): *[0-9]", path.read_text()), path
