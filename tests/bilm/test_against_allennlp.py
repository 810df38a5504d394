"""AllenNLP's own ELMo as an oracle: what we save it loads, and its numbers are ours."""

from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("allennlp")
with warnings.catch_warnings():
    # AllenNLP's dependencies warn of their own age when imported
    warnings.simplefilter("ignore")
    from allennlp.data.token_indexers.elmo_indexer import ELMoCharacterMapper
    from allennlp.modules.elmo import Elmo
    from allennlp.modules.scalar_mix import ScalarMix as AllenNlpMix

from elmo_tagger.bilm import ScalarMix, encode_sentences, encode_words
from tests.bilm.random_models import TOLERANCE, random_bilm, raw_options

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

# Sizes of the batches grow and shrink, so that lanes of carried state are added and left alone.
BATCHES = [
    [["Nell", "sat"], ["in", "Reykjavík", "1987", "."]],
    [["one"], ["two", "three"], ["four", "five", "six"]],
    [["—"]],
    [["a", "b", "c"], ["d"], ["e", "f"], ["g"]],
]


@settings(derandomize=True, deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=70) | st.sampled_from(["<S>", "</S>"]))
def test_character_ids(word):
    assert encode_words([word])[0].tolist() == ELMoCharacterMapper().convert_word_to_char_ids(word)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A random biLM and the directory it is saved in."""
    raw = raw_options(max_characters_per_token=50, n_layers=3, n_highway=2)
    bilm = random_bilm(raw, scale=0.5, stateful=True)
    directory = tmp_path_factory.mktemp("bilm")
    bilm.save(directory)
    return bilm, directory


def stock(directory, **arguments):
    elmo = Elmo(str(directory / "options.json"), str(directory / "weights.hdf5"), 1, dropout=0.0, **arguments)
    return elmo.eval().requires_grad_(False)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("mix_parameters", [None, [0.3, -1.0, 2.0, 0.5]])
def test_mix_of_saved_weights_with_carried_state(models, layer_norm, mix_parameters):
    bilm, directory = models
    bilm.reset_states()
    elmo = stock(directory, do_layer_norm=layer_norm, scalar_mix_parameters=mix_parameters)
    mix = ScalarMix(4, initial=mix_parameters, layer_norm="batch" if layer_norm else "none")
    for sentences in BATCHES:
        ids = torch.from_numpy(encode_sentences(sentences)).long()
        expected = elmo(ids)
        # the stock layer norm counts the boundaries in
        output = bilm(ids, keep_boundaries=True)
        mask = (ids > 0).any(-1)
        got = mix(list(output.layers.values()), output.mask)[:, 1:-1] * mask.unsqueeze(-1)
        assert torch.equal(mask, expected["mask"])
        torch.testing.assert_close(got, expected["elmo_representations"][0], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("layer", range(4))
def test_each_layer_of_saved_weights(models, layer):
    bilm, directory = models
    bilm.reset_states()
    activations = stock(directory)._elmo_lstm
    for sentences in BATCHES:
        ids = torch.from_numpy(encode_sentences(sentences)).long()
        expected = activations(ids)
        got = bilm(ids, layers=[layer], keep_boundaries=True)
        assert torch.equal(got.mask, expected["mask"])
        torch.testing.assert_close(got.layers[layer], expected["activations"][layer], rtol=0, atol=TOLERANCE)


def test_state_of_a_mix_is_interchangeable():
    theirs = AllenNlpMix(3, initial_scalar_parameters=[0.1, 0.2, -0.3])
    ours = ScalarMix(3)
    ours.load_state_dict(theirs.state_dict())
    layers = [torch.full((1, 2, 4), float(value)) for value in (1, 2, 5)]
    torch.testing.assert_close(ours(layers), theirs(layers))
    theirs.load_state_dict(ScalarMix(3, initial=[1.0, 2.0, 3.0]).state_dict())
    assert [parameter.item() for parameter in theirs.scalar_parameters] == [1.0, 2.0, 3.0]
