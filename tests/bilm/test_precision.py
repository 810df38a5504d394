"""PyTorch's setting for products of float32: changed while it is needed, and put back."""

from __future__ import annotations

import threading

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


def test_the_setting_is_put_back():
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


def test_a_second_thread_waits_for_the_first_to_put_it_back():
    before, seen = float32_products(), []
    entered, may_leave = threading.Event(), threading.Event()

    def first():
        with tf32(True):
            entered.set()
            may_leave.wait(20)
            seen.append("first")

    def second():
        entered.wait(20)
        with tf32(True):
            seen.append("second")
            assert float32_products() == TF32

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    entered.wait(20)
    assert float32_products() == TF32
    may_leave.set()
    for thread in threads:
        thread.join()
    assert seen == ["first", "second"]
    assert float32_products() == before


@pytest.mark.skipif(not NEW, reason="needs PyTorch 2.9")
@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_a_setting_by_the_new_name_stays(precision):
    """PyTorch then refuses to tell it by the old one."""
    MATMUL.fp32_precision = "tf32"
    ids = torch.from_numpy(encode_sentences([["a"]], max_characters=12))
    random_bilm(precision=precision)(ids)
    assert MATMUL.fp32_precision == "tf32"


@pytest.mark.parametrize("name", ["highest", "high", "medium"])
@pytest.mark.parametrize("rounds", [False, True])
def test_a_setting_by_the_oldest_name_stays(name, rounds):
    torch.set_float32_matmul_precision(name)
    allowed = MATMUL.allow_tf32
    with tf32(rounds):
        pass
    assert (torch.get_float32_matmul_precision(), MATMUL.allow_tf32) == (name, allowed)
