import subprocess
import sys

import pytest
import torch

import elmo_tagger
from elmo_tagger.bilm import Bilm, ScalarMix, encode_sentences
from tests.bilm.random_models import TOLERANCE, random_bilm, raw_options

WORDS = [["Nell", "sat", "in", "Reykjavík"], ["日本語"], [], ["a", "b", "a", "b", "a", "b"]]


def test_outputs_are_the_layers_and_their_even_mix() -> None:
    bilm = random_bilm()
    found = bilm.embed(WORDS)
    output = bilm(torch.from_numpy(encode_sentences(WORDS, max_characters=12)))
    width = bilm.output_dim // 2
    assert torch.equal(found.mask, output.mask)
    for received, expected in (
        (found.word_emb, output.layers[0][..., :width]),
        (found.lstm_outputs1, output.layers[1]),
        (found.lstm_outputs2, output.layers[2]),
    ):
        torch.testing.assert_close(received, expected, atol=0, rtol=0)
    doubled = torch.cat([found.word_emb, found.word_emb], dim=-1)
    even = (doubled + found.lstm_outputs1 + found.lstm_outputs2) / 3
    torch.testing.assert_close(found.elmo, even, atol=TOLERANCE, rtol=0)
    for row, words in enumerate(WORDS):
        mean = even[row, : len(words)].mean(0) if words else torch.zeros(2 * width)
        torch.testing.assert_close(found.default[row], mean, atol=TOLERANCE, rtol=0)


def test_strings_are_split_at_spaces() -> None:
    bilm = random_bilm()
    strings = bilm.embed(["Nell sat  in\tReykjavík ", "日本語", "", "a b a b a b"])
    torch.testing.assert_close(strings.elmo, bilm.embed(WORDS).elmo, atol=0, rtol=0)


def test_lengths_cut_the_filling_off() -> None:
    """As TF-Hub's signature `tokens`: every list is as long as the longest."""
    bilm = random_bilm()
    longest = max(map(len, WORDS))
    filled = [words + [""] * (longest - len(words)) for words in WORDS]
    cut = bilm.embed(filled, [len(words) for words in WORDS])
    torch.testing.assert_close(cut.default, bilm.embed(WORDS).default, atol=0, rtol=0)


def test_same_sentence_in_any_batch_same_numbers() -> None:
    bilm = random_bilm()
    together, backward = bilm.embed(WORDS), bilm.embed(WORDS[::-1])
    for row, words in enumerate(WORDS):
        alone = bilm.embed([words])
        for name in ("word_emb", "lstm_outputs1", "lstm_outputs2", "elmo"):
            expected = getattr(alone, name)[0]
            for batch, place in ((together, row), (backward, len(WORDS) - 1 - row)):
                received = getattr(batch, name)[place]
                torch.testing.assert_close(received[: len(words)], expected, atol=TOLERANCE, rtol=0)
                assert not received[len(words) :].any()
        torch.testing.assert_close(together.default[row], alone.default[0], atol=TOLERANCE, rtol=0)


def test_a_mix_of_ones_own_can_be_trained_while_the_bilm_records_nothing() -> None:
    bilm = random_bilm().requires_grad_(True)
    mix = ScalarMix(3, initial=[0.0, 0.0, 30.0], gamma=2.0)
    found = bilm.embed(WORDS, mix=mix)
    torch.testing.assert_close(found.elmo, 2 * found.lstm_outputs2, atol=TOLERANCE, rtol=0)
    found.default.sum().backward()
    assert mix.gamma.grad is not None
    assert all(parameter.grad is None for parameter in bilm.parameters())
    assert not bilm.embed(WORDS).elmo.requires_grad


def test_a_bilm_of_one_layer_has_no_second() -> None:
    found = random_bilm(raw_options(n_layers=1)).embed(WORDS)
    assert found.lstm_outputs1.shape == found.elmo.shape
    with pytest.raises(ValueError, match="lstm_outputs2: expected a biLM with that layer, this one has 1"):
        found.lstm_outputs2  # noqa: B018 - the property raises


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a b",), "sentences: expected a list of sentences, received the string 'a b'"),
        ((["a b", ["a"]],), "expected all strings or all lists of words, received both"),
        ((["a b"], [2]), "lengths: expected them with lists of words only, received strings"),
        (([["a"]], [1, 1]), "lengths: expected 1, one a sentence, received 2"),
        (([["a"]], [2]), "lengths: expected 0 to 1 for sentence 0, which has 1 words, received 2"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        random_bilm().embed(*arguments)


def test_a_stateful_bilm_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a stateless biLM"):
        random_bilm(stateful=True).embed(WORDS)


def test_the_package_offers_the_bilm_lazily() -> None:
    assert elmo_tagger.Bilm is Bilm
    assert all(getattr(elmo_tagger, name) for name in elmo_tagger.__all__)
    with pytest.raises(AttributeError, match="module 'elmo_tagger' has no attribute 'Elmos'"):
        elmo_tagger.Elmos  # noqa: B018
    code = "import sys, elmo_tagger; print({'torch', 'numpy', 'typing', 'allennlp'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
