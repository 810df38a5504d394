"""Every refusal of the CRF, with its text."""

import re

import pytest
import torch

from elmo_tagger.tagging.checks import CrfInputError
from elmo_tagger.tagging.crf import ConditionalRandomField
from elmo_tagger.tagging.posteriors import SpanRules
from elmo_tagger.tagging.schemes import TagSchemeError
from elmo_tagger.text.sentence import Span

CRF = ConditionalRandomField(num_tags=3, constraints=[(3, 0), (0, 1), (1, 0), (1, 1), (1, 4)])
ONES = torch.ones(2, 2, dtype=torch.bool)
LEGAL = torch.tensor([[0, 1], [0, 1]])
RULES = SpanRules.of(["O", "B-X", "I-X"], "BIO")


def emissions(value=0.0):
    scores = torch.zeros(2, 2, 3)
    scores[1, 0, 2] = value
    return scores


def labels(value):
    tags = LEGAL.clone()
    tags[1, 0] = value
    return tags


def allowed(*tags):
    sets = torch.zeros(2, 2, 3, dtype=torch.bool)
    sets[0] = True
    sets[1, 1] = True
    sets[1, 0, list(tags)] = True
    return sets


EMISSION = (
    "sentence 1 of the batch: the emission of token 0, tag 2 is {}, "
    "expected a number from -10000 to 10000; did training diverge?"
)
CASES = [
    (lambda: CRF.decode(emissions(torch.nan)), EMISSION.format("nan")),
    (lambda: CRF.decode_n_best(emissions(torch.nan), n=3), EMISSION.format("nan")),
    (lambda: CRF.marginals(emissions(torch.inf)), EMISSION.format("inf")),
    (lambda: CRF.decode(emissions(1.5e4)), EMISSION.format("15000")),
    (lambda: CRF.log_likelihood(emissions(-torch.inf), LEGAL), EMISSION.format("-inf")),
    (lambda: CRF.log_likelihood(emissions(-1e30), allowed(0, 1, 2)), EMISSION.format("-1e+30")),
    (lambda: CRF.log_likelihood(emissions(), labels(3)), "sentence 1 of the batch, token 0: tag id 3, expected 0 to 2"),
    (
        lambda: CRF.log_likelihood(emissions(), labels(-1)),
        "sentence 1 of the batch, token 0: tag id -1, expected 0 to 2",
    ),
    (lambda: CRF.log_likelihood(emissions(), allowed()), "sentence 1 of the batch, token 0: no tag is allowed"),
    (
        lambda: CRF.log_likelihood(emissions(), labels(2)),
        "sentence 1 of the batch (2 tokens): the tags break the constraints (score -inf)",
    ),
    (
        lambda: CRF.log_likelihood(emissions(), allowed(1, 2)),
        "sentence 1 of the batch (2 tokens): the tags break the constraints (score -inf)",
    ),
    (
        lambda: CRF.decode(torch.zeros(1, 1, 3)),
        "sentence 0 of the batch (1 tokens): the constraints allow no tag sequence (score -inf)",
    ),
    (
        lambda: CRF.decode_n_best(torch.zeros(1, 1, 3), n=2),
        "sentence 0 of the batch (1 tokens): the constraints allow no tag sequence (score -inf)",
    ),
    (
        lambda: CRF.marginals(torch.zeros(1, 1, 3)),
        "sentence 0 of the batch (1 tokens): the constraints allow no tag sequence (score -inf)",
    ),
    (
        lambda: CRF.decode(torch.zeros(2, 2, 4)),
        "expected floating-point emissions of shape (B, T, 3), received (2, 2, 4) of torch.float32",
    ),
    (
        lambda: CRF.decode(torch.zeros(2, 2, 3, dtype=torch.int64)),
        "expected floating-point emissions of shape (B, T, 3), received (2, 2, 3) of torch.int64",
    ),
    (
        lambda: CRF.decode(emissions(), ONES.long()),
        "expected a bool mask of shape (2, 2), received (2, 2) of torch.int64",
    ),
    (
        lambda: CRF.log_likelihood(emissions(), LEGAL.float()),
        "expected tags of shape (2, 2) and int64, or allowed tags of shape (2, 2, 3) and bool, "
        "received (2, 2) of torch.float32",
    ),
    (lambda: CRF.decode_n_best(emissions(), n=0), "expected n of at least 1, received 0"),
    (
        lambda: CRF.entity_posteriors(emissions(), spans=[[]], tags=["O", "B-X", "I-X"], scheme="BIO"),
        "expected spans for 2 sentences, received 1",
    ),
    (
        lambda: CRF.span_posteriors(emissions(), queries=torch.tensor([[0, 0, 1, 0], [1, 1, 3, 0]]), rules=RULES),
        "sentence 1 of the batch: tokens 1 to 3 (exclusive) are no span of real tokens "
        "in a batch of 2 sentences by 2 tokens",
    ),
    (lambda: ConditionalRandomField(num_tags=0), "a CRF needs at least one tag, received num_tags=0"),
    (
        lambda: ConditionalRandomField(num_tags=2, label_weights=[1.0]),
        "expected 2 label_weights, one a tag, received 1",
    ),
    (
        lambda: ConditionalRandomField(num_tags=2, weight_strategy="transition"),
        "unknown weight_strategy 'transition', expected one of emission, emission_transition, lannoy",
    ),
    (
        lambda: ConditionalRandomField(num_tags=2, constraints=[(0, 1), (1, 2)]),
        "constraint (1, 2): expected from 0 to 2 (2 is the start) and to 0 to 1 or 3 (the end)",
    ),
    (
        lambda: ConditionalRandomField(num_tags=3, label_weights=[1.0] * 3, weight_strategy="lannoy").log_likelihood(
            emissions(), allowed(1)
        ),
        'weight_strategy "lannoy" needs one tag a token, received sets of allowed tags',
    ),
]


@pytest.mark.parametrize(("call", "message"), CASES)
def test_message(call, message):
    with pytest.raises(CrfInputError, match=f"^{re.escape(message)}$"):
        call()


DIVERGED = {
    "log_likelihood": lambda crf: crf.log_likelihood(emissions(), LEGAL),
    "sets of tags": lambda crf: crf.log_likelihood(emissions(), allowed(0, 1, 2)),
    "decode": lambda crf: crf.decode(emissions()),
    "decode_n_best": lambda crf: crf.decode_n_best(emissions(), n=2),
    "marginals": lambda crf: crf.marginals(emissions()),
    "span_posteriors": lambda crf: crf.span_posteriors(emissions(), queries=torch.tensor([[0, 0, 1, 0]]), rules=RULES),
}


@pytest.mark.parametrize("call", DIVERGED)
@pytest.mark.parametrize(
    ("name", "place", "value"),
    [("transitions", (2, 1), torch.nan), ("end_transitions", (1,), torch.inf), ("start_transitions", (0,), 2e4)],
)
def test_a_field_whose_training_diverged(call, name, place, value):
    crf = ConditionalRandomField(num_tags=3)
    with torch.no_grad():
        getattr(crf, name)[place] = value
    message = f"the parameter {name}{list(place)} is {value:g}, expected a number up to 10000; did training diverge?"
    with pytest.raises(CrfInputError, match=f"^{re.escape(message)}$"):
        DIVERGED[call](crf)


def test_a_mask_that_is_false_everywhere_where_labels_are_required():
    nothing = torch.zeros(2, 2, dtype=torch.bool)
    message = "the mask is false everywhere: none of the 2 sentences has a token to label"
    for labelled in (LEGAL, allowed(0)):
        with pytest.raises(CrfInputError, match=f"^{message}$"):
            CRF.log_likelihood(emissions(), labelled, nothing)


def test_what_is_masked_is_not_refused():
    mask = torch.tensor([[True, True], [False, False]])
    assert CRF.log_likelihood(emissions(torch.nan), labels(99), mask)[1] == 0
    assert CRF.log_likelihood(emissions(), allowed(), mask)[1] == 0


def test_the_largest_emissions_are_not_refused():
    assert CRF.decode(torch.full((2, 2, 3), 1e4))[0].tolist() == LEGAL.tolist()


def test_parameters_may_forbid():
    """Other programs write minus infinity, or a very low number, where a transition is not allowed."""
    crf = ConditionalRandomField(num_tags=3)
    with torch.no_grad():
        crf.transitions[0] = -torch.inf
        crf.end_transitions[1] = -1e30
        crf.start_transitions[1:] = -torch.inf
    assert crf.decode(torch.zeros(1, 1, 3))[0].tolist() == [[0]]
    with pytest.raises(CrfInputError, match=r"\(2 tokens\): the constraints allow no tag sequence"):
        crf.decode(torch.zeros(1, 2, 3))


def test_a_tag_of_another_scheme_in_the_vocabulary():
    with pytest.raises(TagSchemeError, match=r"^tag 1 of the vocabulary, 'U-X', is no BIO tag$"):
        CRF.entity_posteriors(emissions(), spans=[[], []], tags=["O", "U-X", "I-X"], scheme="BIO")


def test_an_entity_of_an_unknown_type_has_probability_zero():
    spans = [[Span(1, 2, "X"), Span(1, 2, "Z")], []]
    found = CRF.entity_posteriors(emissions(), spans=spans, tags=["O", "B-X", "I-X"], scheme="BIO")
    assert found == [[pytest.approx(1.0), 0.0], []]
