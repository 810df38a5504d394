"""Products in every layout."""

from __future__ import annotations

import pytest
import torch

from elmo_tagger.bilm.cpu import prepacked_linear
from elmo_tagger.bilm.cpu.prepacked_linear import LAYOUT_VARIABLE, PrepackedLinear, available_layouts
from tests.bilm.random_models import TOLERANCE

DTYPES = [torch.float32, torch.bfloat16, torch.float64]
CASES = [(dtype, layout) for dtype in DTYPES for layout in available_layouts(dtype)]


@pytest.mark.parametrize(("dtype", "layout"), CASES)
@pytest.mark.parametrize("rows", [1, 2, 5, 40])
def test_product(dtype, layout, rows):
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


@pytest.mark.parametrize(
    ("plain", "expected"), [(0.4, "plain"), (0.6, "packed"), (1.0, "packed"), (3.0, "packed")], ids=str
)
def test_another_than_the_usual_layout_has_to_be_clearly_faster(plain, expected, monkeypatch):
    if "packed" not in available_layouts(torch.float32):
        pytest.skip("this build of PyTorch has one layout")
    monkeypatch.delenv(LAYOUT_VARIABLE, raising=False)
    monkeypatch.setattr(
        prepacked_linear, "_seconds", lambda product, rows: plain if product.__qualname__.startswith("_plain") else 1.0
    )
    prepacked_linear._suitable.cache_clear()
    assert PrepackedLinear(torch.randn(512, 512)).layout == expected
    assert PrepackedLinear(torch.randn(7, 9)).layout == "packed", "mostly the call: not worth another result"
    prepacked_linear._suitable.cache_clear()


def test_times_are_taken():
    assert 0 < prepacked_linear._seconds(prepacked_linear._plain(torch.eye(3)), torch.eye(3)) < 10


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


def test_a_processor_without_packed_products(monkeypatch):
    def refuse(weight):
        raise RuntimeError("mkldnn_reorder_linear_weight: bf16 path needs the cpu support avx512bw")

    monkeypatch.setattr(prepacked_linear, "_packed", refuse)
    available_layouts.cache_clear()
    assert available_layouts(torch.bfloat16) == ("plain",)
    available_layouts.cache_clear()
