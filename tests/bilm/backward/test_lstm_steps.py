"""The LSTM's own backward against the one that autograd makes of the reference."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.bilm import LstmOptions, encode_sentences
from elmo_tagger.bilm.backward.projected_lstm import LstmSteps
from elmo_tagger.bilm.backward.training import CpuTraining
from elmo_tagger.bilm.dispatch import reference_only
from elmo_tagger.bilm.lstm import ProjectedLstm
from elmo_tagger.bilm.reference import Parts
from elmo_tagger.bilm.stack import LstmStack
from tests.bilm.random_models import WORDS, implementation, random_bilm, raw_options


def random_layer(dtype=torch.float64, **changes):
    torch.manual_seed(0)
    options = LstmOptions(
        **{"dim": 4, "projection_dim": 3, "n_layers": 1, "cell_clip": 0.6, "proj_clip": 0.4, **changes}
    )
    layer = ProjectedLstm(options).to(dtype)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, dtype=dtype))
    return layer


def with_own_backward(layer):
    """What runs the layer for training."""
    lstm = LstmStack(layer.options)
    lstm.layers[0] = layer
    training = CpuTraining(Parts(random_bilm().char_cnn, lstm, "float32", 0))
    return partial(training.run_layer, layer)


@pytest.mark.parametrize("sizes", [[1], [3, 3, 2, 1, 1], [2, 2]], ids=str)
@pytest.mark.parametrize("clips", [{}, {"cell_clip": None, "proj_clip": None}], ids=["clipped", "free"])
def test_own_backward_gives_the_slopes(sizes, clips):
    """Of everything: inputs, weights, and the state before, of which one sentence takes no step."""
    layer = random_layer(**clips)
    shapes = [(2, sum(sizes), 3), (2, sizes[0] + 1, 3), (2, sizes[0] + 1, 4)]
    inputs, output, cell = (torch.randn(shape, dtype=torch.float64).requires_grad_() for shape in shapes)
    bounds = layer.options.cell_clip, layer.options.proj_clip
    arguments = (inputs, layer.W_0, layer.gate_bias().detach().requires_grad_(), layer.W_P_0, output, cell)
    assert torch.autograd.gradcheck(lambda *tensors: LstmSteps.apply(*tensors, sizes, bounds), arguments)


@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.lists(st.sampled_from(WORDS), max_size=12), min_size=1, max_size=8),
    st.integers(1, 3),
    st.booleans(),
    st.sampled_from([None, 4]),
    st.booleans(),
)
def test_own_backward_is_that_of_the_reference(sentences, layers, skip, bound, stateful):
    raw = raw_options(dim=24, projection_dim=8, n_layers=layers, use_skip_connections=skip)
    ids = torch.from_numpy(encode_sentences(sentences, max_characters=12))
    gradients = []
    for own in (True, False):
        bilm = random_bilm(raw, scale=0.3, max_tokens_per_pass=bound, stateful=stateful).requires_grad_(True)
        with nullcontext() if own else reference_only():
            assert implementation(bilm) == ("backward" if own else "reference")
            output = bilm(ids)
        sum(layer.square().sum() for layer in output.layers.values()).backward()
        gradients.append({name: parameter.grad for name, parameter in bilm.named_parameters()})
    for name, expected in gradients[1].items():
        if expected is None:  # a batch without words
            assert gradients[0][name] is None
            continue
        scale = float(expected.abs().max()) or 1.0
        torch.testing.assert_close(gradients[0][name], expected, rtol=0, atol=1e-4 * scale)


def test_frozen_weights_below_a_trained_input():
    """What is trained may lie before the biLM: its gradient comes through."""
    layer = random_layer().requires_grad_(False)
    found = []
    for run in (layer, with_own_backward(layer)):
        inputs = torch.ones(2, 5, 3, dtype=torch.float64).requires_grad_()
        state = torch.zeros(2, 2, 3, dtype=torch.float64), torch.zeros(2, 2, 4, dtype=torch.float64)
        run(inputs, [2, 2, 1], state)[0].sum().backward()
        found.append(inputs.grad)
    assert found[0].abs().max() > 0
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("clips", [{}, {"cell_clip": None, "proj_clip": None}], ids=["clipped", "free"])
def test_own_backward_under_autocast(clips):
    """As near to float32 as the reference is under autocast, in the types that autocast gives."""
    layer = random_layer(torch.float32, dim=24, projection_dim=12, **clips)
    sizes = [5, 5, 3, 1]
    found = []
    for run, rounds in ((layer, False), (layer, True), (with_own_backward(layer), True)):
        layer.zero_grad()
        torch.manual_seed(1)
        inputs = torch.randn(2, sum(sizes), 12).requires_grad_()
        state = (torch.randn(2, 6, 12) / 3).requires_grad_(), (torch.randn(2, 6, 24) / 3).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=rounds):
            outputs, (output, cell) = run(inputs, sizes, state)
        (outputs.float().square().sum() + output.float().sum() + cell.sum()).backward()
        results = [
            outputs.detach(),
            output.detach().float(),
            cell.detach(),
            *(each.grad for each in (inputs, *state, *layer.parameters())),
        ]
        found.append(results)
    for exact, reference, own in zip(*found, strict=True):
        assert own.dtype == reference.dtype
        away = [float((each - exact).abs().mean() / exact.abs().mean()) for each in (reference, own)]
        assert 0 < away[1] < max(1.5 * away[0], 0.01)
