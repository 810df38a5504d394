"""AllenNLP's parts that are replaced for speed, against AllenNLP's own."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any
from unittest import mock

import pytest
import torch
from allennlp.common import Params
from allennlp.common.util import prepare_environment
from allennlp.data import DataLoader, DatasetReader, Vocabulary
from allennlp.models import Model
from allennlp.modules.stacked_bidirectional_lstm import StackedBidirectionalLstm
from allennlp.modules.token_embedders import TokenCharactersEncoder, TokenEmbedder
from torch.nn.utils.rnn import pack_padded_sequence

from elmo_tagger.plugin import classifier, faster_parts
from elmo_tagger.plugin import model as tagger_model
from elmo_tagger.plugin.faster_parts import DistinctWordsEncoder, with_faster_parts
from elmo_tagger.tagger.dropout import Dropout
from elmo_tagger.tagger.lstm import Lstm
from tests.plugin.conftest import tagger_config

WIDTHS = [[3], [2, 3, 5]]


def character_encoding(widths: list[int], **options: Any) -> dict[str, Any]:
    encoder = {"type": "cnn", "embedding_dim": 4, "num_filters": 6, "ngram_filter_sizes": widths, **options}
    return {
        "type": "character_encoding",
        "embedding": {"embedding_dim": 4, "num_embeddings": 20},
        "encoder": encoder,
        "dropout": 0.4,
    }


def characters() -> torch.Tensor:
    """Ids of words of 1 to 9 characters, some of which occur often, one sentence of padding alone."""
    torch.manual_seed(3)
    words = torch.randint(1, 20, (300, 9)) * (torch.arange(9) < torch.randint(1, 10, (300, 1)))
    ids = words[torch.randint(0, 300, (60, 12))]
    ids[torch.arange(12) >= torch.randint(1, 13, (60, 1))] = 0
    ids[7] = 0
    return ids


@pytest.fixture
def in_float64() -> Iterator[None]:
    """New tensors are float64, among them those that AllenNLP's `cnn` makes of the mask."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize("options", [{}, {"output_dim": 5}, {"conv_layer_activation": "tanh"}], ids=str)
def test_distinct_words_get_allennlps_vectors_and_gradients(widths: list[int], options: dict[str, Any]) -> None:
    """With the draws of dropout that every token has of its own."""
    found = []
    for faster in (False, True):
        torch.manual_seed(0)
        config = Params(character_encoding(widths, **deepcopy(options)))
        embedder = TokenEmbedder.from_params(config, vocab=Vocabulary()).double()
        if faster:
            with_faster_parts(embedder)
        assert type(embedder) is (DistinctWordsEncoder if faster else TokenCharactersEncoder)
        torch.manual_seed(1)
        vectors = embedder(characters())
        vectors.sin().sum().backward()
        found.append([vectors, *(each.grad for each in embedder.parameters())])
    for expected, received in zip(*found, strict=True):
        torch.testing.assert_close(received, expected, rtol=0, atol=1e-10)


def test_other_character_encoders_stay_as_they_are() -> None:
    """A recurrent one may draw dropout of its own, for each token another."""
    config = character_encoding([3]) | {"encoder": {"type": "gru", "input_size": 4, "hidden_size": 3}}
    embedder = TokenEmbedder.from_params(Params(config), vocab=Vocabulary())
    with_faster_parts(embedder)
    assert type(embedder) is TokenCharactersEncoder


@pytest.mark.parametrize("highway", [False, True])
def test_a_stack_predicts_allennlps_outputs_and_states(highway: bool) -> None:
    torch.manual_seed(0)
    stock = StackedBidirectionalLstm(5, 6, num_layers=3, use_highway=highway, recurrent_dropout_probability=0.4)
    faster = deepcopy(stock)
    with_faster_parts(faster)
    lengths = torch.tensor([7, 4, 4, 1])
    sentences = pack_padded_sequence(torch.randn(4, 7, 5), lengths, batch_first=True)
    with torch.no_grad():
        for training in (False, True):
            found = []
            for stack in (stock, faster):
                torch.manual_seed(1)
                found.append(stack.train(training)(sentences))
            torch.testing.assert_close(*found)


def losses(config: dict[str, Any], epochs: int) -> tuple[list[float], Model]:
    """Of each step of a training by AllenNLP's data loader and PyTorch's Adam."""
    prepare_environment(Params({}))
    params = Params(deepcopy(config))
    reader = DatasetReader.from_params(params.pop("dataset_reader"))
    loader = DataLoader.from_params(params.pop("data_loader"), reader=reader, data_path=params.pop("train_data_path"))
    vocabulary = Vocabulary.from_instances(loader.iter_instances())
    loader.index_with(vocabulary)
    model = Model.from_params(params.pop("model"), vocab=vocabulary)
    optimizer = torch.optim.Adam([each for each in model.parameters() if each.requires_grad], lr=0.005)
    found = []
    for _ in range(epochs):
        for batch in loader:
            optimizer.zero_grad()
            loss = model(**batch)["loss"]
            loss.backward()
            optimizer.step()
            found.append(loss.item())
    return found, model


def test_a_training_has_the_losses_it_had(bilm_files: dict[str, str], training_file: str) -> None:
    config = tagger_config(bilm_files, training_file)
    config["dataset_reader"]["token_indexers"]["characters"] = {"type": "characters", "min_padding_length": 3}
    embedders = config["model"]["text_field_embedder"]["token_embedders"]
    characters = {"embedding_dim": 4, "vocab_namespace": "token_characters"}
    embedders["characters"] = {**character_encoding([3]), "embedding": characters}
    config["model"]["encoder"] |= {"num_layers": 2, "dropout": 0.3}
    received, model = losses(config, 3)
    assert {Dropout, DistinctWordsEncoder, Lstm} <= {type(part) for part in model.modules()}
    with mock.patch.object(tagger_model, "with_faster_parts"):
        expected, stock = losses(config, 3)
    assert not {Dropout, DistinctWordsEncoder, Lstm} & {type(part) for part in stock.modules()}
    assert received == pytest.approx(expected, rel=1e-4)
    steps = len(received) // 3
    assert sum(received[-steps:]) < sum(received[:steps])


def test_a_classifiers_lstm_is_replaced_too() -> None:
    assert classifier.with_faster_parts is faster_parts.with_faster_parts
    vocabulary = Vocabulary()
    for label in ("a", "b"):
        vocabulary.add_token_to_namespace(label, "labels")
    config = {
        "type": "elmo_classifier",
        "text_field_embedder": {"token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 3}}},
        "seq2seq_encoder": {"type": "lstm", "hidden_size": 3},
    }
    built = Model.from_params(Params(config), vocab=vocabulary)
    assert Lstm in {type(part) for part in built.modules()}
