import numpy as np
import pytest
import torch

from elmo_tagger.bilm import ScalarMix, encode_sentences
from elmo_tagger.bilm.pooling import POOLINGS
from elmo_tagger.vectors.compute import Request, SentenceVectors, chosen_device
from tests.bilm.random_models import TOLERANCE, random_bilm, raw_options
from tests.reference import pooling as reference

SENTENCES = [["Nell", "sat"], [], ["日本語"], ["a", "b", "c", "d", "e", "f", "g"], ["Nell", "sat"], ["x"] * 30]


def vectors(**wanted: object) -> SentenceVectors:
    return SentenceVectors(random_bilm(), Request(**wanted))


@pytest.mark.parametrize("batch_tokens", [1, 8, 1000])
@pytest.mark.parametrize("layers", ["all", "average", "top", "concat", "0", "1"])
def test_equals_the_layers_of_each_sentence_alone(layers: str, batch_tokens: int) -> None:
    compute = vectors(layers=layers, batch_tokens=batch_tokens)
    bilm = random_bilm()
    for sentence, received in zip(SENTENCES, compute(SENTENCES), strict=True):
        ids = torch.from_numpy(encode_sentences([sentence], max_characters=12))
        every = [layer[0].numpy() for layer in bilm(ids).layers.values()]
        expected = {
            "all": lambda e: np.stack(e),
            "average": lambda e: sum(e) / 3,
            "top": lambda e: e[2],
            "concat": lambda e: np.concatenate([e[0][:, :5], e[1], e[2]], axis=1),
            "0": lambda e: e[0],
            "1": lambda e: e[1],
        }[layers](every)
        assert received.shape == expected.shape == compute.shape(len(sentence))
        np.testing.assert_allclose(received, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("layers", ["all", "concat"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooled(layers: str, pooling: str) -> None:
    compute = vectors(layers=layers, pooling=pooling, batch_tokens=20)
    words = vectors(layers=layers)
    for each, pooled in zip(words(SENTENCES), compute(SENTENCES), strict=True):
        assert pooled.shape == compute.shape(99)
        stacked = each if layers == "all" else each[None]
        if stacked.shape[1] == 0:
            assert not pooled.any()
            continue
        expected = [reference.pool(layer.tolist(), pooling) for layer in stacked]
        np.testing.assert_allclose(pooled.reshape(len(expected), -1), expected, atol=TOLERANCE, rtol=0)


def test_numbers_depend_on_the_list_alone_to_the_last_bit() -> None:
    compute = vectors()
    once = compute(SENTENCES)
    compute([["other", "sat", "x"], ["a"]])
    for first, second in zip(once, compute(SENTENCES), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_mix() -> None:
    mix = ScalarMix(3, initial=[1.0, 0.0, -1.0], gamma=3.0)
    compute = SentenceVectors(random_bilm(), Request(), mix=mix)
    for sentence, received in zip(SENTENCES, compute(SENTENCES), strict=True):
        if sentence:
            expected = random_bilm().embed([sentence], mix=mix).elmo[0]
            np.testing.assert_allclose(received, expected.detach().numpy(), atol=TOLERANCE, rtol=0)


def test_types_of_numbers() -> None:
    exact = vectors()(SENTENCES)[3]
    half = vectors(dtype="float16")(SENTENCES)[3]
    rough = SentenceVectors(random_bilm(precision="bfloat16"), Request())(SENTENCES)[3]
    assert (half.dtype, rough.dtype) == (np.float16, np.float32)
    np.testing.assert_allclose(half, exact, rtol=2**-10, atol=2**-14)
    # bfloat16 keeps 8 bits of the factors, and two layers add up their errors
    assert 1e-4 < np.abs(rough - exact).max() < 0.1 * np.abs(exact).max()


def test_values_beyond_float16_are_an_error() -> None:
    bilm = random_bilm()
    with torch.no_grad():
        bilm.char_cnn.b_proj += 1e6
    with pytest.raises(ValueError, match=r"values up to 1e\+06 do not fit float16: expected dtype float32"):
        SentenceVectors(bilm, Request(dtype="float16"))([["a"]])


def test_a_sentence_longer_than_a_batch() -> None:
    """Each direction's first words know nothing of the rest, so they are those of a short sentence."""
    words = [f"w{number % 97}" for number in range(2 * Request().batch_tokens + 1)]
    raw = raw_options(n_layers=1, dim=2, projection_dim=2)  # each word is a step in Python
    whole, start, end = SentenceVectors(random_bilm(raw), Request(layers="top"))([words, words[:20], words[-20:]])
    assert whole.shape == (len(words), 4)
    np.testing.assert_allclose(whole[:20, :2], start[:, :2], atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(whole[-20:, 2:], end[:, 2:], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"pooling": "sum"}, "pooling: expected one of mean, max, first-last, received 'sum'"),
        ({"dtype": "int8"}, "dtype: expected one of float32, float16, received 'int8'"),
        ({"batch_tokens": 0}, "batch_tokens: expected a positive number, received 0"),
        ({"layers": "4"}, "layers: expected one of all, average, top, concat or a number from 0"),
    ],
)
def test_requests_that_do_not_fit_the_model_are_refused(wanted: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vectors(**wanted)


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta:x"])
def test_a_device_that_is_not_here(name: str) -> None:
    with pytest.raises(ValueError, match=f"device '{name}': not available here: "):
        chosen_device(name)
    assert chosen_device("cpu").type == "cpu"
