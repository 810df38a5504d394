"""`Elmo`, the layer for networks of one's own."""

from pathlib import Path
from typing import Any

import pytest
import torch

import elmo_tagger
from elmo_tagger.bilm import Bilm, Elmo, ScalarMix, encode_sentences
from tests.bilm.random_models import TOLERANCE, random_bilm, raw_options

SENTENCES = [["Nell", "sat", "in", "Reykjavík"], ["1987"], ["—", "日本語", "."]]
FILES = "options.json", "weights.hdf5"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("bilm")
    random_bilm(raw_options()).save(path)
    return path


@pytest.fixture
def bilm(directory: Path) -> Bilm:
    return Bilm.load(*(directory / name for name in FILES))


def close(left: torch.Tensor, right: torch.Tensor) -> None:
    torch.testing.assert_close(left, right, atol=TOLERANCE, rtol=0)


def test_its_outputs_are_those_of_the_bilm(directory: Path, bilm: Bilm) -> None:
    found, expected = Elmo(directory)(SENTENCES), bilm.embed(SENTENCES)
    for name in ("word_emb", "lstm_outputs1", "lstm_outputs2", "elmo", "default"):
        close(getattr(found, name), getattr(expected, name))
    assert torch.equal(found.mask, expected.mask)


def test_strings_words_ids_and_lengths_are_ways_to_say_the_same(directory: Path) -> None:
    elmo = Elmo(*(directory / name for name in FILES))
    expected = elmo(SENTENCES).elmo
    ids = torch.from_numpy(encode_sentences(SENTENCES, max_characters=12))
    filled = [[*words, "x", "x", "x", "x"][:4] for words in SENTENCES]
    for found in (elmo([" ".join(words) for words in SENTENCES]), elmo(ids), elmo(filled, [4, 1, 3])):
        close(found.elmo, expected)


@pytest.mark.parametrize("layers", ["mix", "average", "top", "concat", 0, 1])
def test_each_choice_of_layers_is_made_of_the_outputs(directory: Path, layers: str | int) -> None:
    elmo = Elmo(directory, layers=layers)
    found = elmo(SENTENCES)
    word, low, high = found.word_emb, found.lstm_outputs1, found.lstm_outputs2
    average = (torch.cat([word, word], dim=-1) + low + high) / 3
    expected = {
        "mix": average,
        "average": average,
        "top": high,
        "concat": torch.cat([word, low, high], dim=-1),
        0: torch.cat([word, word], dim=-1),
        1: low,
    }[layers]
    close(found.elmo, expected)
    assert found.elmo.shape[-1] == found.default.shape[-1] == elmo.output_dim


def test_padding_is_zero_and_changes_no_sentence(directory: Path) -> None:
    elmo = Elmo(directory, mix=ScalarMix(3, initial=[1.0, -1.0, 0.5], layer_norm="token"))
    found = elmo(SENTENCES)
    for row, words in enumerate(SENTENCES):
        alone = elmo([words])
        close(found.elmo[row, : len(words)], alone.elmo[0])
        close(found.default[row], alone.elmo[0].mean(dim=0))
        assert not found.elmo[row, len(words) :].any()
    assert elmo([]).elmo.numel() == 0


@pytest.mark.parametrize("trainable", [False, True])
def test_training_learns_the_mix_and_if_told_the_bilm(directory: Path, trainable: bool) -> None:
    elmo = Elmo(directory, trainable=trainable)
    elmo(SENTENCES).elmo.square().sum().backward()
    assert elmo.mix is not None
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in elmo.mix.parameters())
    gradients = [parameter.grad for parameter in elmo.bilm.parameters()]
    assert all(each is not None for each in gradients) if trainable else not any(map(torch.is_tensor, gradients))


def test_a_state_dict_brings_back_what_was_learnt(directory: Path) -> None:
    elmo, other = Elmo(directory, trainable=True), Elmo(directory)
    with torch.no_grad():
        for parameter in elmo.parameters():
            parameter.add_(0.1)
    expected = elmo(SENTENCES)
    assert not torch.allclose(other(SENTENCES).elmo, expected.elmo, atol=0.01)
    other.load_state_dict(elmo.state_dict())
    close(other(SENTENCES).elmo, expected.elmo)


def test_the_bilm_of_the_package_is_called_by_its_name() -> None:
    elmo = elmo_tagger.Elmo("starter", layers="top")
    found = elmo(["The cat sat .", "The cat sat down .", "Stocks fell in May ."]).default
    near, far = (torch.cosine_similarity(found[0], found[row], dim=0) for row in (1, 2))
    assert near > far


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": "all"}, "layers: expected mix, average, top, concat or a number, received 'all'"),
        ({"layers": 7}, "layers: expected one of .* received 7"),
        ({"layers": "top", "mix": ScalarMix(3)}, "and mix with a mix, received 'top'"),
        ({"mix": ScalarMix(2)}, "the mix is of 2 layers, but the biLM has 3"),
    ],
)
def test_choices_that_do_not_fit_are_named(directory: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Elmo(directory, **arguments)


def test_lengths_beside_ids_are_refused(directory: Path) -> None:
    with pytest.raises(ValueError, match="expected them with lists of words only, received character ids"):
        Elmo(directory)(torch.ones(1, 2, 12, dtype=torch.int64), [1])
