"""The LSTM that is trained faster, against PyTorch's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from elmo_tagger.tagger.lstm import Lstm, turned_places

LENGTHS = [3, 12, 1, 5, 5, 9, 2]
SHAPES = [
    {"bidirectional": True, "num_layers": 2, "dropout": 0.5},
    {"bidirectional": True},
    {"num_layers": 3, "dropout": 0.3},
    {"bidirectional": True, "bias": False},
]


def twins(dtype: torch.dtype = torch.float64, **options: Any) -> tuple[nn.LSTM, Lstm]:
    """PyTorch's and ours, with the same weights."""
    torch.manual_seed(0)
    stock = nn.LSTM(6, 5, batch_first=True, **options).to(dtype)
    ours = Lstm(6, 5, batch_first=True, **options).to(dtype)
    ours.load_state_dict(stock.state_dict())
    return stock, ours


def packed(lengths: list[int], dtype: torch.dtype = torch.float64) -> tuple[Tensor, PackedSequence]:
    """Random vectors that have gradients, as they are and packed."""
    vectors = torch.randn(len(lengths), max(lengths), 6, dtype=dtype).requires_grad_()
    return vectors, pack_padded_sequence(vectors, torch.tensor(lengths), batch_first=True, enforce_sorted=False)


def trained(module: nn.LSTM, lengths: list[int]) -> list[Tensor]:
    """Outputs, last states and all gradients, of the same vectors and the same draws of dropout every time."""
    torch.manual_seed(1)
    vectors, sentences = packed(lengths)
    module.zero_grad()
    outputs, (output, cell) = module(sentences)
    (outputs.data.sin().sum() + (1.5 * output).sum() + cell.cos().sum()).backward()
    results = [outputs.data, output, cell, vectors.grad, *(each.grad for each in module.parameters())]
    assert all(each is not None for each in results)
    return [each.detach() for each in results if each is not None]


def steps_recorded(outputs: PackedSequence) -> bool:
    """Whether the outputs' gradients are computed by its own backward."""
    seen, waiting = set(), [outputs.data.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [before for before, _ in node.next_functions]
    return any(node.name() == "_LayerBackward" for node in seen)


@pytest.mark.parametrize("options", SHAPES, ids=str)
@pytest.mark.parametrize("lengths", [LENGTHS, [4], [1, 1]], ids=str)
def test_training_computes_what_pytorchs_lstm_computes(options: dict[str, Any], lengths: list[int]) -> None:
    stock, ours = twins(**options)
    for expected, received in zip(trained(stock, lengths), trained(ours, lengths), strict=True):
        torch.testing.assert_close(received, expected, rtol=0, atol=1e-10)
    assert steps_recorded(ours(packed(lengths)[1])[0])


def test_what_it_does_not_train_itself_is_pytorchs() -> None:
    """Padded vectors, a state to begin with, no gradients, and projections."""
    stock, ours = twins(bidirectional=True)
    vectors, sentences = packed(LENGTHS)
    state = (torch.randn(2, len(LENGTHS), 5, dtype=torch.float64),) * 2
    torch.testing.assert_close(ours(vectors)[0], stock(vectors)[0], rtol=0, atol=0)
    torch.testing.assert_close(ours(sentences, state)[0].data, stock(sentences, state)[0].data, rtol=0, atol=0)
    with torch.no_grad():
        torch.testing.assert_close(ours(sentences)[0].data, stock(sentences)[0].data, rtol=0, atol=0)
    stock, ours = twins(proj_size=3)
    assert not steps_recorded(ours(sentences)[0])
    torch.testing.assert_close(ours(sentences)[0].data, stock(sentences)[0].data, rtol=0, atol=0)


def test_a_frozen_lstm_hands_gradients_down() -> None:
    stock, ours = twins(bidirectional=True)
    found = []
    for module in (stock, ours):
        torch.manual_seed(2)
        vectors, sentences = packed(LENGTHS)
        module.requires_grad_(False)(sentences)[0].data.sum().backward()
        found.append(vectors.grad)
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-10)


def test_turned_places_read_each_sentence_from_its_end() -> None:
    sentences = [["a", "b", "c"], ["d", "e"], ["f"]]
    steps = [["a", "d", "f"], ["b", "e"], ["c"]]
    forwards = [word for step in steps for word in step]
    turned = turned_places(torch.tensor([len(step) for step in steps]))
    backwards = [forwards[place] for place in turned.tolist()]
    again = [[sentence[::-1][step] for sentence in sentences if step < len(sentence)] for step in range(3)]
    assert backwards == [word for step in again for word in step]
