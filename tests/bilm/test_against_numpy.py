"""The biLM against its slow twin, over random shapes, lengths and batches."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.bilm import encode_sentences, encode_words
from elmo_tagger.bilm.dispatch import reference_only
from tests.bilm.random_models import WORDS, named_weights, random_bilm, raw_options
from tests.reference import bilm as twin

# Both sides compute in float64, so only the order of sums differs.
EXACT = 1e-10

shapes = st.fixed_dictionaries(
    {
        "dim": st.integers(1, 7),
        "projection_dim": st.integers(1, 6),
        "n_layers": st.integers(1, 3),
        "cell_clip": st.sampled_from([None, 0.5, 3]),
        "proj_clip": st.sampled_from([None, 0.5, 3]),
        "use_skip_connections": st.booleans(),
        "filters": st.lists(st.tuples(st.integers(1, 7), st.integers(1, 5)).map(list), min_size=1, max_size=4),
        "n_highway": st.integers(0, 3),
        "activation": st.sampled_from(["relu", "tanh"]),
        "n_characters": st.sampled_from([261, 262]),
        "max_characters_per_token": st.integers(10, 60),
        "embedding": st.fixed_dictionaries({"dim": st.integers(1, 4)}),
    }
)
batches = st.lists(st.lists(st.sampled_from(WORDS), max_size=5), min_size=1, max_size=4)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(shapes, batches, st.sampled_from([None, 1, 3]), st.integers(0, 99))
@pytest.mark.parametrize("path", [nullcontext, reference_only], ids=["cpu", "reference"])
def test_all_layers_of_any_model_and_batch(path, shape, sentences, bound, seed):
    raw = raw_options(**shape)
    bilm = random_bilm(raw, seed=seed, dtype=torch.float64, max_tokens_per_pass=bound)
    ids = encode_sentences(sentences, max_characters=raw["char_cnn"]["max_characters_per_token"])
    with path():
        output = bilm(torch.from_numpy(ids))
    assert sorted(output.layers) == list(range(bilm.num_layers))
    for row, words in enumerate(sentences):
        assert output.mask[row].tolist() == [t < len(words) for t in range(ids.shape[1])]
        expected, _ = twin.embed(words, raw, named_weights(bilm))
        for layer, values in output.layers.items():
            np.testing.assert_allclose(values[row, : len(words)], expected[layer, 1:-1], rtol=0, atol=EXACT)
            assert not values[row, len(words) :].any()


@pytest.mark.parametrize("bound", [None, 2])
@pytest.mark.parametrize("path", [nullcontext, reference_only], ids=["cpu", "reference"])
def test_state_carried_from_batch_to_batch(path, bound):
    """Batches that grow, shrink and have empty sentences, each lane compared with its own history."""
    raw = raw_options(n_layers=3)
    bilm = random_bilm(raw, dtype=torch.float64, stateful=True, max_tokens_per_pass=bound)
    history = [
        [["a", "b"], ["c"]],
        [["d"], ["e", "f", "g"], ["h", "i"]],
        [["j"]],
        [[], ["k", "l"], ["m"], ["n"]],
        [["o", "p"], ["q"], [], ["r"]],
    ]
    states = {}
    for sentences in history:
        # a stateful model must not depend on which layers were asked for, so ask for fewer now and then
        layers = [1] if len(sentences) == 1 else None
        with path():
            output = bilm(torch.from_numpy(encode_sentences(sentences, max_characters=12)), layers=layers)
        for lane, words in enumerate(sentences):
            expected, states[lane] = twin.embed(words, raw, named_weights(bilm), states.get(lane))
            for layer, values in output.layers.items():
                np.testing.assert_allclose(values[lane, : len(words)], expected[layer, 1:-1], rtol=0, atol=EXACT)
    cold, _ = twin.embed(["o", "p"], raw, named_weights(bilm))
    assert np.abs(output.layers[3][0, :2].numpy() - cold[3, 1:-1]).max() > 0.01, "no state was carried"
    bilm.reset_states()
    again = bilm(torch.from_numpy(encode_sentences([["o", "p"]], max_characters=12))).layers[3][0]
    np.testing.assert_allclose(again, cold[3, 1:-1], rtol=0, atol=EXACT)


def test_kept_boundaries():
    raw = raw_options()
    bilm = random_bilm(raw, dtype=torch.float64)
    sentences = [["a", "b", "c"], ["d"], []]
    output = bilm(torch.from_numpy(encode_sentences(sentences, max_characters=12)), keep_boundaries=True)
    assert output.mask.tolist() == [[True] * 5, [True] * 3 + [False] * 2, [False] * 5]
    for row, words in enumerate(sentences[:2]):
        expected, _ = twin.embed(words, raw, named_weights(bilm))
        for layer, values in output.layers.items():
            np.testing.assert_allclose(values[row, : len(words) + 2], expected[layer], rtol=0, atol=EXACT)
            assert not values[row, len(words) + 2 :].any()


def test_a_vector_of_a_word_is_that_of_its_characters():
    raw = raw_options(max_characters_per_token=50)
    bilm = random_bilm(raw, dtype=torch.float64)
    ids = encode_words(WORDS)
    got = bilm.embed_words(torch.from_numpy(ids))
    expected = [twin.word_vector(row, raw, named_weights(bilm)) for row in ids]
    np.testing.assert_allclose(got, expected, rtol=0, atol=EXACT)


def test_ids_of_zero_within_a_word_have_a_zero_vector():
    raw = raw_options()
    bilm = random_bilm(raw, dtype=torch.float64)
    ids = [[259, 98, 0, 260, 0, 0, 0, 261, 261, 261, 261, 0]]
    got = bilm.embed_words(torch.tensor(ids))
    np.testing.assert_allclose(got[0], twin.word_vector(ids[0], raw, named_weights(bilm)), rtol=0, atol=EXACT)
