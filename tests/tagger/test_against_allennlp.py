"""The engine says what `allennlp predict` says with the same archive."""

import copy
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from allennlp.models.archival import load_archive
from allennlp.predictors import Predictor

import elmo_tagger
from elmo_tagger.bilm.cpu.prepacked_linear import LAYOUTS, available_layouts
from elmo_tagger.tagger import ConfigError, Document, Tagger
from elmo_tagger.text.columns import read_columns
from tests.tagger.archives import STOCK_ELMO, configs, make_archive, shipped

BATCH_NORM = "batch norm, one layer"
SHIPPED = ("quickstart", "conll2003", "wnut17", "elmo_only", "elmo_and_vectors", "static_baseline", "fine_tuning")
CASES = tuple(name for name in configs({}) if name != BATCH_NORM)
ROW_WISE = available_layouts(torch.float32) == LAYOUTS  # PyTorch has oneDNN
CONFIDENCE = 1.001e-6  # one in the last digit that is written
LOG_PROBABILITY = 1e-5  # of sums of scores, which grow with a sentence; of large ones float32 holds 7 digits


class Pair(NamedTuple):
    """A tagger, and AllenNLP's predictor with the same archive."""

    archive: Path
    tagger: Tagger
    predictor: Predictor


@pytest.fixture(scope="module")
def inputs() -> list[dict[str, Any]]:
    """Documents of several sentences, sentences and tokens, and what texts hold now and then."""
    words = [sentence.tokens for sentence in read_columns("fixtures/quickstart/test.conll")][:60]
    texts = [" ".join(word for sentence in words[first : first + 3] for word in sentence) for first in range(0, 45, 3)]
    return [
        *({"text": text, "id": number} for number, text in enumerate(texts)),
        *({"tokens": each} for each in words[45:55]),
        *({"sentence": " ".join(each)} for each in words[55:]),
        {"text": ""},
        {"text": " \n "},
        {"tokens": []},
        {"tokens": ["2", "."]},
        {"text": "Emma 👩\u200d👩\u200d👧 in Oslo\u00a0! Z\u0301ürich\n\nx" + "x" * 300},
    ]


def make_pair(config: dict[str, Any], directory: Path) -> Pair:
    archive = make_archive(config, directory / "run")
    overrides: dict[str, Any] = {"model.top_k": 3}
    options = None
    embedder = config["model"]["text_field_embedder"]["token_embedders"].get("elmo", {})
    if embedder.get("type") == "elmo_token_embedder":
        # a stateless predictor with the same weights: tests/plugin/test_old_archives.py has the stock one beside it
        overrides["model.type"] = "elmo_bilstm_crf"
        overrides["model.text_field_embedder.token_embedders.elmo.type"] = "elmo_hdf5"
        options = embedder["options_file"]
    predictor = Predictor.from_archive(load_archive(archive, overrides=overrides), "entities")
    return Pair(archive, elmo_tagger.load(archive, options_file=options), predictor)


@pytest.fixture(scope="module", params=[*CASES, *(f"{name}.jsonnet" for name in SHIPPED)])
def pair(request: pytest.FixtureRequest, tiny_bilm: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Pair:
    directory = tmp_path_factory.mktemp("archive")
    if request.param in CASES:
        return make_pair(configs(tiny_bilm)[request.param], directory)
    return make_pair(shipped(request.param.removesuffix(".jsonnet"), tiny_bilm, directory), directory)


def test_every_shipped_config_of_a_tagger_is_compared() -> None:
    others = {"distributed"}  # elmo_only on several GPUs
    assert {path.stem for path in Path("training_configs").glob("*.jsonnet")} == set(SHIPPED) | others


def assert_same(document: Document, expected: dict[str, Any]) -> int:
    """Everything is equal, probabilities too where products do not depend on company; how many entities there were."""
    ours, theirs = document.to_json(), copy.deepcopy(expected)
    if not ROW_WISE:
        for left, right in zip(ours["entities"], theirs["entities"], strict=True):
            assert left.pop("confidence") == pytest.approx(right.pop("confidence"), abs=CONFIDENCE)
        for sentence, other in zip(ours.get("n_best", []), theirs.get("n_best", []), strict=True):
            for left, right in zip(sentence, other, strict=True):
                assert left.pop("probability") == pytest.approx(right.pop("probability"), abs=CONFIDENCE)
                assert left.pop("log_probability") == pytest.approx(
                    right.pop("log_probability"), abs=LOG_PROBABILITY, rel=2**-22
                )
    assert ours == theirs
    return len(ours["entities"])


def test_a_batch_is_tagged_as_allennlp_predict_tags_it(pair: Pair, inputs: list[dict[str, Any]]) -> None:
    expected = pair.predictor.predict_batch_json(inputs)
    found = [assert_same(*both) for both in zip(pair.tagger.pipe(inputs, top_k=3), expected, strict=True)]
    if pair.tagger.labels:
        assert sum(found) > 10


def test_a_document_alone_is_tagged_as_allennlp_predict_tags_it(pair: Pair, inputs: list[dict[str, Any]]) -> None:
    for given in inputs[::3]:
        assert_same(pair.tagger(given, top_k=3), pair.predictor.predict_json(given))


def test_the_bytes_of_an_archive_are_as_good_as_the_file(tiny_bilm: dict[str, str], tmp_path: Path) -> None:
    archive = make_archive(configs(tiny_bilm)["quickstart"], tmp_path / "run")
    text = "Emma Stone flew to Oslo. They flew home."
    assert elmo_tagger.load(archive.read_bytes())(text).to_json() == elmo_tagger.load(archive)(text).to_json()


def test_a_document_does_not_depend_on_its_batch(pair: Pair, inputs: list[dict[str, Any]]) -> None:
    for size in (1, 7):
        batched = pair.tagger.pipe(inputs[::4], batch_size=size, top_k=3)
        for given, document in zip(inputs[::4], batched, strict=True):
            assert_same(document, pair.tagger(given, top_k=3).to_json())


def test_a_norm_over_the_batch_is_one_over_the_sentence(
    tiny_bilm: dict[str, str], inputs: list[dict[str, Any]], tmp_path: Path
) -> None:
    """AllenNLP's layer norm makes a sentence depend on its batch; here each is a batch of its own."""
    pair = make_pair(configs(tiny_bilm)[BATCH_NORM], tmp_path)
    sentences = [given for given in inputs if given.get("tokens")]
    assert len(sentences) > 5
    for given, document in zip(sentences, pair.tagger.pipe(sentences, top_k=3), strict=True):
        assert_same(document, pair.predictor.predict_json(given))
    assert pair.tagger.labels == []  # no label_encoding


def test_the_options_of_a_bilm_that_nobody_published_are_asked_for(tiny_bilm: dict[str, str], tmp_path: Path) -> None:
    archive = make_archive(configs(tiny_bilm)[STOCK_ELMO], tmp_path / "run")
    with pytest.raises(ConfigError, match=r"token_embedders.elmo: the options of its biLM are missing.*options_file"):
        elmo_tagger.load(archive)
