"""Vectors of words that were met before."""

from __future__ import annotations

import copy

import pytest
import torch

from elmo_tagger.bilm import encode_sentences, encode_words
from elmo_tagger.bilm.cpu.word_vector_cache import WordVectorCache
from tests.bilm.random_models import random_bilm


class Computed:
    """Vectors that tell the word, and a note of which words were computed."""

    def __init__(self):
        self.words = []

    def __call__(self, ids):
        self.words += ids[:, 0].tolist()
        return ids.float() * 2


def words(*numbers):
    return torch.tensor([[number, 7] for number in numbers])


def test_a_word_is_computed_once():
    store, compute = WordVectorCache(10), Computed()
    for numbers in ([1, 2], [2, 3], [3, 1], [2]):
        assert torch.equal(store.look_up(words(*numbers), compute), words(*numbers) * 2.0)
    assert compute.words == [1, 2, 3]
    assert len(store) == 3


def test_the_word_that_was_longest_not_asked_for_goes():
    store, compute = WordVectorCache(3), Computed()
    store.look_up(words(1, 2, 3), compute)
    store.look_up(words(1), compute)
    store.look_up(words(4), compute)  # in place of 2
    compute.words.clear()
    found = store.look_up(words(1, 2, 3, 4), compute)
    assert torch.equal(found, words(1, 2, 3, 4) * 2.0)
    assert compute.words == [2]
    assert len(store) == 3


def test_more_words_at_once_than_there_is_room_for():
    store, compute = WordVectorCache(2), Computed()
    for _ in range(2):
        assert torch.equal(store.look_up(words(1, 2, 3, 4, 5), compute), words(1, 2, 3, 4, 5) * 2.0)
        assert len(store) == 2
    assert compute.words == [1, 2, 3, 4, 5, 1, 2, 3]


def test_a_word_twice_in_one_call():
    store, compute = WordVectorCache(4), Computed()
    assert torch.equal(store.look_up(words(1, 1, 2), compute), words(1, 1, 2) * 2.0)
    assert torch.equal(store.look_up(words(3, 2, 1), compute), words(3, 2, 1) * 2.0)
    assert compute.words == [1, 2, 3]


def test_changing_a_result_does_not_change_the_cache():
    store, compute = WordVectorCache(4), Computed()
    for _ in range(3):
        store.look_up(words(1), compute).zero_()
    assert torch.equal(store.look_up(words(1), compute), words(1) * 2.0)


def words_met(bilm):
    """Notes how many words the character CNN reads in each call from now on."""
    seen = []
    bilm.char_cnn.register_forward_hook(lambda _, arguments, __: seen.append(len(arguments[0])))
    return seen


def ids_of(sentences):
    return torch.from_numpy(encode_sentences(sentences, max_characters=12))


def test_a_model_meets_a_word_once_while_its_weights_stay():
    bilm, forgetful = random_bilm(), random_bilm(stored_words=0)
    seen, seen_again = words_met(bilm), words_met(forgetful)
    ids = ids_of([["a", "b", "a"], ["c"]])
    for calls in (1, 2):
        for layer, values in bilm(ids).layers.items():
            torch.testing.assert_close(values, forgetful(ids).layers[layer])
        assert seen == [5]  # a, b, c and the boundaries
        assert seen_again == [5] * 3 * calls
    bilm.char_cnn.W_proj.mul_(2.0)
    bilm(ids)
    assert seen == [5, 5]


def test_a_copy_of_a_model_starts_without_the_words():
    bilm = random_bilm()
    bilm(ids_of([["a"]]))
    again = copy.deepcopy(bilm)
    seen = words_met(again)
    again(ids_of([["a"]]))
    assert seen == [3]


def test_nothing_is_stored_while_gradients_are_recorded():
    bilm = random_bilm().requires_grad_(True)
    seen = words_met(bilm)
    for _ in range(2):
        bilm(ids_of([["a"]]))
    with torch.no_grad():
        bilm(ids_of([["a"]]))
    assert seen == [3, 3, 3]


def test_ids_out_of_range_are_refused_whatever_is_stored():
    bilm = random_bilm()
    ids = torch.from_numpy(encode_words(["a"], max_characters=12)).long()
    bilm.embed_words(ids)
    with pytest.raises(ValueError, match=r"expected character ids of 0 to 261, received [0-9]+ to 65797"):
        bilm.embed_words(ids + 65536)
