"""A migrated tagger says what AllenNLP says of the archive, or would say of the same weights in a layout that it reads.

More documents, or others, are compared with `COMPARED_DOCUMENTS=1000 COMPARED_TEXT=file.conll pytest ...`.
"""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import allennlp_models.tagging  # noqa: F401  (registers crf_tagger and its readers)
import pytest
import torch
from allennlp.data.tokenizers import Token
from allennlp.models import Model
from allennlp.models.archival import Archive, load_archive
from allennlp.modules.seq2vec_encoders import CnnEncoder
from allennlp.predictors import Predictor

import elmo_tagger
import elmo_tagger.plugin
from elmo_tagger.tagger import Document, Tagger
from elmo_tagger.tagger.migration import migrate
from elmo_tagger.tagging.schemes import is_well_formed
from elmo_tagger.text.columns import read_columns
from tests.bilm.random_models import random_bilm
from tests.tagger.old_archives import LAYOUTS, OPTIONS, SHAPES, vocabulary, weights, write_archive
from tests.tagger.test_against_allennlp import assert_same

# the published configs are so
pytestmark = [
    pytest.mark.filterwarnings("ignore:`coding_scheme` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You are using the default value .0. of `min_padding_length`:UserWarning"),
]

DOCUMENTS = int(os.environ.get("COMPARED_DOCUMENTS", "20"))
TEXT = os.environ.get("COMPARED_TEXT", "fixtures/quickstart/test.conll")
SENTENCES_OF_A_DOCUMENT = 3
SCORE = 1e-4  # sums of scores over a sentence, which have three digits before the point
EMBEDDER = "model.text_field_embedder.token_embedders.elmo"


def sentences(number: int) -> list[list[str]]:
    return [sentence.tokens for sentence in itertools.islice(read_columns(TEXT), number)]


@pytest.fixture(scope="module")
def bilm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Overrides that give AllenNLP a biLM's files, whose weights it then replaces by the archive's."""
    directory = tmp_path_factory.mktemp("bilm")
    random_bilm(OPTIONS).save(directory)
    files = {"options_file": directory / "options.json", "weight_file": directory / "weights.hdf5"}
    return {f"{EMBEDDER}.{key}": str(path) for key, path in files.items()}


def migrated(archive: Path, folder: Path, options: str | None = None) -> Tagger:
    """The tagger of the model folder that an archive becomes."""
    migrate(archive, options_file=options).tagger.save(folder)
    return elmo_tagger.load(folder)


def alone(model: Model) -> None:
    """Forgets the state that AllenNLP's biLM carries from batch to batch."""
    for module in model.modules():
        if hasattr(module, "_states"):
            module._states = None


def outputs(archive: Archive, inputs: list[list[str]]) -> Iterator[dict[str, Any]]:
    """What AllenNLP's own model says of each sentence alone."""
    archive.model.eval()
    for tokens in inputs:
        alone(archive.model)
        instance = archive.dataset_reader.text_to_instance([Token(token) for token in tokens])
        archive.dataset_reader.apply_token_indexers(instance)
        yield archive.model.forward_on_instance(instance)


@pytest.fixture
def padding_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The character encoder of AllenNLP before 1.2.1: padding is 0, and its windows count."""
    masked = CnnEncoder.forward

    def forward(self: CnnEncoder, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return masked(self, tokens * mask.unsqueeze(-1), None)

    monkeypatch.setattr(CnnEncoder, "forward", forward)


def assert_same_scores(tagger: Tagger, archive: Archive, inputs: list[list[str]]) -> None:
    """The three best taggings are equal, and so are the differences of their scores."""
    seen = set()
    for tokens, output in zip(inputs, outputs(archive, inputs), strict=True):
        document = tagger.tag(tokens, top_k=3)
        expected = [(each["tags"], float(each["score"])) for each in output["top_k_tags"]]
        (n_best,) = document.n_best
        assert [each.tags for each in n_best] == [tags for tags, _ in expected]
        for found, (_, score) in zip(n_best, expected, strict=True):
            difference = found.log_probability - n_best[0].log_probability
            assert difference == pytest.approx(score - expected[0][1], abs=SCORE)
        seen |= set(document.tags)
    assert len(seen) > 3


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_tags_and_scores_are_those_of_allennlp(
    shape: str, layout: str, bilm: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    old = write_archive(tmp_path / "old.tar.gz", shape, layout)
    options = None if layout < "1" else bilm[f"{EMBEDDER}.options_file"]
    tagger = migrated(old, tmp_path / "new", options)
    # of 0.x it reads neither config nor weights: the same ones in a layout that it reads
    readable = old if layout >= "1" else write_archive(tmp_path / "readable.tar.gz", shape, "1.0")
    if layout < "2":
        request.getfixturevalue("padding_counts")
    archive = load_archive(readable, overrides={**bilm, "model.top_k": 3})
    assert_same_scores(tagger, archive, sentences(DOCUMENTS))


@pytest.mark.parametrize("shape", SHAPES)
def test_documents_are_tagged_as_allennlp_predict_tags_them(shape: str, bilm: dict[str, Any], tmp_path: Path) -> None:
    """With the plugin's model and predictor, which tell confidences; alone and in batches."""
    old = write_archive(tmp_path / "old.tar.gz", shape)
    tagger = migrated(old, tmp_path / "new", bilm[f"{EMBEDDER}.options_file"])
    ours = {"model.type": "elmo_bilstm_crf", "model.top_k": 3, f"{EMBEDDER}.type": "elmo_hdf5"}
    predictor = Predictor.from_archive(load_archive(old, overrides={**bilm, **ours}), "entities")
    read = sentences(DOCUMENTS * SENTENCES_OF_A_DOCUMENT)
    texts = [
        " ".join(itertools.chain(*read[first : first + SENTENCES_OF_A_DOCUMENT]))
        for first in range(0, len(read), SENTENCES_OF_A_DOCUMENT)
    ]
    inputs = [{"text": text} for text in texts]
    documents: Iterator[Document] = tagger.pipe(inputs, top_k=3)
    expected = itertools.chain(
        *(predictor.predict_batch_json(inputs[first : first + 32]) for first in range(0, len(inputs), 32))
    )
    found = 0
    for number, (given, document, prediction) in enumerate(zip(inputs, documents, expected, strict=True)):
        found += assert_same(document, prediction)
        if number % 10 == 0:
            assert_same(tagger(given, top_k=3), predictor.predict_json(given))
    print(f"{shape}: {len(inputs)} documents, {found} entities")
    assert len(inputs) == DOCUMENTS
    assert found > DOCUMENTS


SIMPLE = {
    "model.type": "simple_tagger",
    "model.dropout": None,
    "model.include_start_end_transitions": None,
}
NO_CRF = {"crf.transitions": None, "crf._constraint_mask": None}


@pytest.mark.parametrize("scheme", ["BIOUL", None])
def test_a_simple_tagger_says_what_allennlp_says_where_that_is_legal(
    scheme: str | None, bilm: dict[str, Any], tmp_path: Path
) -> None:
    changes = {**SIMPLE, "model.label_encoding": scheme}
    bias = torch.tensor(
        [0.4 if tag[0] in "OU" else 0.0 for tag in vocabulary("ner_elmo")["labels"]]
    )  # often legal, not always
    tensors = {**NO_CRF, "tag_projection_layer._module.bias": bias}
    old = write_archive(tmp_path / "old.tar.gz", config_changes=changes, weight_changes=tensors)
    tagger = migrated(old, tmp_path / "new", bilm[f"{EMBEDDER}.options_file"])
    archive = load_archive(old, overrides=bilm)
    inputs = [tokens[:4] for tokens in sentences(3 * DOCUMENTS)]
    legal = 0
    for tokens, output in zip(inputs, outputs(archive, inputs), strict=True):
        document = tagger.tag(tokens, top_k=2)
        well_formed = scheme is None or is_well_formed(output["tags"], scheme)
        legal += well_formed
        if well_formed:
            assert document.tags == output["tags"]
        if scheme is None:
            log_probability = sum(row.max().log() for row in torch.from_numpy(output["class_probabilities"]))
            assert document.n_best[0][0].log_probability == pytest.approx(float(log_probability), abs=1e-5)
        else:
            assert is_well_formed(document.tags, scheme)
    assert legal > 5
    assert (legal == len(inputs)) == (scheme is None)


def test_the_archives_weights_are_all_that_allennlp_has(bilm: dict[str, Any], tmp_path: Path) -> None:
    """So that what is compared here are archives that AllenNLP could have made."""
    for shape in SHAPES:
        model = load_archive(write_archive(tmp_path / f"{shape}.tar.gz", shape), overrides=bilm).model
        assert {name: value.shape for name, value in model.state_dict().items()} == {
            name: value.shape for name, value in weights(shape).items()
        }
