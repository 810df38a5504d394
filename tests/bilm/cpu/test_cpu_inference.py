"""The implementation for CPUs against the reference."""

from __future__ import annotations

import copy
import pickle
from contextlib import nullcontext

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.bilm import Bilm, Options, encode_sentences
from elmo_tagger.bilm.cpu.prepacked_linear import LAYOUT_VARIABLE, available_layouts
from elmo_tagger.bilm.dispatch import reference_only
from tests.bilm.random_models import TOLERANCE, WORDS, implementation, random_bilm, raw_options

LAYOUTS = available_layouts(torch.float32)
SENTENCES = [WORDS[:5], WORDS[3:], ["Nell"], [], ["a", "b", "a", "b"] * 3]

shapes = st.fixed_dictionaries(
    {
        "dim": st.sampled_from([3, 8, 40]),
        "projection_dim": st.sampled_from([1, 6, 16]),
        "n_layers": st.integers(1, 3),
        "cell_clip": st.sampled_from([None, 0.5, 3]),
        "proj_clip": st.sampled_from([None, 0.5, 3]),
        "use_skip_connections": st.booleans(),
        "n_highway": st.integers(0, 2),
        "activation": st.sampled_from(["relu", "tanh"]),
    }
)
batches = st.lists(st.lists(st.sampled_from(WORDS), max_size=20), min_size=1, max_size=20)


@pytest.fixture(params=LAYOUTS)
def layout(request, monkeypatch):
    monkeypatch.setenv(LAYOUT_VARIABLE, request.param)


def ids_of(sentences):
    return torch.from_numpy(encode_sentences(sentences, max_characters=12))


def difference(bilm, reference, ids, **arguments):
    """Largest difference between the fast path and the reference."""
    assert implementation(bilm) == "cpu"
    got = bilm(ids, **arguments)
    with reference_only():
        assert implementation(reference) == "reference"
        expected = reference(ids, **arguments)
    assert got.layers.keys() == expected.layers.keys()
    assert torch.equal(got.mask, expected.mask)
    assert all(values.grad_fn is None for values in got.layers.values())
    return (
        max(
            float((got.layers[layer] - expected.layers[layer]).detach().abs().max())
            for layer in got.layers
            if got.layers[layer].numel()
        )
        if got.mask.numel()
        else 0.0
    )


def pair(raw, **arguments):
    """The same weights twice."""
    return random_bilm(raw, scale=0.3, **arguments), random_bilm(raw, scale=0.3, **arguments)


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(shapes, st.lists(batches, min_size=1, max_size=2), st.sampled_from([None, 1, 7]), st.booleans(), st.booleans())
@pytest.mark.parametrize("layout_name", LAYOUTS)
def test_all_layers_of_any_model_and_batch(layout_name, shape, history, bound, stateful, kept):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(LAYOUT_VARIABLE, layout_name)
        fast, reference = pair(raw_options(**shape), max_tokens_per_pass=bound, stateful=stateful)
        for sentences in history:
            found = difference(fast, reference, ids_of(sentences), keep_boundaries=kept)
            assert found <= TOLERANCE


def test_gates_too_many_to_be_held_ahead_give_the_same():
    """As with large models and batches, whose gates would not stay in the processor's cache."""
    fast, reference = (random_bilm(raw_options(dim=1024, projection_dim=4), scale=0.1) for _ in range(2))
    sentences = [[f"{word % 9}" for word in range(line % 13)] for line in range(200)]
    assert sum(map(len, sentences)) * 4 * 1024 > 2**22
    assert difference(fast, reference, ids_of(sentences)) <= TOLERANCE


def test_evaluation_of_trainable_weights_is_fast_too(layout):
    frozen, trainable = random_bilm(), random_bilm().requires_grad_(True)
    ids = ids_of(SENTENCES)
    assert implementation(trainable) == "backward"
    with torch.no_grad():
        assert implementation(trainable) == "cpu"
        found = trainable(ids)
    for layer, values in frozen(ids).layers.items():
        assert torch.equal(found.layers[layer], values)


def test_autocast_takes_the_reference():
    bilm = random_bilm()
    with torch.autocast("cpu", torch.bfloat16):
        assert implementation(bilm) == "reference"


def test_the_number_of_threads_does_not_matter(layout):
    bilm = random_bilm(raw_options(dim=256, projection_dim=32), scale=0.2)
    sentences = [[f"word{i * j}" for i in range(10)] for j in range(40)]
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(copy.deepcopy(bilm)(ids_of(sentences)).layers)
    finally:
        torch.set_num_threads(threads)
    for layer, values in found[0].items():
        torch.testing.assert_close(found[1][layer], values, rtol=0, atol=1e-6)


def test_two_models_of_the_same_weights_agree_to_the_bit(layout):
    one, other = random_bilm(), random_bilm()
    for layer, values in one(ids_of(SENTENCES)).layers.items():
        assert torch.equal(other(ids_of(SENTENCES)).layers[layer], values)


@pytest.mark.parametrize("change", ["in place", "load_state_dict", "file", "another tensor"])
def test_changed_weights_are_used(change, tmp_path):
    bilm, other = random_bilm(), random_bilm(seed=1)
    bilm(ids_of(SENTENCES))
    if change == "in place":
        for parameter, new in zip(bilm.parameters(), other.parameters(), strict=True):
            parameter.copy_(new)
    elif change == "load_state_dict":
        bilm.load_state_dict(other.state_dict())
    elif change == "file":
        other.save(tmp_path)
        bilm.load_weights(tmp_path / "weights.hdf5")
    else:
        for parameter, new in zip(bilm.parameters(), other.parameters(), strict=True):
            parameter.data = new.data.clone()
    for layer, values in other(ids_of(SENTENCES)).layers.items():
        assert torch.equal(bilm(ids_of(SENTENCES)).layers[layer], values)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda bilm: pickle.loads(pickle.dumps(bilm))])
def test_a_copy_computes_the_same(copied):
    bilm = random_bilm()
    expected = bilm(ids_of(SENTENCES))
    again = copied(bilm)
    for layer, values in expected.layers.items():
        assert torch.equal(again(ids_of(SENTENCES)).layers[layer], values)


@pytest.mark.parametrize("path", [nullcontext, reference_only], ids=["frozen", "reference"])
@pytest.mark.parametrize("stateful", [False, True])
def test_bfloat16_is_near(layout, path, stateful):
    raw = raw_options(dim=40, projection_dim=16)
    exact, rounded = (
        random_bilm(raw, scale=0.2, stateful=stateful, precision=name) for name in ("float32", "bfloat16")
    )
    for sentences in (SENTENCES, SENTENCES[::-1]):
        with path():
            expected, got = exact(ids_of(sentences)), rounded(ids_of(sentences))
        for layer, values in expected.layers.items():
            assert got.layers[layer].dtype == torch.float32
            difference = (got.layers[layer] - values).abs()
            # 8 bits of mantissa: 0.4 % a rounding, of values around 0.3
            assert 1e-5 < difference.max() < 0.05
            assert difference.mean() < 0.005


def test_bfloat16_trains_in_float32():
    exact, rounded = (random_bilm(precision=name).requires_grad_(True) for name in ("float32", "bfloat16"))
    expected, got = exact(ids_of(SENTENCES)), rounded(ids_of(SENTENCES))
    for layer, values in expected.layers.items():
        assert torch.equal(got.layers[layer], values)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"precision": "half"},
            "precision: expected one of float32, float16, bfloat16, int8, tf32, auto, received 'half'",
        ),
        ({"stored_words": -1}, "stored_words: expected a number of words, 0 or more, received -1"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Bilm(Options.from_dict(raw_options()), **arguments)


def test_inference_mode_and_back(layout):
    expected = random_bilm()(ids_of(SENTENCES))
    bilm = random_bilm()
    for mode in (torch.inference_mode, torch.no_grad, torch.enable_grad, torch.inference_mode):
        # other words each time, so that the stored ones grow in every mode
        with mode():
            bilm(ids_of([[f"{mode.__name__}{number}" for number in range(5)]]))
            got = bilm(ids_of(SENTENCES))
        for layer, values in expected.layers.items():
            torch.testing.assert_close(got.layers[layer], values, rtol=0, atol=1e-6)


def test_a_model_made_in_inference_mode():
    with torch.inference_mode():
        bilm = random_bilm()
        got = bilm(ids_of(SENTENCES))
    for layer, values in random_bilm()(ids_of(SENTENCES)).layers.items():
        torch.testing.assert_close(got.layers[layer], values, rtol=0, atol=1e-6)
