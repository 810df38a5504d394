"""How much is computed, counted in multiplications: wasted work would give the same numbers."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from elmo_tagger.bilm import encode_sentences
from elmo_tagger.bilm.cpu.prepacked_linear import LAYOUT_VARIABLE
from elmo_tagger.bilm.dispatch import reference_only, using
from tests.bilm.random_models import CudaOnCpu, random_bilm, raw_options

pytestmark = pytest.mark.usefixtures("one_thread")

SENTENCES = [["the", "cat", "saw", "the", "dog"], ["the", "dog"], ["the"] * 9, []]
# with the boundaries that each sentence with a word has
PLACES = sum(len(sentence) + 2 for sentence in SENTENCES if sentence)
DISTINCT = len({word for sentence in SENTENCES for word in sentence}) + 2
LAYERS, P, H = 3, 5, 6
FROM_INPUT, FROM_OUTPUT, PROJECTION = P * 4 * H, P * 4 * H, H * P


@pytest.fixture(autouse=True)
def counted_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that PyTorch's counter knows."""
    monkeypatch.setenv(LAYOUT_VARIABLE, "plain")


def multiplications(layers: list[int] | None, *, trained: bool = False) -> int:
    bilm = random_bilm(raw_options(n_layers=LAYERS, projection_dim=P, dim=H), stored_words=0).requires_grad_(trained)
    ids = torch.from_numpy(encode_sentences(SENTENCES, max_characters=12))
    with FlopCounterMode(display=False) as counter:
        bilm(ids, layers=layers)
    return counter.get_total_flops() // 2  # a multiplication and an addition each


@pytest.mark.parametrize("layers", [[1], [2, 0], [3], None])
@pytest.mark.parametrize("trained", [False, True])
def test_padding_and_layers_that_nobody_wants_are_not_computed(trained: bool, layers: list[int] | None) -> None:
    depth = LAYERS if layers is None else max(layers)
    # the counter does not see products that add to their result in place, as the LSTM's own backward has them
    from_output = 0 if trained else FROM_OUTPUT
    expected = 2 * PLACES * depth * (FROM_INPUT + from_output + PROJECTION)
    with nullcontext() if trained else reference_only():
        of_characters = multiplications([0], trained=trained)
        assert multiplications(layers, trained=trained) - of_characters == expected
    if not trained:
        # a word adds the same to the first layer's gates wherever it is
        repeated = 2 * (PLACES - DISTINCT) * FROM_INPUT
        assert multiplications(layers) - multiplications([0]) == expected - repeated


@pytest.mark.parametrize(("wanted", "depth"), [([1], 1), ([2, 0], 2), (None, 3)])
def test_the_implementation_for_cuda_computes_no_deeper_layer(wanted: list[int] | None, depth: int) -> None:
    with using(CudaOnCpu):
        of_characters, of_one = multiplications([0]), multiplications([1])
        assert of_one > of_characters
        assert multiplications(wanted) - of_characters == depth * (of_one - of_characters)


@pytest.mark.parametrize("trained", [False, True])
def test_a_word_passes_the_character_cnn_once(trained: bool) -> None:
    bilm = random_bilm(stored_words=0).requires_grad_(trained)
    seen: list[int] = []
    bilm.char_cnn.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    bilm(torch.from_numpy(encode_sentences(SENTENCES, max_characters=12)))
    assert seen == [DISTINCT]
