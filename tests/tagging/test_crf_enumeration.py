"""Every quantity of the CRF against the enumeration of all tag sequences."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.tagging.crf import PADDING_TAG, ConditionalRandomField
from elmo_tagger.tagging.schemes import SCHEMES, allowed_transitions, join_tag, problems, tags_to_spans
from elmo_tagger.text.sentence import Span
from tests.reference.crf import EnumeratedCrf, contains

TOLERANCE = 1e-5  # float32 arithmetic against Python's floats, on numbers of size 1


class Case:
    """A random batch with gaps in its mask, and the enumeration of each of its sentences."""

    def __init__(self, *, scheme="BIO", constrained=True, scale=1.0, seed=0, size=3, steps=4, kinds="XY", cut=5):
        torch.manual_seed(seed)
        self.scheme = scheme
        # Emissions of 1e4 have a rounding error of 1e-3 in float32 before anything is computed.
        self.tolerance = TOLERANCE + 4 * 2**-23 * scale
        # The first five tags of some schemes leave one type without its closing letter: it is then unreachable.
        self.tags = ["O", *(join_tag(letter, kind) for kind in kinds for letter in SCHEMES[scheme].letters)][:cut]
        self.allowed = allowed_transitions(self.tags, scheme) if constrained else None
        self.crf = ConditionalRandomField(num_tags=len(self.tags), constraints=self.allowed)
        self.emissions = (torch.randn(size, steps, len(self.tags)) * scale).clamp(-1e4, 1e4)
        self.mask = torch.rand(size, steps) < 0.8
        self.mask[0] = True

    def sentences(self):
        """Row, positions of its real tokens, enumeration; rows without tokens left out."""
        for row, mask in enumerate(self.mask):
            positions = mask.nonzero().squeeze(1).tolist()
            if positions:
                yield row, positions, self.enumeration(self.emissions[row, positions].tolist())

    def enumeration(self, emissions):
        crf = self.crf
        return EnumeratedCrf(
            emissions,
            crf.transitions.tolist(),
            crf.start_transitions.tolist(),
            crf.end_transitions.tolist(),
            None if self.allowed is None else set(self.allowed),
        )


cases = st.builds(
    Case,
    scheme=st.sampled_from(sorted(SCHEMES)),
    constrained=st.booleans(),
    scale=st.sampled_from([0.0, 1.0, 50.0, 1e4]),
    seed=st.integers(0, 10**6),
    steps=st.sampled_from([1, 2, 2, 3, 3, 4]),
)
few = settings(max_examples=20, deadline=None)


@few
@given(cases)
def test_decoding(case):
    path, score = case.crf.decode(case.emissions, case.mask)
    assert (path[~case.mask] == PADDING_TAG).all()
    for row, positions, every in case.sentences():
        best = path[row, positions].tolist()
        # Equal up to float32 addition: a path that is better by less than a rounding error may come second.
        assert every.scores[tuple(best)] == pytest.approx(every.scores[every.best(1)[0]], rel=1e-6, abs=case.tolerance)
        assert score[row].item() == pytest.approx(every.score(best), rel=1e-6, abs=case.tolerance)
        if case.allowed is not None:
            assert not list(problems([case.tags[i] for i in best], case.scheme))


@few
@given(cases, st.integers(1, 7))
def test_n_best(case, n):
    paths, logs = case.crf.decode_n_best(case.emissions, case.mask, n)
    assert torch.equal(paths[:, 0], case.crf.decode(case.emissions, case.mask)[0])
    for row, positions, every in case.sentences():
        best = every.best(n)
        found = [tuple(path[positions].tolist()) for path in paths[row, : len(best)]]
        assert len(set(found)) == len(best)
        expected = [every.scores[path] - every.log_sum() for path in best]
        assert logs[row, : len(best)].tolist() == pytest.approx(expected, rel=1e-5, abs=case.tolerance)
        assert [every.scores[path] - every.log_sum() for path in found] == pytest.approx(
            expected, rel=1e-5, abs=case.tolerance
        )
        assert (logs[row, len(best) :] == -torch.inf).all()
        assert (paths[row, len(best) :] == PADDING_TAG).all()


@few
@given(cases)
def test_marginals(case):
    marginals = case.crf.marginals(case.emissions, case.mask)
    assert (marginals[~case.mask] == 0).all()
    for row, positions, every in case.sentences():
        expected = [[every.marginal(step, tag) for tag in range(every.size)] for step in range(len(positions))]
        torch.testing.assert_close(marginals[row, positions], torch.tensor(expected), atol=TOLERANCE, rtol=0)


@settings(max_examples=10, deadline=None)
@given(cases)
def test_entity_posteriors(case):
    for row, positions, every in case.sentences():
        inner = [Span(i, j, kind) for i, j in itertools.combinations(range(len(positions) + 1), 2) for kind in "XYZ"]
        outer = [Span(positions[span.start], positions[span.end - 1] + 1, span.type) for span in inner]
        spans = [outer if index == row else [] for index in range(len(case.mask))]
        found = case.crf.entity_posteriors(case.emissions, case.mask, spans=spans, tags=case.tags, scheme=case.scheme)
        expected = [every.posterior(span, case.tags, case.scheme) for span in inner]
        assert found[row] == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("scheme", ["BIO", "BIOUL", "IOB1"])
def test_entity_posteriors_where_small_scores_decide_beside_large_ones(scheme):
    """The first token wants a tag that it may not have; the others' scores and the transitions are of size 1."""
    case = Case(scheme=scheme, seed=9, steps=3)
    forbidden = next(tag for tag in range(5) if (5, tag) not in case.allowed)
    case.emissions[:, 0, forbidden] = 1e4
    for row, positions, every in case.sentences():
        inner = [Span(i, j, kind) for i, j in itertools.combinations(range(len(positions) + 1), 2) for kind in "XY"]
        outer = [Span(positions[span.start], positions[span.end - 1] + 1, span.type) for span in inner]
        spans = [outer if index == row else [] for index in range(len(case.mask))]
        found = case.crf.entity_posteriors(case.emissions, case.mask, spans=spans, tags=case.tags, scheme=scheme)
        expected = [every.posterior(span, case.tags, scheme) for span in inner]
        assert found[row] == pytest.approx(expected, abs=TOLERANCE)
        assert any(0.01 < probability < 0.99 for probability in expected) or row > 0


def test_the_oracles_reading_is_that_of_the_schemes():
    """Written apart, they agree on every sequence of four tags."""
    for scheme in SCHEMES:
        tags = ["O", *(join_tag(letter, kind) for kind in "XY" for letter in SCHEMES[scheme].letters)]
        inner = [Span(i, j, kind) for i, j in itertools.combinations(range(4), 2) for kind in "XY"]
        for sequence in itertools.product(tags, repeat=3):
            found = set(tags_to_spans(sequence, scheme, strict=False))
            assert found == {span for span in inner if contains(sequence, span, scheme)}


@few
@given(cases, st.randoms(use_true_random=False))
def test_likelihood_of_tags_and_of_sets_of_tags(case, random):
    single = torch.full(case.mask.shape, -7)  # what is masked may hold anything
    sets = torch.zeros(*case.mask.shape, len(case.tags), dtype=torch.bool)
    expected, expected_sets = {}, {}
    for row, positions, every in case.sentences():
        path = random.choice(list(every.scores))
        extra = [{tag, random.randrange(every.size)} for tag in path]
        single[row, positions] = torch.tensor(path)
        for position, tags in zip(positions, extra, strict=True):
            sets[row, position, list(tags)] = True
        expected[row] = every.log_likelihood([{tag} for tag in path])
        expected_sets[row] = every.log_likelihood(extra)
    for labels, wanted in ((single, expected), (sets, expected_sets)):
        found = case.crf.log_likelihood(case.emissions, labels, case.mask)
        for row in range(len(case.mask)):
            assert found[row].item() == pytest.approx(wanted.get(row, 0.0), rel=1e-5, abs=case.tolerance)


def test_training_without_constraints_counts_every_sequence():
    case = Case(scheme="BIOUL", seed=3)
    free = ConditionalRandomField(num_tags=5, constraints=case.allowed, constrain_training=False)
    free.load_state_dict(case.crf.state_dict())
    case.allowed = None
    tags = torch.randint(5, case.mask.shape)
    found = free.log_likelihood(case.emissions, tags, case.mask)
    for row, positions, every in case.sentences():
        expected = every.log_likelihood([{tag} for tag in tags[row, positions].tolist()])
        assert found[row].item() == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("scale", [1.0, 200.0])
@pytest.mark.parametrize("constrained", [True, False])
def test_gradients_are_those_of_finite_differences(constrained, scale):
    """Scale 1 takes the scaled messages; 200 the ones in log space."""
    case = Case(constrained=constrained, scale=scale, steps=3)
    crf = case.crf.double()
    emissions = case.emissions.double().requires_grad_()
    path = crf.decode(emissions.detach(), case.mask)[0].clamp(min=0)
    weights = torch.arange(1.0, 4.0, dtype=torch.float64)

    def weighted(emissions, transitions, start, end):
        parameters = {"transitions": transitions, "start_transitions": start, "end_transitions": end}
        inputs = (emissions, path, case.mask)
        return torch.func.functional_call(_Likelihood(crf), {f"crf.{k}": v for k, v in parameters.items()}, inputs) @ (
            weights
        )

    assert torch.autograd.gradcheck(weighted, (emissions, crf.transitions, crf.start_transitions, crf.end_transitions))


class _Likelihood(torch.nn.Module):
    """functional_call wants a module whose forward is the function."""

    def __init__(self, crf):
        super().__init__()
        self.crf = crf

    def forward(self, emissions, tags, mask):
        return self.crf.log_likelihood(emissions, tags, mask)
