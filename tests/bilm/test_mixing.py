"""The scalar mix against its formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from elmo_tagger.bilm import LAYER_NORMS, ScalarMix
from tests.bilm.random_models import TOLERANCE

LAYERS = [torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(seed)) * 3 + seed for seed in range(3)]
MASK = torch.tensor([[True, True, True, True], [True, True, False, False]])


def by_formula(initial, gamma, layer_norm):
    """One vector at a time, in NumPy."""
    shares = np.exp(initial) / np.exp(initial).sum()
    result = np.zeros((2, 4, 6))
    for share, layer in zip(shares, LAYERS, strict=True):
        values = layer.double().numpy()
        real = np.concatenate([values[b, t] for b in range(2) for t in range(4) if MASK[b, t]])
        for b in range(2):
            for t in range(4):
                vector = values[b, t]
                if layer_norm == "token":
                    vector = (vector - vector.mean()) / np.sqrt(vector.var() + 1e-5)
                if layer_norm == "batch":
                    vector = (vector - real.mean()) / np.sqrt(real.var() + 1e-13)
                result[b, t] += share * vector
    return gamma * result


@pytest.mark.parametrize("layer_norm", LAYER_NORMS)
@pytest.mark.parametrize("initial", [[0.0, 0.0, 0.0], [1.0, -2.0, 0.5]])
def test_a_mix_is_gamma_times_the_weighted_sum(layer_norm, initial):
    mix = ScalarMix(3, initial=initial, gamma=1.7, layer_norm=layer_norm)
    got = mix(LAYERS, MASK).detach()
    expected = by_formula(np.array(initial), 1.7, layer_norm)
    np.testing.assert_allclose(got[MASK], expected[MASK.numpy()], rtol=0, atol=TOLERANCE)


def test_an_even_mix_is_the_default():
    mix = ScalarMix(3)
    torch.testing.assert_close(mix.weights(), torch.full((3,), 1 / 3))
    torch.testing.assert_close(mix(LAYERS), sum(LAYERS) / 3)


def test_weights_are_the_shares():
    mix = ScalarMix(3, initial=[0.0, float(np.log(2.0)), float(np.log(5.0))])
    torch.testing.assert_close(mix.weights(), torch.tensor([1 / 8, 2 / 8, 5 / 8]))


def test_names_are_those_of_the_original():
    mix = ScalarMix(2, initial=[0.5, -0.5], gamma=2.0)
    assert {name: value.tolist() for name, value in mix.state_dict().items()} == {
        "scalar_parameters.0": [0.5],
        "scalar_parameters.1": [-0.5],
        "gamma": [2.0],
    }


@pytest.mark.parametrize(
    ("arguments", "weights", "gamma"),
    [
        ({}, True, True),
        ({"trainable": False}, False, False),
        ({"trainable": False, "trainable_gamma": True}, False, True),
        ({"trainable_gamma": False}, True, False),
    ],
)
def test_a_step_changes_what_is_trainable_alone(arguments, weights, gamma):
    mix = ScalarMix(3, **arguments)
    before = {name: value.clone() for name, value in mix.state_dict().items()}
    loss = mix([layer.clone().requires_grad_() for layer in LAYERS], MASK).square().sum()
    loss.backward()
    for parameter in mix.parameters():
        if parameter.grad is not None:
            parameter.data -= 0.1 * parameter.grad
    changed = {name for name, value in mix.state_dict().items() if not torch.equal(value, before[name])}
    names = {f"scalar_parameters.{layer}" for layer in range(3)} if weights else set()
    assert changed == names | ({"gamma"} if gamma else set())


def test_initial_weights_are_shares_and_initial_is_before_the_softmax():
    assert ScalarMix(3, initial_weights=[0.2, 0.3, 0.5]).weights().tolist() == pytest.approx([0.2, 0.3, 0.5])
    assert ScalarMix(3, initial_weights=[2, 3, 5]).weights().tolist() == pytest.approx([0.2, 0.3, 0.5])
    assert ScalarMix(3, initial=[0.2, 0.3, 0.5]).weights().tolist() == pytest.approx([0.289, 0.320, 0.391], abs=5e-4)
    # even weights are the default, which a regulariser leaves alone
    assert ScalarMix(3, initial_weights=[1, 1, 1]).state_dict() == ScalarMix(3).state_dict()


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"^expected initial or initial_weights, received both$"):
        ScalarMix(3, initial=[0.0] * 3, initial_weights=[1.0] * 3)
    with pytest.raises(ValueError, match=r"^initial_weights: expected positive numbers, .*received \[0.0, 0.0, 1.0\]$"):
        ScalarMix(3, initial_weights=[0.0, 0.0, 1.0])
    with pytest.raises(ValueError, match=r"^initial: expected 3 values, one a layer, received 2: \[0.0, 1.0\]$"):
        ScalarMix(3, initial=[0.0, 1.0])
    with pytest.raises(ValueError, match=r"^layer_norm: expected one of none, token, batch, received 'layer'$"):
        ScalarMix(3, layer_norm="layer")
    with pytest.raises(ValueError, match=r"^expected 3 layers to mix, received 2$"):
        ScalarMix(3)(LAYERS[:2])
    with pytest.raises(ValueError, match=r"^layer_norm batch needs the mask: expected \(B, T\) bool, received None$"):
        ScalarMix(3, layer_norm="batch")(LAYERS)
