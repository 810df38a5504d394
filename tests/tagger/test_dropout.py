"""Dropout whose masks are drawn faster, against PyTorch's own."""

import pytest
import torch
from torch import nn

from elmo_tagger.tagger.dropout import Dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_values_gradients_and_generator_are_pytorchs(p: float, dtype: torch.dtype) -> None:
    found = []
    for module in (nn.Dropout(p), Dropout(p)):
        torch.manual_seed(0)
        values = torch.randn(7, 13, dtype=dtype).requires_grad_()
        kept = module(values)
        kept.sin().sum().backward()
        found.append((kept.detach(), values.grad, torch.get_rng_state()))
    for expected, received in zip(*found, strict=True):
        torch.testing.assert_close(received, expected, rtol=0, atol=0)


def test_in_place_and_in_evaluation_it_is_pytorchs() -> None:
    values = torch.ones(50)
    assert Dropout(0.5, inplace=True)(values) is values
    assert 0 < int((values == 0).sum()) < 50
    assert Dropout(0.5).eval()(values) is values
