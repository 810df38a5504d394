"""Products in every layout."""

from __future__ import annotations

import time

import pytest
import torch

from elmo_tagger.bilm.cpu.prepacked_linear import LAYOUT_VARIABLE, PrepackedLinear, available_layouts
from tests.bilm.random_models import TOLERANCE

DTYPES = [torch.float32, torch.bfloat16, torch.float64]
CASES = [(dtype, layout) for dtype in DTYPES for layout in available_layouts(dtype)]


@pytest.mark.parametrize(("dtype", "layout"), CASES)
@pytest.mark.parametrize("rows", [1, 2, 5, 40])
def test_a_product_is_that_of_exact_arithmetic(dtype, layout, rows):
    torch.manual_seed(0)
    weight, bias = torch.randn(24, 48) / 5, torch.randn(48)
    values, addend = torch.randn(rows, 24), torch.randn(rows, 48)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    multiply = PrepackedLinear(weight.to(wide), bias.to(wide), dtype=dtype, layout=layout)
    exact = values.to(dtype).double() @ weight.to(dtype).double()
    tolerance = 0.02 if dtype == torch.bfloat16 else TOLERANCE
    for got, expected in (
        (multiply(values.to(wide)), exact + bias),
        (multiply(values.to(wide), addend.to(dtype)), exact + addend),
    ):
        assert got.dtype == wide
        torch.testing.assert_close(got.double(), expected, rtol=tolerance, atol=tolerance)
    assert multiply.multiply(values.to(wide)).dtype == dtype


@pytest.mark.parametrize(("dtype", "layout"), CASES)
def test_scaled_columns(dtype, layout):
    torch.manual_seed(0)
    weight, bias, scale = torch.randn(24, 48).to(dtype), torch.randn(48).to(dtype), torch.ones(48).to(dtype)
    scale[7:9] = 2.0
    rows = torch.randn(5, 24).to(dtype)
    addend = torch.randn(5, 48).to(dtype)
    scaled, unscaled = (
        PrepackedLinear(weight, bias, scale=scale, layout=layout),
        PrepackedLinear(weight, bias, layout=layout),
    )
    near = {"rtol": 0.02, "atol": 0.05} if dtype == torch.bfloat16 else {"rtol": 0, "atol": TOLERANCE}
    torch.testing.assert_close(scaled(rows), unscaled(rows) * scale, **near)
    torch.testing.assert_close(scaled(rows, addend * scale), unscaled(rows, addend.clone()) * scale, **near)


def test_a_plain_weight_is_not_copied():
    weight, scale = torch.ones(2, 3), torch.tensor([1.0, 2.0, 1.0])
    matrices = PrepackedLinear(weight, layout="plain"), PrepackedLinear(weight, scale=scale, layout="plain")
    weight.fill_(3.0)
    assert [matrix(torch.ones(1, 2)).tolist() for matrix in matrices] == [[[6.0, 6.0, 6.0]], [[6.0, 12.0, 6.0]]]


def test_the_layout_does_not_depend_on_how_busy_the_machine_is(monkeypatch):
    monkeypatch.delenv(LAYOUT_VARIABLE, raising=False)
    ticks = iter(range(10**6))
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks) ** 2)  # ever slower
    found = {PrepackedLinear(torch.randn(shape)).layout for shape in ((512, 2048), (2048, 512), (7, 9))}
    assert found == {available_layouts(torch.float32)[-1]}


@pytest.mark.parametrize("layout", available_layouts(torch.float32))
@pytest.mark.parametrize(("dtype", "mantissa"), [(torch.float16, 11), (torch.bfloat16, 8)])
def test_factors_that_the_processor_cannot_multiply_are_rounded_and_multiplied_as_float32(layout, dtype, mantissa):
    torch.manual_seed(0)
    weight, bias, rows, addend = torch.randn(24, 48), torch.randn(48), torch.randn(3, 24), torch.randn(3, 48)
    if len(available_layouts(dtype)) > 1:
        pytest.skip(f"this processor multiplies {dtype}")
    multiply = PrepackedLinear(weight, bias, dtype=dtype, layout=layout)
    exact = rows.to(dtype).double() @ weight.to(dtype).double()
    for got, expected in (
        (multiply(rows), exact + bias.to(dtype)),
        (multiply(rows, addend.to(dtype)), exact + addend.to(dtype)),
    ):
        # the result is rounded once
        torch.testing.assert_close(got.double(), expected, rtol=2.0**-mantissa, atol=1e-5)


def test_the_environment_decides_if_it_says_so(monkeypatch):
    monkeypatch.setenv(LAYOUT_VARIABLE, "plain")
    assert PrepackedLinear(torch.eye(3)).layout == "plain"
    monkeypatch.setenv(LAYOUT_VARIABLE, "sideways")
    with pytest.raises(ValueError, match=r"layout: expected one of plain.* for torch.float32, received 'sideways'"):
        PrepackedLinear(torch.eye(3))


def test_a_build_without_packed_products(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    available_layouts.cache_clear()
    assert available_layouts(torch.float32) == ("plain",)
    available_layouts.cache_clear()


def test_a_type_without_packed_products_is_refused_them():
    with pytest.raises(ValueError, match=r"layout: expected one of plain for torch.float64, received 'packed'"):
        PrepackedLinear(torch.eye(3).double(), layout="packed")


def test_a_row_is_the_same_whatever_their_number():
    torch.manual_seed(0)
    multiply = PrepackedLinear(torch.randn(24, 48), torch.randn(48))
    rows, addend = torch.randn(150, 24), torch.randn(150, 48)
    if multiply.layout != "packed":
        pytest.skip("only packed weights promise it")
    together, sums = multiply(rows), multiply(rows, addend.clone())
    for count in (1, 2, 16, 17, 23, 40, 67, 149):
        assert torch.equal(multiply(rows[:count]), together[:count])
        assert torch.equal(multiply(rows[:count], addend[:count].clone()), sums[:count])
