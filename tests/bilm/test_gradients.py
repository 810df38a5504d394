"""Gradients of the biLM for fine-tuning."""

from __future__ import annotations

import torch
from torch.func import functional_call

from elmo_tagger.bilm import encode_sentences
from tests.bilm.random_models import random_bilm, raw_options

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
