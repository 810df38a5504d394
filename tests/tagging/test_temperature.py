"""The temperature of a CRF, against likelihoods by listing all tag sequences."""

from __future__ import annotations

import math

import pytest
import torch

from elmo_tagger.tagging.checks import CrfInputError
from elmo_tagger.tagging.crf import ConditionalRandomField
from elmo_tagger.tagging.schemes import allowed_transitions
from elmo_tagger.tagging.temperature import HIGHEST, LOWEST, Fit, TemperatureError, fit_temperature
from tests.reference.crf import EnumeratedCrf

TAGS = ["O", "B-A", "I-A"]
STEPS = 4


@pytest.fixture
def crf() -> ConditionalRandomField:
    torch.manual_seed(0)
    return ConditionalRandomField(num_tags=3, constraints=allowed_transitions(TAGS, "BIO"))


def listed(crf: ConditionalRandomField, emissions: torch.Tensor, temperature: float) -> EnumeratedCrf:
    """All sequences of a sentence, their scores divided by the temperature."""
    scores = (emissions, crf.transitions, crf.start_transitions, crf.end_transitions)
    pairs = {(i, j) for i, row in enumerate(crf._constraint_mask.tolist()) for j, legal in enumerate(row) if legal}
    return EnumeratedCrf(*((each / temperature).tolist() for each in scores), allowed=pairs)


def drawn(crf: ConditionalRandomField, sentences: int, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores, and tags drawn from their distribution at a temperature."""
    generator = torch.Generator().manual_seed(1)
    emissions = 2 * torch.randn(sentences, STEPS, 3, generator=generator)
    tags = []
    for row in emissions:
        every = listed(crf, row, temperature)
        weights = torch.tensor([math.exp(score - every.log_sum()) for score in every.scores.values()])
        tags.append(list(every.scores)[int(torch.multinomial(weights, 1, generator=generator))])
    return emissions, torch.tensor(tags)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_log_probability_is_that_of_the_divided_scores(crf: ConditionalRandomField, temperature: float) -> None:
    emissions, tags = drawn(crf, 5, 1.0)
    allowed = torch.nn.functional.one_hot(tags, 3).bool() | (torch.rand(5, STEPS, 1) < 0.5)
    crf.temperature.fill_(temperature)
    crf.label_weights, crf.weight_strategy = torch.tensor([1.0, 5.0, 2.0]), "emission"  # which do not matter here
    every = [listed(crf, row, temperature) for row in emissions]
    exact = [one.log_likelihood([{tag} for tag in row]) for one, row in zip(every, tags.tolist(), strict=True)]
    assert crf.log_probability(emissions, tags).tolist() == pytest.approx(exact, abs=1e-6)
    sets = [[{tag for tag in range(3) if token[tag]} for token in row] for row in allowed.tolist()]
    summed = [one.log_likelihood(row) for one, row in zip(every, sets, strict=True)]
    assert crf.log_probability(emissions, allowed).tolist() == pytest.approx(summed, abs=1e-6)


def test_forbidden_tags_have_no_probability_and_masked_ones_do_not_count(crf: ConditionalRandomField) -> None:
    emissions = torch.randn(3, 3, 3)
    tags = torch.tensor([[0, 2, 0], [0, 1, 2], [0, 1, 0]])
    mask = torch.tensor([[True] * 3, [True, True, False], [False] * 3])
    found = crf.log_probability(emissions, tags, mask)
    assert found[0] == -torch.inf
    assert found[1].item() == pytest.approx(crf.log_probability(emissions[1:2, :2], tags[1:2, :2]).item(), abs=1e-6)
    assert found[2] == 0
    with pytest.raises(CrfInputError, match="sentence 0 of the batch, token 1: tag id 3, expected 0 to 2"):
        crf.log_probability(emissions, tags.masked_fill(tags == 2, 3))


@pytest.mark.parametrize("true", [0.5, 2.5])
@pytest.mark.parametrize("partial", [False, True])
def test_the_temperature_that_tags_were_drawn_with_is_found(
    crf: ConditionalRandomField, true: float, partial: bool
) -> None:
    emissions, tags = drawn(crf, 300, true)
    gold = tags
    if partial:
        gold = torch.nn.functional.one_hot(tags, 3).bool()
        gold[::3, 1] = True
    mask = torch.ones(tags.shape, dtype=torch.bool)
    batches = [
        (emissions[start : start + 50], gold[start : start + 50], mask[start : start + 50])
        for start in range(0, 600, 50)
    ]
    fit = fit_temperature(crf, batches)
    assert fit.temperature == pytest.approx(true, rel=0.2)
    assert crf.temperature.item() == pytest.approx(fit.temperature)
    assert (fit.sentences, fit.left_out, fit.at_bound) == (300, 0, False)
    losses = {}
    for temperature in (1.0, fit.temperature, fit.temperature * 1.05, fit.temperature / 1.05):
        crf.temperature.fill_(temperature)
        losses[temperature] = -crf.log_probability(emissions, gold).mean().item()
    assert (fit.before, fit.after) == pytest.approx((losses[1.0], losses[fit.temperature]), abs=1e-6)
    assert fit.after == pytest.approx(min(losses.values()), abs=1e-6)


def test_batches_and_shares_change_nothing(crf: ConditionalRandomField) -> None:
    emissions, tags = drawn(crf, 40, 2.0)
    mask = torch.ones(tags.shape, dtype=torch.bool)
    whole = fit_temperature(crf, [(emissions, tags, mask)])
    halves = [(emissions[:7], tags[:7], mask[:7]), (emissions[7:], tags[7:], mask[7:])]
    assert fit_temperature(crf, halves) == pytest.approx(whole)
    # two processes with the same sentences each
    doubled = fit_temperature(crf, [(emissions, tags, mask)], total=lambda sums: 2 * sums)
    assert doubled == pytest.approx(whole._replace(sentences=80))


def test_sentences_that_the_constraints_forbid_are_left_out(crf: ConditionalRandomField) -> None:
    emissions, tags = drawn(crf, 20, 2.0)
    mask = torch.ones(tags.shape, dtype=torch.bool)
    expected = fit_temperature(crf, [(emissions, tags, mask)])
    bad = torch.tensor([[2, 0, 0, 0]])
    found = fit_temperature(crf, [(emissions, tags, mask), (emissions[:1], bad, mask[:1])])
    assert found == pytest.approx(expected._replace(left_out=1))


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (torch.zeros(0, STEPS, dtype=torch.long), "no sentence to find a temperature by: received none"),
        (torch.full((2, STEPS), 2), "all 2 have tags that the model's constraints forbid"),
        (torch.ones(2, STEPS, 3, dtype=torch.bool), "no label of the 2 sentences says anything"),
    ],
)
def test_nothing_to_learn_from_is_said_and_leaves_the_temperature(
    crf: ConditionalRandomField, tags: torch.Tensor, message: str
) -> None:
    crf.temperature.fill_(1.5)
    mask = torch.ones(tags.shape[:2], dtype=torch.bool)
    with pytest.raises(TemperatureError, match=message):
        fit_temperature(crf, [(torch.randn(len(tags), STEPS, 3), tags, mask)] if len(tags) else [])
    assert crf.temperature == 1.5


def test_a_set_without_a_mistake_ends_at_the_bound(crf: ConditionalRandomField) -> None:
    emissions = 3 * torch.randn(10, STEPS, 3)
    best, _ = crf.decode(emissions)
    fit = fit_temperature(crf, [(emissions, best, torch.ones(best.shape, dtype=torch.bool))])
    assert fit.at_bound
    assert LOWEST <= fit.temperature < 1.01 * LOWEST
    assert not Fit(1.0, 1, 0, 1.0, 1.0).at_bound
    assert Fit(HIGHEST, 1, 0, 1.0, 1.0).at_bound


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_a_state_dict_with_a_temperature_that_cannot_be_is_refused(
    crf: ConditionalRandomField, temperature: float
) -> None:
    state = {**crf.state_dict(), "temperature": torch.tensor(temperature)}
    with pytest.raises(CrfInputError, match=r"temperature is .*, expected a number above 0"):
        crf.load_state_dict(state)
