"""PyTorch's setting for products of float32: borrowed, by several threads too, and given back."""

from __future__ import annotations

import pytest
import torch

from elmo_tagger.bilm import encode_sentences
from elmo_tagger.bilm.precision import float32_products, tf32
from tests.bilm.random_models import random_bilm

MATMUL = torch.backends.cuda.matmul
NEW = hasattr(MATMUL, "fp32_precision")
TF32 = "tf32" if NEW else True


@pytest.fixture(autouse=True)
def as_before():
    before = torch.get_float32_matmul_precision()
    yield
    if NEW:
        MATMUL.fp32_precision = "ieee"
    torch.set_float32_matmul_precision(before)


def test_it_is_set_within_alone():
    before = float32_products()
    with tf32(False):
        assert float32_products() == before
    with tf32(True):
        assert float32_products() == TF32
        with tf32(True):
            assert float32_products() == TF32
        assert float32_products() == TF32
    assert float32_products() == before
    with pytest.raises(KeyError), tf32(True):
        raise KeyError
    assert float32_products() == before


def test_threads_that_overlap():
    """In whichever order they leave: the setting belongs to the process."""
    before = float32_products()
    first, plain, second = tf32(True), tf32(False), tf32(True)
    for each in (first, plain, second):
        each.__enter__()
    for each in (first, plain):
        each.__exit__(None, None, None)
        assert float32_products() == TF32
    second.__exit__(None, None, None)
    assert float32_products() == before


@pytest.mark.skipif(not NEW, reason="needs PyTorch 2.9")
@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_who_set_it_by_its_new_name(precision):
    """PyTorch then refuses to tell it by the old one."""
    MATMUL.fp32_precision = "tf32"
    ids = torch.from_numpy(encode_sentences([["a"]], max_characters=12))
    random_bilm(precision=precision)(ids)
    assert MATMUL.fp32_precision == "tf32"


@pytest.mark.parametrize("name", ["highest", "high", "medium"])
@pytest.mark.parametrize("rounds", [False, True])
def test_who_set_it_by_its_oldest_name(name, rounds):
    torch.set_float32_matmul_precision(name)
    allowed = MATMUL.allow_tf32
    with tf32(rounds):
        pass
    assert (torch.get_float32_matmul_precision(), MATMUL.allow_tf32) == (name, allowed)
