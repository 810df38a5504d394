"""The products of training's steps, laid out for many steps or not for few."""

import pytest
import torch

from elmo_tagger.bilm.backward import lstm_steps
from elmo_tagger.bilm.backward.lstm_steps import _STEPS_WORTH_A_LAYOUT, _Products
from tests.bilm.random_models import TOLERANCE


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_many_steps_have_the_products_of_few(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    weight, rows = torch.randn(2, 6, 10, dtype=dtype) / 3, torch.randn(2, 4, 6, dtype=dtype)
    laid_out = []
    whole = lstm_steps.PrepackedLinear

    def noted(part: torch.Tensor) -> object:
        laid_out.append(part)
        return whole(part)

    monkeypatch.setattr(lstm_steps, "PrepackedLinear", noted)
    monkeypatch.setattr(lstm_steps, "_VALUES_WORTH_A_LAYOUT", 0)
    for factor, values in ((weight, rows), (weight.transpose(1, 2), torch.randn(2, 4, 10, dtype=dtype))):
        few, many = (_Products(factor, [4] * (_STEPS_WORTH_A_LAYOUT + more))(values) for more in (-1, 0))
        torch.testing.assert_close(many, few, rtol=TOLERANCE, atol=TOLERANCE)
        torch.testing.assert_close(few, torch.einsum("drm,dmn->drn", values, factor), rtol=TOLERANCE, atol=TOLERANCE)
    assert len(laid_out) == 4  # both directions, of the many steps alone
