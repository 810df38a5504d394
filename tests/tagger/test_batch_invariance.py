"""On a CPU a sentence gets the same bits alone and in any company; and the products' own way is PyTorch's."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence

from elmo_tagger.bilm.cpu.prepacked_linear import LAYOUTS, available_layouts
from elmo_tagger.tagger.character_encoders import Convolution, LastStateEncoder
from elmo_tagger.tagger.config import FeedForwardConfig, RnnConfig, StackedLstmConfig
from elmo_tagger.tagger.encoders import build_encoder
from elmo_tagger.tagger.feedforward import FeedForward
from elmo_tagger.tagger.linear import Linear
from elmo_tagger.tagger.lstm import Lstm
from elmo_tagger.tagger.recurrence import Gru, LstmCell, run

pytestmark = pytest.mark.skipif(available_layouts(torch.float32) != LAYOUTS, reason="PyTorch without oneDNN")
WIDTH = 9
LENGTHS = [1, 40, 7, 7, 23, 2]


def rnn(kind: str, hidden: int, **changed: Any) -> RnnConfig:
    return RnnConfig(type=kind, hidden_size=hidden, **changed)


ENCODERS = {
    "lstm": rnn("lstm", 64, bidirectional=True),
    "lstm, odd width, two layers": rnn("lstm", 7, bidirectional=True, num_layers=2),
    "lstm, one direction, no bias": rnn("lstm", 20, bias=False),
    "gru": rnn("gru", 33, bidirectional=True, num_layers=2),
    "gru, no bias": rnn("gru", 5, bias=False),
    "stacked": StackedLstmConfig(type="stacked_bidirectional_lstm", hidden_size=10, num_layers=2, use_highway=False),
    "stacked with highways": StackedLstmConfig(
        type="stacked_bidirectional_lstm", hidden_size=10, num_layers=3, use_highway=True
    ),
}


def randomized(module: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.5)
    return module.eval()


def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS).unsqueeze(1)
    return torch.randn(*mask.shape, WIDTH) * mask.unsqueeze(-1), mask


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_gives_a_sentence_the_same_bits_in_any_company(name: str) -> None:
    encoder = randomized(build_encoder(ENCODERS[name], WIDTH))
    vectors, mask = batch()
    with torch.no_grad():
        together = encoder(vectors, mask)
        for row, length in enumerate(LENGTHS):
            alone = encoder(vectors[row : row + 1, :length], mask[row : row + 1, :length])
            assert torch.equal(alone[0], together[row, :length])
            assert not together[row, length:].any()


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_is_pytorchs(name: str) -> None:
    encoder = randomized(build_encoder(ENCODERS[name], WIDTH))
    vectors, mask = batch()
    theirs = encoder(vectors, mask)  # with gradients it is PyTorch's own
    with torch.no_grad():
        torch.testing.assert_close(encoder(vectors, mask), theirs.detach())


@pytest.mark.parametrize("stock", [nn.LSTM, nn.GRU])
def test_a_network_that_is_given_our_class_keeps_pytorchs_outputs_and_states(stock: type[nn.LSTM | nn.GRU]) -> None:
    module = randomized(stock(WIDTH, 6, num_layers=2, bidirectional=True, batch_first=True, dropout=0.5))
    vectors, mask = batch()
    packed = pack_padded_sequence(vectors, mask.sum(1), batch_first=True, enforce_sorted=False)
    with torch.no_grad():
        theirs = module(packed)
        module.__class__ = {nn.LSTM: Lstm, nn.GRU: Gru}[stock]
        torch.testing.assert_close(module(packed), theirs)
        module.train()
        torch.manual_seed(3)
        dropped = module(packed)
        module.__class__ = stock
        torch.manual_seed(3)
        torch.testing.assert_close(dropped, module(packed), rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_the_last_state_of_words_is_pytorchs_and_does_not_depend_on_company(kind: str) -> None:
    encoder = randomized(LastStateEncoder(rnn(kind, 6, bidirectional=True, num_layers=2), WIDTH))
    vectors, _ = batch()
    lengths = torch.tensor(LENGTHS)
    theirs = encoder(vectors, lengths, lengths).detach()
    with torch.no_grad():
        together = encoder(vectors, lengths, lengths)
        torch.testing.assert_close(together, theirs)
        for row in range(len(LENGTHS)):
            part = slice(row, row + 1)
            alone = encoder(vectors[part, : LENGTHS[row]], lengths[part], lengths[part])
            assert torch.equal(alone, together[part])


@pytest.mark.parametrize(
    "module",
    [
        Linear(WIDTH, 5),
        Linear(WIDTH, 64, bias=False),
        FeedForward(WIDTH, FeedForwardConfig(num_layers=2, hidden_dims=7, activations="tanh")),
    ],
    ids=["narrow", "wide", "tanh"],
)
def test_a_row_of_a_dense_layer_is_the_same_in_any_company_and_pytorchs(module: nn.Module) -> None:
    randomized(module)
    vectors, _ = batch()
    theirs = module(vectors).detach()
    with torch.no_grad():
        together = module(vectors)
        torch.testing.assert_close(together, theirs)
        for row in range(len(vectors)):
            assert torch.equal(module(vectors[row : row + 1, :3])[0], together[row, :3])


def test_a_word_of_a_convolution_is_the_same_in_any_company_and_pytorchs() -> None:
    module = randomized(Convolution(4, 6, 3))
    words = torch.randn(50, 4, 12)
    theirs = module(words).detach()
    with torch.no_grad():
        together = module(words)
        torch.testing.assert_close(together, theirs)
        for row in range(len(words)):
            assert torch.equal(module(words[row : row + 1])[0], together[row])


def test_changed_weights_are_seen() -> None:
    module = randomized(Linear(WIDTH, 5))
    rows = torch.randn(3, WIDTH)
    with torch.no_grad():
        before = module(rows)
        module.weight.mul_(2)
        torch.testing.assert_close(module(rows) - module.bias, 2 * (before - module.bias))


@pytest.mark.parametrize(("sentences", "hidden"), [(2, 32), (40, 128)])
def test_a_step_of_an_encoder_waits_for_no_other_thread(sentences: int, hidden: int) -> None:
    threads: list[int] = []

    class Watched(LstmCell):
        def step(self, ahead: Tensor, state: tuple[Tensor, ...]) -> None:
            threads.append(torch.get_num_threads())
            super().step(ahead, state)

    draw = torch.Generator().manual_seed(0)
    weights = [torch.randn(4 * hidden, width, generator=draw) for width in (16, hidden)]
    packed = pack_sequence(list(torch.randn(sentences, 3, 16, generator=draw)))
    before, found = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            with torch.no_grad():
                outputs, _ = run([[Watched(*weights, None), Watched(*weights, None)]], packed)
            found.append(outputs.data)
    finally:
        torch.set_num_threads(before)
    assert threads == [1] * 12
    assert torch.equal(*found)
