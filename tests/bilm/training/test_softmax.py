from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from elmo_tagger.bilm.training import linear_loss
from elmo_tagger.bilm.training.log_uniform import LogUniformSampler
from elmo_tagger.bilm.training.softmax import LmSoftmax
from tests.bilm.random_models import TOLERANCE
from tests.reference import language_model as twin

WORDS, WIDTH, COUNT = 40, 6, 90


def softmax_of(samples: int | None = None, words: int = WORDS) -> LmSoftmax:
    torch.manual_seed(1)
    softmax = LmSoftmax(words, WIDTH, samples=samples).double()
    with torch.no_grad():
        softmax.b.normal_()
    return softmax


def material() -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    targets = (torch.rand(COUNT) ** 3 * WORDS).long()
    return torch.randn(COUNT, WIDTH, dtype=torch.float64, requires_grad=True), targets


def gradients(softmax: LmSoftmax, total: Tensor, hidden: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(3.0 * total, [hidden, softmax.W, softmax.b]))


def test_exact_loss_and_gradients_are_those_of_cross_entropy() -> None:
    softmax, (hidden, targets) = softmax_of(), material()
    total, losses = softmax(hidden, targets)
    expected = F.cross_entropy(hidden @ softmax.W.T + softmax.b, targets, reduction="none")
    torch.testing.assert_close(losses, expected.detach(), atol=TOLERANCE, rtol=0)
    assert not losses.requires_grad
    for own, other in zip(gradients(softmax, total, hidden), gradients(softmax, expected.sum(), hidden), strict=True):
        torch.testing.assert_close(own, other, atol=TOLERANCE, rtol=0)
    by_hand = twin.softmax_loss(*(x.detach().numpy() for x in (hidden[0], softmax.W, softmax.b)), int(targets[0]))
    assert float(losses[0]) == pytest.approx(by_hand, abs=TOLERANCE)


def test_all_words_as_samples_are_the_exact_softmax() -> None:
    exact, sampled, (hidden, targets) = softmax_of(), softmax_of(WORDS), material()
    results = [(softmax, *softmax(hidden, targets)) for softmax in (exact, sampled)]
    torch.testing.assert_close(results[0][2], results[1][2], atol=TOLERANCE, rtol=0)
    both = [gradients(softmax, total, hidden) for softmax, total, _ in results]
    for own, other in zip(*both, strict=True):
        torch.testing.assert_close(own, other, atol=TOLERANCE, rtol=0)


def test_sampled_loss_beside_its_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    softmax, (hidden, targets) = softmax_of(10), material()
    samples = torch.tensor([0, 1, 3, 17, 38])
    monkeypatch.setattr(softmax.sampler, "sample", lambda: samples)
    assert set(targets.tolist()) & set(samples.tolist())  # accidental hits
    assert set(targets.tolist()) - set(samples.tolist())
    _, losses = softmax(hidden, targets)
    weight, bias, vectors = (x.detach().numpy() for x in (softmax.W, softmax.b, hidden))
    expected = [
        twin.sampled_softmax_loss(vector, weight, bias, target, samples.tolist(), softmax.sampler.draws)
        for vector, target in zip(vectors, targets.tolist(), strict=True)
    ]
    np.testing.assert_allclose(losses.numpy(), expected, atol=TOLERANCE, rtol=0)


def test_sampled_gradients_are_those_of_finite_differences() -> None:
    softmax, (hidden, targets) = softmax_of(8), material()

    def loss(*values: Tensor) -> Tensor:
        torch.manual_seed(5)  # the same samples each time
        total, _ = torch.func.functional_call(
            softmax, dict(zip(("W", "b"), values[1:], strict=True)), (values[0], targets[:7])
        )
        return total

    inputs = [hidden[:7].detach().requires_grad_(), softmax.W, softmax.b]
    assert torch.autograd.gradcheck(loss, inputs, atol=1e-5)


def test_pieces_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    softmax, (hidden, targets) = softmax_of(), material()
    whole = softmax(hidden, targets)
    monkeypatch.setattr(linear_loss, "_VALUES", {"cpu": 7 * WORDS, "other": 1})
    pieces = softmax(hidden, targets)
    torch.testing.assert_close(whole[1], pieces[1], atol=TOLERANCE, rtol=0)
    for own, other in zip(gradients(softmax, whole[0], hidden), gradients(softmax, pieces[0], hidden), strict=True):
        torch.testing.assert_close(own, other, atol=TOLERANCE, rtol=0)
    with torch.no_grad():
        torch.testing.assert_close(softmax(hidden, targets)[0], whole[0].detach(), atol=TOLERANCE, rtol=0)


def test_outside_of_training_it_is_exact() -> None:
    exact, sampled, (hidden, targets) = softmax_of(), softmax_of(5).eval(), material()
    torch.testing.assert_close(sampled(hidden, targets)[1], exact(hidden, targets)[1], atol=TOLERANCE, rtol=0)


def test_samples_come_as_often_as_they_should() -> None:
    """Each word's share of draws in which it is sampled, within five standard errors of its probability."""
    torch.manual_seed(0)
    sampler, rounds = LogUniformSampler(WORDS, 10), 4000
    counts = torch.zeros(WORDS)
    for _ in range(rounds):
        counts[sampler.sample()] += 1
    expected = np.array([1.0 - (1.0 - p) ** sampler.draws for p in twin.log_uniform(WORDS)])
    np.testing.assert_allclose(sampler.log_probabilities.exp().numpy(), expected, atol=TOLERANCE, rtol=0)
    errors = np.abs(counts.numpy() / rounds - expected) / np.sqrt(expected * (1 - expected) / rounds)
    assert errors.max() < 5
    assert 10 <= expected.sum() < 10.5


def test_the_sum_over_words_is_estimated_without_bias() -> None:
    """Samples, each over its probability, add up to the sum over all words on average."""
    torch.manual_seed(0)
    sampler = LogUniformSampler(WORDS, 10)
    values = torch.rand(WORDS) * 5
    estimates = []
    for _ in range(4000):
        samples = sampler.sample()
        estimates.append(float((values[samples] / sampler.log_probabilities[samples].exp()).sum()))
    error = abs(np.mean(estimates) - float(values.sum())) / (np.std(estimates) / math.sqrt(len(estimates)))
    assert error < 4


def test_what_is_learnt_from_samples_is_the_distribution_itself() -> None:
    """Biases alone, learnt against few samples, become the words' frequencies under the exact softmax."""
    torch.manual_seed(0)
    frequencies = torch.linspace(5, 1, 12).softmax(0)
    softmax = LmSoftmax(12, 1, samples=4)
    hidden = torch.zeros(2000, 1)
    optimizer = torch.optim.Adam([softmax.b], lr=0.05)
    for step in range(400):
        targets = torch.multinomial(frequencies, 2000, replacement=True)
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 400)
        optimizer.zero_grad()
        softmax(hidden, targets)[0].div(2000).backward()
        optimizer.step()
    torch.testing.assert_close(softmax.b.detach().softmax(0), frequencies, atol=0.01, rtol=0)


def test_samples_must_be_positive() -> None:
    with pytest.raises(ValueError, match=r"^samples: expected a positive number, received 0$"):
        LogUniformSampler(5, 0)
