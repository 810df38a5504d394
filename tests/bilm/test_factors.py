"""Weights of products as they are kept."""

from __future__ import annotations

import pytest
import torch

from elmo_tagger.bilm.factors import Factor


@pytest.mark.parametrize("shape", [(6, 4), (2, 6, 4)])
def test_integers_are_off_by_half_a_step_of_their_column(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    weight = torch.randn(shape) * torch.tensor([1e-3, 1.0, 100.0, 0.0])
    factor = Factor(weight).rounded(torch.int8)
    assert factor.values.dtype == torch.int8
    assert factor.scale is not None
    assert factor.scale.shape == (*shape[:-2], shape[-1])
    step = weight.abs().amax(dim=-2, keepdim=True) / 127
    assert bool(((factor.widened() - weight).abs() <= 0.501 * step).all())
    assert factor.values.abs().amax(dim=-2).flatten()[:3].tolist() == [127, 127, 127]


def test_rounding_again_changes_nothing() -> None:
    torch.manual_seed(0)
    once = Factor(torch.randn(2, 50, 30)).rounded(torch.int8)
    again = Factor(once.widened()).rounded(torch.int8)
    assert torch.equal(again.values, once.values)
    torch.testing.assert_close(again.scale, once.scale, rtol=1e-6, atol=0)
