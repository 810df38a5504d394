"""The largest value over a word's windows: the gradient goes to one window that has it."""

import torch

from elmo_tagger.bilm.backward.char_cnn import LargestWindow


def test_the_gradient_is_that_of_amax_where_no_windows_tie() -> None:
    torch.manual_seed(0)
    values = torch.randn(5, 7, 3, dtype=torch.float64, requires_grad=True)
    direction = torch.randn(5, 3, dtype=torch.float64)
    largest = LargestWindow.apply(values)
    torch.testing.assert_close(largest, values.amax(dim=1), rtol=0, atol=0)
    (own,) = torch.autograd.grad((largest * direction).sum(), values)
    (expected,) = torch.autograd.grad((values.amax(dim=1) * direction).sum(), values)
    torch.testing.assert_close(own, expected, rtol=0, atol=0)


def test_windows_that_tie_share_no_more_than_the_gradient() -> None:
    values = torch.ones(1, 4, 1, requires_grad=True)
    (gradient,) = torch.autograd.grad(3.0 * LargestWindow.apply(values).sum(), values)
    assert sorted(gradient.flatten().tolist()) == [0.0, 0.0, 0.0, 3.0]
