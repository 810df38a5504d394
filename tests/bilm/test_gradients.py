"""Gradients of the biLM for fine-tuning."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import functional_call

from elmo_tagger.bilm import LstmOptions, encode_sentences, lstm
from elmo_tagger.bilm.backward.lstm_steps import LstmSteps
from elmo_tagger.bilm.cuda.gradient import FusedSteps
from elmo_tagger.bilm.dispatch import reference_only
from elmo_tagger.bilm.lstm import ProjectedLstm
from tests.bilm.random_models import WORDS, random_bilm, raw_options

SENTENCES = [["a", "bc", "a"], ["d"], ["ef", "g", "h", "i"]]


def trainable(**arguments):
    # tanh: a maximum at a kink of relu has no derivative to compare with
    raw = raw_options(activation="tanh", dim=3, projection_dim=2, filters=[[1, 2], [2, 2]], cell_clip=1.0)
    return random_bilm(raw, scale=0.5, dtype=torch.float64, **arguments).requires_grad_(True)


def test_gradients_are_the_slopes():
    bilm = trainable()
    ids = torch.from_numpy(encode_sentences(SENTENCES, max_characters=12))
    names, values = zip(*bilm.named_parameters(), strict=True)

    def outputs(*parameters):
        layers = functional_call(bilm, dict(zip(names, parameters, strict=True)), (ids,)).layers
        # random directions keep the comparison small
        generator = torch.Generator().manual_seed(0)
        return tuple(
            (layer * torch.randn(layer.shape, generator=generator, dtype=layer.dtype)).sum()
            for layer in layers.values()
        )

    assert torch.autograd.gradcheck(outputs, [value.detach().requires_grad_() for value in values], fast_mode=True)


def test_chunks_have_the_gradients_of_the_whole():
    gradients = []
    for bound in (None, 2):
        bilm = trainable(max_tokens_per_pass=bound)
        output = bilm(torch.from_numpy(encode_sentences(SENTENCES, max_characters=12)))
        sum(layer.square().sum() for layer in output.layers.values()).backward()
        gradients.append({name: parameter.grad for name, parameter in bilm.named_parameters()})
    for name, whole in gradients[0].items():
        assert whole.abs().max() > 0, name
        torch.testing.assert_close(gradients[1][name], whole)


def test_carried_state_does_not_reach_back():
    """A second step of training works, and does not go through the graph of the first."""
    bilm = trainable(stateful=True)
    ids = torch.from_numpy(encode_sentences(SENTENCES, max_characters=12))
    for _ in range(2):
        bilm.zero_grad()
        bilm(ids).layers[2].sum().backward()
    fresh = trainable(stateful=True)
    fresh(ids)
    fresh.zero_grad()
    fresh(ids).layers[2].sum().backward()
    torch.testing.assert_close(fresh.lstm.layers[0].W_0.grad, bilm.lstm.layers[0].W_0.grad)


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


@pytest.mark.parametrize("sizes", [[1], [3, 3, 2, 1, 1], [2, 2]], ids=str)
@pytest.mark.parametrize("clips", [{}, {"cell_clip": None, "proj_clip": None}], ids=["clipped", "free"])
@pytest.mark.parametrize("steps", [LstmSteps, FusedSteps])
def test_own_backward_gives_the_slopes(steps, sizes, clips):
    """Of everything: inputs, weights, and the state before, of which one sentence takes no step."""
    layer = random_layer(**clips)
    shapes = [(2, sum(sizes), 3), (2, sizes[0] + 1, 3), (2, sizes[0] + 1, 4)]
    inputs, output, cell = (torch.randn(shape, dtype=torch.float64).requires_grad_() for shape in shapes)
    bounds = layer.options.cell_clip, layer.options.proj_clip
    arguments = (inputs, layer.W_0, layer.gate_bias().detach().requires_grad_(), layer.W_P_0, output, cell)
    assert torch.autograd.gradcheck(lambda *tensors: steps.apply(*tensors, sizes, bounds), arguments)


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
        if own:
            output = bilm(ids)
        else:
            with reference_only():
                output = bilm(ids)
        kinds = {type(node).__name__ for node in _graph(output.layers[layers])}
        assert ("LstmStepsBackward" in kinds) is (own and output.mask.any().item())
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
    for run in (layer, layer.reference):
        inputs = torch.ones(2, 5, 3, dtype=torch.float64).requires_grad_()
        state = torch.zeros(2, 2, 3, dtype=torch.float64), torch.zeros(2, 2, 4, dtype=torch.float64)
        run(inputs, [2, 2, 1], state)[0].sum().backward()
        found.append(inputs.grad)
    assert found[0].abs().max() > 0
    torch.testing.assert_close(found[0], found[1])


def _graph(tensor):
    """The functions that made a tensor."""
    waiting, seen = [tensor.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [function for function, _ in node.next_functions]
    return seen


@pytest.mark.parametrize("clips", [{}, {"cell_clip": None, "proj_clip": None}], ids=["clipped", "free"])
@pytest.mark.parametrize("steps", [LstmSteps, FusedSteps])
def test_own_backward_under_autocast(steps, clips, monkeypatch):
    """As near to float32 as the reference is under autocast, in the types that autocast gives."""
    monkeypatch.setattr(lstm, "LstmSteps", steps)
    layer = random_layer(torch.float32, dim=24, projection_dim=12, **clips)
    sizes = [5, 5, 3, 1]
    found = []
    for run, rounds in ((layer.reference, False), (layer.reference, True), (layer, True)):
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
