from pathlib import Path

import allennlp_models.tagging  # noqa: F401  (registers crf_tagger)
import pytest
import torch
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.models.archival import load_archive
from allennlp.modules.elmo import batch_to_ids
from allennlp.modules.token_embedders import TokenEmbedder
from allennlp.predictors import Predictor
from allennlp_models.tagging import Conll2003DatasetReader

from elmo_tagger.plugin.predictor import EntitiesPredictor
from tests.plugin.conftest import TRAINING, tagger_config

SENTENCES = [["Emma", "Stone", "flew", "to", "Oslo", "."], ["Yes"]]


@pytest.mark.parametrize("options", [{}, {"projection_dim": 5}, {"do_layer_norm": True}], ids=str)
def test_weights_of_the_stock_embedder_load(options: dict, bilm_files: dict[str, str]) -> None:
    """Changed by training, so that the .hdf5 file cannot stand in for them."""
    stock, ours = (
        TokenEmbedder.from_params(Params({"type": kind, "dropout": 0.0, **bilm_files, **options})).eval()
        for kind in ("elmo_token_embedder", "elmo_hdf5")
    )
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in stock.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    ours.load_state_dict(stock.state_dict())
    ids = batch_to_ids(SENTENCES)
    torch.testing.assert_close(ours(ids), stock(ids), atol=1e-5, rtol=0)


def test_an_archive_of_crf_tagger_is_predicted_by_ours(bilm_files: dict[str, str], tmp_path: Path) -> None:
    # AllenNLP's biLM is slow to train; some steps are enough for tags that are not all `O`
    short = tmp_path / "train.conll"
    short.write_text(TRAINING)
    config = tagger_config(bilm_files, str(short), num_epochs=15)
    del config["validation_data_path"], config["trainer"]["validation_metric"]
    config["dataset_reader"]["token_indexers"]["elmo"]["type"] = "elmo_characters"
    config["model"]["type"] = "crf_tagger"
    config["model"]["encoder"]["input_size"] = 12
    embedder = config["model"]["text_field_embedder"]["token_embedders"]["elmo"]
    embedder.update({"type": "elmo_token_embedder", "requires_grad": True})
    old = train_model(Params(config), str(tmp_path / "run")).eval()

    overrides = {
        "model.type": "elmo_bilstm_crf",
        "model.text_field_embedder.token_embedders.elmo.type": "elmo_hdf5",
    }
    archive = load_archive(tmp_path / "run" / "model.tar.gz", overrides=overrides)
    predictor = Predictor.from_archive(archive)
    assert set(predictor.predict_json({"tokens": SENTENCES[0]})["tags"]) > {"O"}
    for sentence in SENTENCES:
        for module in old.modules():
            if hasattr(module, "_states"):
                module._states = None
        instance = archive.dataset_reader.text_to_instance(sentence)
        archive.dataset_reader.apply_token_indexers(instance)
        assert predictor.predict_json({"tokens": sentence})["tags"] == old.forward_on_instance(instance)["tags"]
    # the reader that such an archive has takes tokens, not words
    stock = Conll2003DatasetReader(archive.dataset_reader._token_indexers)
    text = {"text": "Emma Stone flew to Oslo."}
    assert EntitiesPredictor(archive.model, stock).predict_json(text) == predictor.predict_json(text)
