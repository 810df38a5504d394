"""A training that ends with a temperature, and what the plugin and the engine make of it."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.data import Batch
from allennlp.models.archival import load_archive
from allennlp.nn.util import get_text_field_mask
from allennlp.predictors import Predictor
from typer.testing import CliRunner

import elmo_tagger
from elmo_tagger.cli.app import app
from elmo_tagger.tagging.temperature import fit_temperature
from elmo_tagger.text.sentence import Span
from tests.plugin.conftest import tagger_config
from tests.reference.crf import EnumeratedCrf

# what the tagger is not told of in training, so that it is not always right
DEV = "Emma B-PER\nflew O\nto O\nEmma B-LOC\n. O\n\nOslo B-PER\nStone O\n. O\n\nThey O\nlikes O\nOslo B-LOC\n\n"
TEXTS = ["Emma Stone flew to Oslo.", "They flew.", "Oslo likes Emma."]


def run_of(bilm_files: dict[str, str], train: str, dev: str, directory: Path, **model: Any) -> Path:
    (directory / "dev.conll").write_text(dev)
    config = tagger_config(bilm_files, train, num_epochs=8)
    config["validation_data_path"] = str(directory / "dev.conll")
    config["model"] |= model
    train_model(Params(config), str(directory / "run"))
    return directory / "run"


@pytest.fixture(scope="module")
def run(bilm_files: dict[str, str], training_file: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_of(bilm_files, training_file, DEV, tmp_path_factory.mktemp("calibrated"))


def weights(run: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(run / "best.th", weights_only=True)
    return found


def test_a_training_ends_with_the_temperature_of_its_best_weights(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    assert weights(run)["crf.temperature"].item() == pytest.approx(metrics["temperature"])
    assert metrics["temperature"] != 1.0
    archive = load_archive(run / "model.tar.gz")
    model = archive.model.eval()
    assert model.crf.temperature.item() == pytest.approx(metrics["temperature"])
    # found again by the same sentences, one by one
    batches = []
    with torch.no_grad():
        for instance in archive.validation_dataset_reader.read(str(run.parent / "dev.conll")):
            instance.index_fields(model.vocab)
            tensors = Batch([instance]).as_tensor_dict()
            mask = get_text_field_mask(tensors["tokens"])
            batches.append((model.emissions(tensors["tokens"], mask), tensors["tags"], mask))
    assert fit_temperature(model.crf, batches).temperature == pytest.approx(metrics["temperature"], rel=1e-2)


def test_plugin_and_engine_tell_the_same_confidences_which_the_temperature_moved(run: Path) -> None:
    predictor = Predictor.from_archive(load_archive(run / "model.tar.gz", overrides={"model.top_k": 3}))
    tagger = elmo_tagger.load(run / "model.tar.gz")
    temperature = float(tagger.model.crf.temperature)
    assert temperature == float(predictor._model.crf.temperature) != 1.0
    moved = []
    for text in TEXTS:
        theirs, ours = predictor.predict_json({"text": text}), tagger(text, top_k=3)
        assert ours.tags == theirs["tags"]
        assert [e.confidence for e in ours.entities] == pytest.approx(
            [e["confidence"] for e in theirs["entities"]], abs=1e-5
        )
        n_best = [[each["log_probability"] for each in sentence] for sentence in theirs["n_best"]]
        for sentence, expected in zip(ours.n_best, n_best, strict=True):
            assert [each.log_probability for each in sentence] == pytest.approx(expected, abs=1e-4)
        tagger.model.crf.temperature.fill_(1.0)
        uncalibrated = tagger(text, top_k=3)
        tagger.model.crf.temperature.fill_(temperature)
        assert uncalibrated.tags == ours.tags
        moved += [
            abs(one.confidence - other.confidence)
            for one, other in zip(ours.entities, uncalibrated.entities, strict=True)
        ]
    assert max(moved) > 0.001


def test_confidences_are_those_of_all_sequences_with_divided_scores(run: Path) -> None:
    tagger = elmo_tagger.load(run / "model.tar.gz")
    crf, tokens = tagger.model.crf, ["Oslo", "likes", "Emma"]
    emissions, _ = tagger._score([tokens])
    temperature = crf.temperature
    scores = (emissions[0], crf.transitions, crf.start_transitions, crf.end_transitions)
    pairs = {(i, j) for i, row in enumerate(crf._constraint_mask.tolist()) for j, legal in enumerate(row) if legal}
    every = EnumeratedCrf(*((each / temperature).tolist() for each in scores), allowed=pairs)
    doc = tagger.tag(tokens)
    assert doc.entities
    for entity in doc.entities:
        span = Span(entity.token_start, entity.token_end, entity.type)
        assert entity.confidence == pytest.approx(every.posterior(span, tagger.tags, "BIOUL"), abs=1e-5)
    best = tagger.tag(tokens, top_k=2).n_best[0]
    expected = [every.scores[path] - every.log_sum() for path in every.best(2)]
    assert [each.log_probability for each in best] == pytest.approx(expected, abs=1e-4)
    assert best[0].probability == pytest.approx(math.exp(expected[0]), abs=1e-5)


def test_it_can_be_switched_off(bilm_files: dict[str, str], training_file: str, tmp_path: Path) -> None:
    run = run_of(bilm_files, training_file, DEV, tmp_path, calibrate=False)
    assert "crf.temperature" not in weights(run)
    assert "temperature" not in json.loads((run / "metrics.json").read_text())


def test_data_without_a_certain_label_cost_a_warning(
    bilm_files: dict[str, str], training_file: str, tmp_path: Path
) -> None:
    run = run_of(bilm_files, training_file, "Emma ?\nflew ?\n", tmp_path)
    assert "crf.temperature" not in weights(run)
    warning = "the confidences are not calibrated, the temperature stays 1: no label of the 1 sentences"
    assert warning in (run / "out.log").read_text()


def test_an_archive_is_calibrated_into_an_archive(
    bilm_files: dict[str, str], training_file: str, tmp_path: Path
) -> None:
    run = run_of(bilm_files, training_file, DEV, tmp_path, calibrate=False)
    result = CliRunner().invoke(app, ["calibrate", str(run / "model.tar.gz"), str(tmp_path / "dev.conll"), "--json"])
    assert result.exit_code == 0, result.output
    written = Path(json.loads(result.stdout)["output"])
    assert written == run / "model-calibrated.tar.gz"
    predictor, tagger = Predictor.from_archive(load_archive(written)), elmo_tagger.load(written)
    before = elmo_tagger.load(run / "model.tar.gz")
    assert float(predictor._model.crf.temperature) == float(tagger.model.crf.temperature) != 1.0
    for text in TEXTS:
        expected, found = predictor.predict_json({"text": text}), tagger(text)
        assert found.tags == expected["tags"] == before(text).tags
        ours, theirs = ([e.confidence for e in found.entities], [e["confidence"] for e in expected["entities"]])
        assert ours == pytest.approx(theirs, abs=1e-5)
