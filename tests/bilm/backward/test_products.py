"""The products of training's steps, laid out for many steps or not for few."""

import pytest
import torch

from elmo_tagger.bilm.backward import steps
from tests.bilm.random_models import TOLERANCE

ROWS = 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_many_steps_have_the_products_of_few(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    weight = torch.randn(2, 256, 1024, dtype=dtype) / 16
    laid_out = []
    whole = steps.PrepackedLinear

    def noted(part: torch.Tensor) -> object:
        laid_out.append(part)
        return whole(part)

    monkeypatch.setattr(steps, "PrepackedLinear", noted)
    for factor in (weight, weight.transpose(1, 2)):
        values = torch.randn(2, ROWS, factor.shape[1], dtype=dtype)
        few, many = (steps.StepProducts(factor, [ROWS] * number)(values) for number in (2, 40))
        torch.testing.assert_close(many, few, rtol=TOLERANCE, atol=TOLERANCE)
        torch.testing.assert_close(few, torch.einsum("drm,dmn->drn", values, factor), rtol=TOLERANCE, atol=TOLERANCE)
    assert len(laid_out) == 4  # both directions, of the many steps alone
