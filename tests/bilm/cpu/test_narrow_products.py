"""Products with weights of one and two bytes."""

from __future__ import annotations

import logging

import pytest
import torch

from elmo_tagger.bilm.cpu import narrow_products
from elmo_tagger.bilm.cpu.narrow_products import float16_maker, int8_maker
from elmo_tagger.bilm.cpu.prepacked_linear import PrepackedLinear
from elmo_tagger.bilm.factors import Factor

SHAPES = [(512, 256), (128, 4104), (2048, 64)]
MAKERS = {torch.float16: float16_maker, torch.int8: int8_maker}
# Of the largest result: float16's weights are exact here; int8 rounds rows to 7 or 8 bits, whose errors average out.
NEAR = {torch.float16: 1e-6, torch.int8: 0.02}


def needs(dtype: torch.dtype) -> None:
    if MAKERS[dtype]() is None:
        pytest.skip(f"no products of {dtype} on this machine")


def weight_of(shape: tuple[int, int], dtype: torch.dtype) -> Factor:
    torch.manual_seed(0)
    return Factor(torch.randn(shape) / shape[0] ** 0.5).rounded(dtype)


@pytest.mark.parametrize("dtype", MAKERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("rows", [0, 1, 2, 7, 40])
def test_the_product_is_that_of_the_rounded_weight(shape: tuple[int, int], dtype: torch.dtype, rows: int) -> None:
    needs(dtype)
    weight = weight_of(shape, dtype)
    bias, values, addend = torch.randn(shape[1]), torch.rand(rows, shape[0]) * 2 - 1, torch.randn(rows, shape[1])
    multiply = PrepackedLinear(weight, bias)
    assert multiply.layout == str(dtype).removeprefix("torch.")
    exact = values.double() @ weight.widened().double()
    for got, expected in ((multiply(values), exact + bias), (multiply(values, addend.clone()), exact + addend)):
        assert got.dtype == torch.float32
        assert got.shape == expected.shape
        bound = NEAR[dtype] * float(expected.abs().max()) if rows else 0
        torch.testing.assert_close(got.double(), expected, rtol=0, atol=bound)


@pytest.mark.parametrize("dtype", MAKERS)
def test_scaled_columns(dtype: torch.dtype) -> None:
    needs(dtype)
    weight, scale = weight_of((512, 512), dtype), torch.ones(512)
    scale[7:300] = 2.0
    bias, rows = torch.randn(512), torch.randn(5, 512)
    scaled, unscaled = PrepackedLinear(weight, bias, scale=scale), PrepackedLinear(weight, bias)
    assert torch.equal(scaled(rows), unscaled(rows) * scale)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_in_int8_a_row_does_not_depend_on_the_others(shape: tuple[int, int]) -> None:
    needs(torch.int8)
    multiply = PrepackedLinear(weight_of(shape, torch.int8), torch.randn(shape[1]))
    rows = torch.randn(70, shape[0]) * torch.logspace(-3, 3, 70).unsqueeze(1)
    rows[3] = 0
    addends = torch.randn(70, shape[1])
    together, added = multiply(rows), multiply(rows, addends.clone())
    for size in (1, 2, 3, 16, 33, 69):
        parts = [slice(start, start + size) for start in range(0, len(rows), size)]
        assert torch.equal(torch.cat([multiply(rows[part]) for part in parts]), together), size
        assert torch.equal(torch.cat([multiply(rows[part], addends[part].clone()) for part in parts]), added), size


def test_the_largest_sums_are_not_cut_off() -> None:
    needs(torch.int8)
    weight = Factor(torch.full((512, 256), 127, dtype=torch.int8), torch.ones(256))
    rows = torch.ones(3, 512) * torch.tensor([[1.0], [-1.0], [0.25]])
    torch.testing.assert_close(PrepackedLinear(weight)(rows), rows @ weight.widened(), rtol=1e-5, atol=0)


def test_operators_that_cut_off_sums_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those with 8 bits do on processors without VNNI."""
    original = narrow_products._int8_of_fbgemm

    def cuts(weight: Factor, *, levels: int):
        product = original(weight, levels=levels)
        return product if levels == 63 else lambda rows, addend: product(rows, addend).clamp(max=2.0**12)

    needs(torch.int8)
    if not narrow_products._has_fbgemm():
        pytest.skip("no FBGEMM on this machine")
    monkeypatch.setattr(narrow_products, "_int8_of_fbgemm", cuts)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    int8_maker.cache_clear()
    try:
        maker = int8_maker()
        assert maker is not None
        assert maker.keywords == {"levels": 63}  # type: ignore[attr-defined]
    finally:
        int8_maker.cache_clear()


@pytest.mark.parametrize("dtype", MAKERS)
def test_without_an_operator_the_same_weights_are_multiplied_as_float32(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(narrow_products, "_is_x86", lambda: False)
    for each in (*MAKERS.values(), narrow_products.tell_once):
        each.cache_clear()
    weight, rows = weight_of((512, 512), dtype), torch.randn(3, 512)
    with caplog.at_level(logging.WARNING):
        products = [PrepackedLinear(weight) for _ in range(2)]
    for each in (*MAKERS.values(), narrow_products.tell_once):
        each.cache_clear()
    assert torch.equal(products[1](rows), PrepackedLinear(weight.widened())(rows))
    (message,) = [record.getMessage() for record in caplog.records]
    name = str(dtype).removeprefix("torch.")
    assert message.startswith(f"precision {name}: this processor, or this build of PyTorch, has no fast way")


def test_the_engine_of_quantized_operators_stays_what_it_was() -> None:
    needs(torch.int8)
    before = torch.backends.quantized.engine
    narrow_products._int8_of_fbgemm(weight_of((64, 64), torch.int8), levels=63)
    assert torch.backends.quantized.engine == before
