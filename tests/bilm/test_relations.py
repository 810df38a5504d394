"""What must hold between results of the biLM, whatever its weights are."""

from __future__ import annotations

import pytest
import torch
from torch.overrides import TorchFunctionMode

from elmo_tagger.bilm import encode_sentences, encode_words
from tests.bilm.random_models import WORDS, random_bilm, raw_options

# A sentence's numbers may depend on its batch only through the order of sums.
SAME = 1e-6

SENTENCES = [WORDS[:5], WORDS[3:], ["Nell"], [], ["a", "b", "a", "b"] * 3]


def ids_of(sentences):
    return torch.from_numpy(encode_sentences(sentences, max_characters=12)).long()


def assert_same(one, other):
    assert one.layers.keys() == other.layers.keys()
    for layer in one.layers:
        torch.testing.assert_close(one.layers[layer], other.layers[layer], rtol=0, atol=SAME)


@pytest.fixture(scope="module", params=[True, False], ids=["skip", "plain"])
def bilm(request):
    return random_bilm(raw_options(use_skip_connections=request.param), scale=0.5)


def test_a_sentence_alone_is_as_in_its_batch(bilm):
    together = bilm(ids_of(SENTENCES))
    for row, words in enumerate(SENTENCES):
        alone = bilm(ids_of([words]))
        for layer, values in alone.layers.items():
            torch.testing.assert_close(together.layers[layer][row, : len(words)], values[0], rtol=0, atol=SAME)


def test_more_padding_changes_nothing(bilm):
    ids = ids_of(SENTENCES)
    padded = bilm(torch.nn.functional.pad(ids, (0, 0, 0, 7, 0, 2)))
    plain = bilm(ids)
    for layer, values in padded.layers.items():
        torch.testing.assert_close(values[: len(SENTENCES), : ids.shape[1]], plain.layers[layer], rtol=0, atol=SAME)
        assert not values[~padded.mask].any()


def test_permuted_batch_is_permuted_result(bilm):
    order = torch.tensor([4, 2, 0, 3, 1])
    ids = ids_of(SENTENCES)
    plain, permuted = bilm(ids), bilm(ids[order])
    for layer, values in plain.layers.items():
        torch.testing.assert_close(permuted.layers[layer], values[order], rtol=0, atol=SAME)


def test_the_same_call_again_is_equal_to_the_bit(bilm):
    first, second = bilm(ids_of(SENTENCES)), bilm(ids_of(SENTENCES))
    for layer, values in first.layers.items():
        assert torch.equal(values, second.layers[layer])


def test_mask_is_truncation(bilm):
    ids = ids_of([WORDS, WORDS[::-1]])
    mask = torch.arange(len(WORDS)) < torch.tensor([[3], [6]])
    masked = bilm(ids, mask)
    cut = bilm(ids_of([WORDS[:3], WORDS[::-1][:6]]))
    assert torch.equal(masked.mask, mask)
    for layer, values in cut.layers.items():
        torch.testing.assert_close(masked.layers[layer][:, :6], values, rtol=0, atol=SAME)
        assert not masked.layers[layer][:, 6:].any()


def test_gaps_are_skipped(bilm):
    ids = ids_of([["a", "b", "c", "d", "e"]])
    mask = torch.tensor([[False, True, False, True, True]])
    whole = bilm(ids_of([["b", "d", "e"]]))
    for layer, values in bilm(ids, mask).layers.items():
        torch.testing.assert_close(values[mask], whole.layers[layer][0], rtol=0, atol=SAME)
        assert not values[~mask].any()


def test_fewer_layers_are_those_of_all(bilm):
    ids = ids_of(SENTENCES)
    everything = bilm(ids)
    for wanted in ([0], [1], [2], [2, 0], []):
        some = bilm(ids, layers=wanted)
        assert list(some.layers) == sorted(wanted)
        for layer, values in some.layers.items():
            assert torch.equal(values, everything.layers[layer])


def test_words_given_once_are_as_given_in_place(bilm):
    rows = {word: row for row, word in enumerate(WORDS)}
    vectors = bilm.embed_words(torch.from_numpy(encode_words(WORDS, max_characters=12)))
    words = torch.full((len(SENTENCES), 12), -1)
    for line, sentence in zip(words, SENTENCES, strict=True):
        known = [rows.get(word) for word in sentence]
        line[: len(known)] = torch.tensor([-1 if row is None else row for row in known])
    sentences = [[word for word in sentence if word in rows] for sentence in SENTENCES]
    expected = bilm(torch.nn.functional.pad(ids_of(sentences), (0, 0, 0, 12 - max(map(len, sentences)))))
    assert_same(bilm.forward_words(vectors, words), expected)
    given = bilm.forward_words(vectors, words, boundary_vectors=bilm.embed_boundaries())
    assert_same(given, expected)


def test_a_batch_without_words(bilm):
    for shape in ((0, 3, 12), (2, 0, 12), (2, 3, 12)):
        output = bilm(torch.zeros(shape, dtype=torch.long))
        assert not output.mask.any()
        for values in output.layers.values():
            assert values.shape == (*shape[:2], bilm.output_dim)
            assert not values.any()


@pytest.mark.parametrize("bound", [1, 2, 7, 100])
def test_bounded_memory_gives_the_same(bound):
    raw = raw_options(n_layers=3)
    free, bounded = random_bilm(raw, scale=0.5), random_bilm(raw, scale=0.5, max_tokens_per_pass=bound)
    assert_same(bounded(ids_of(SENTENCES)), free(ids_of(SENTENCES)))


class LargestTensor(TorchFunctionMode):
    """Notes the number of elements of the largest floating-point tensor that any operation returned."""

    largest = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        tensors = result if isinstance(result, (tuple, list)) else [result]
        sizes = [t.numel() for t in tensors if isinstance(t, torch.Tensor) and t.is_floating_point()]
        self.largest = max([self.largest, *sizes])
        return result


@pytest.mark.usefixtures("one_thread")
def test_a_long_sentence_needs_no_large_intermediate():
    words = 600
    raw = raw_options(dim=64, projection_dim=2, max_characters_per_token=10)
    ids = encode_sentences([[f"w{i}" for i in range(words)]], max_characters=10)
    outputs = {}
    largest = {}
    for bound in (None, 8):
        with LargestTensor() as mode:
            outputs[bound] = random_bilm(raw, scale=0.5, max_tokens_per_pass=bound, stored_words=0)(
                torch.from_numpy(ids)
            )
        largest[bound] = mode.largest
    assert_same(outputs[8], outputs[None])
    gates = 2 * 8 * 4 * 64
    result = words * 2 * 2
    assert largest[8] <= max(gates, result + 8)  # + 8: the boundaries' places
    assert largest[None] >= words * 4 * 64


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("trainable", [True, False], ids=["reference", "frozen"])
def test_many_short_sentences_need_no_large_intermediate(trainable):
    sentences, bound, width = 400, 8, 2
    raw = raw_options(dim=64, projection_dim=width, max_characters_per_token=10)
    ids = torch.from_numpy(encode_sentences([[f"w{i % 5}"] for i in range(sentences)], max_characters=10))
    bilm = random_bilm(raw, scale=0.5, max_tokens_per_pass=bound, stored_words=0).requires_grad_(trainable)
    with LargestTensor() as mode:
        bounded = bilm(ids)
    three_places = 3 * 2 * width  # a word and two boundaries, both directions
    assert mode.largest <= max(sentences * three_places, 2 * bound * 4 * 64)
    assert_same(bounded, random_bilm(raw, scale=0.5).requires_grad_(trainable)(ids))


def test_frozen_weights_record_nothing(bilm):
    output = bilm(ids_of(SENTENCES))
    assert all(values.grad_fn is None and not values.requires_grad for values in output.layers.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"ids": torch.zeros(2, 12)},
            r"expected character ids of shape \(B, T, 12\), as max.*, received \(2, 12\)",
        ),
        (
            {"ids": torch.ones(2, 3, 50).long()},
            r"shape \(B, T, 12\), as max_characters_per_token of the options says, received \(2, 3, 50\)",
        ),
        ({"ids": torch.full((1, 1, 12), 262)}, "expected character ids of 0 to 261, received [0-9]+ to 262"),
        ({"ids": torch.full((1, 1, 12), -1)}, "expected character ids of 0 to 261, received -1 to [0-9]+"),
        ({"mask": torch.ones(1, 4).bool()}, r"expected a mask of shape \(1, 1\), received \(1, 4\)"),
        ({"layers": [3]}, r"layer 3: expected a number from 0 to 2 \(0: character CNN\)"),
        ({"layers": [-1]}, r"layer -1: expected a number from 0 to 2"),
    ],
)
def test_what_does_not_fit_is_named(bilm, arguments, message):
    ids = arguments.get("ids", torch.ones(1, 1, 12).long())
    with pytest.raises(ValueError, match=message):
        bilm(ids, arguments.get("mask"), layers=arguments.get("layers"))


def test_allennlp_can_reset_every_module_that_says_it_is_stateful():
    bilm = random_bilm(stateful=True)
    fresh = bilm(ids_of(SENTENCES))
    assert not torch.equal(bilm(ids_of(SENTENCES)).layers[2], fresh.layers[2])
    stateful = [module for module in bilm.modules() if getattr(module, "stateful", False)]
    assert stateful
    for module in stateful:
        module.reset_states()
    assert_same(bilm(ids_of(SENTENCES)), fresh)


def test_bound_must_be_positive():
    with pytest.raises(ValueError, match="max_tokens_per_pass: expected a positive number or None, received 0"):
        random_bilm(max_tokens_per_pass=0)
