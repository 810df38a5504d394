"""What must hold between results of the CRF, and at the edges of its input."""

import numpy as np
import pytest
import torch

from elmo_tagger.tagging import n_best, scaled, viterbi
from elmo_tagger.tagging.chain import Chain
from elmo_tagger.tagging.crf import PADDING_TAG, ConditionalRandomField
from elmo_tagger.tagging.log_space import LogSpacePartition, backward_messages, forward_messages
from elmo_tagger.tagging.partition import log_partition
from elmo_tagger.tagging.posteriors import Reading
from elmo_tagger.tagging.scaled import ScaledPartition, scaled_messages
from elmo_tagger.tagging.schemes import allowed_transitions, problems
from elmo_tagger.tagging.viterbi import (
    _running_scores,
    _running_scores_side_by_side,
    _small_running_scores,
    _stretches,
    _walk,
    best_paths,
)

TAGS = ["O", *(f"{letter}-{kind}" for kind in "XY" for letter in "BIUL")]
TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture
def crf():
    torch.manual_seed(1)
    return ConditionalRandomField(num_tags=len(TAGS), constraints=allowed_transitions(TAGS, "BIOUL"))


@pytest.fixture
def batch():
    torch.manual_seed(2)
    mask = torch.arange(20) < torch.tensor([20, 1, 18, 0, 3]).unsqueeze(1)
    return torch.randn(5, 20, len(TAGS)) * 3, mask


def everything(crf, emissions, mask):
    """Every result that has a row for each sentence."""
    paths, logs = crf.decode_n_best(emissions, mask, 3)
    best, scores = crf.decode(emissions, mask)
    likelihood = crf.log_likelihood(emissions, best.clamp(min=0), mask)
    return best, scores, paths, logs, likelihood, crf.marginals(emissions, mask)


def assert_same(left, right):
    for one, other in zip(left, right, strict=True):
        torch.testing.assert_close(one, other, **TOLERANCE)


def test_a_batch_is_its_sentences_one_by_one_without_padding(crf, batch):
    emissions, mask = batch
    together = everything(crf, emissions, mask)
    for row, length in enumerate(mask.sum(1).tolist()):
        alone = everything(crf, emissions[row : row + 1, :length], mask[row : row + 1, :length])
        cut = (
            together[0][row, :length],
            together[1][row],
            together[2][row, :, :length],
            together[3][row],
            together[4][row],
            together[5][row, :length],
        )
        assert_same([value.squeeze(0) for value in alone], cut)


def test_a_permuted_batch_gives_permuted_results(crf, batch):
    order = torch.tensor([3, 0, 4, 2, 1])
    moved = everything(crf, *(value[order] for value in batch))
    assert_same(moved, [value[order] for value in everything(crf, *batch)])


def test_gaps_in_the_mask_are_skipped(crf, batch):
    emissions, mask = batch
    spread = torch.zeros(5, 40, dtype=torch.bool)
    spread[:, 1::2] = mask
    wide = torch.full((5, 40, len(TAGS)), torch.nan)
    wide[:, 1::2] = emissions
    best, scores, paths, logs, likelihood, marginals = everything(crf, wide, spread)
    assert (best[:, ::2] == PADDING_TAG).all()
    assert_same(
        (best[:, 1::2], scores, paths[:, :, 1::2], logs, likelihood, marginals[:, 1::2]),
        everything(crf, emissions, mask),
    )


def test_no_mask_is_a_mask_of_ones(crf, batch):
    emissions = batch[0]
    ones = torch.ones(emissions.shape[:2], dtype=torch.bool)
    assert_same(everything(crf, emissions, None), everything(crf, emissions, ones))


def test_what_is_masked_changes_neither_results_nor_gradients(crf, batch):
    emissions, mask = batch
    gradients = []
    for filler in (0.0, torch.nan):
        leaf = emissions.masked_fill(~mask.unsqueeze(2), filler).requires_grad_()
        crf.zero_grad()
        crf.log_likelihood(leaf, crf.decode(leaf, mask)[0], mask).sum().backward()
        gradients.append((leaf.grad, crf.transitions.grad.clone(), crf.end_transitions.grad.clone()))
    assert_same(*gradients)
    assert (gradients[0][0][~mask] == 0).all()


def slowly(chain):
    return LogSpacePartition.apply(chain.emissions, chain.transitions, chain.start, chain.end, chain)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_the_fast_pass_and_the_one_in_log_space_agree(crf, batch, scale):
    emissions, mask = batch
    results = []
    for way in (log_partition, slowly):
        leaf = (emissions * scale).requires_grad_()
        crf.zero_grad()
        packing = crf._packed(leaf, mask)[0]
        chain = crf._chain(packing.pack(leaf), packing)
        total = way(chain)
        (total * torch.arange(1, 6)).sum().backward()
        results.append((total / scale, leaf.grad, crf.transitions.grad.clone(), crf.start_transitions.grad.clone()))
    assert_same(*results)


@pytest.mark.parametrize("scale", [2.0, 5.0, 10.0, 15.0])
def test_the_fast_pass_is_right_wherever_it_is_trusted(crf, scale):
    """Up to the edge of its range, against log space in float64."""
    torch.manual_seed(4)
    emissions = torch.randn(300, 12, len(TAGS)) * scale
    packing = crf._packed(emissions, None)[0]
    chain = crf._chain(packing.pack(emissions), packing)
    fast, trusted = ScaledPartition.apply(chain.emissions, chain.transitions, chain.start, chain.end, chain)
    slow = slowly(chain.double())
    assert trusted.any()
    assert scale < 10 or not trusted.all()
    torch.testing.assert_close(fast[trusted], slow[trusted], **TOLERANCE)
    exact = torch.autograd.grad(slow[trusted].sum(), crf.transitions, retain_graph=True)[0]
    torch.testing.assert_close(
        torch.autograd.grad(fast[trusted].sum(), crf.transitions)[0], exact, atol=1e-3, rtol=1e-5
    )


@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_both_ways_of_the_time_loop_agree(crf, batch, scale, monkeypatch):
    """NumPy's for small products, the readable one for large ones and devices; beyond its range, both say so."""
    packing, packed = crf._packed(batch[0] * scale, batch[1])
    with torch.no_grad():
        chain = crf._chain(packed, packing)
        found = scaled_messages(chain)
        monkeypatch.setattr(scaled, "ONE_THREAD", 0)
        expected = scaled_messages(chain)
    assert torch.equal(found.trusted, expected.trusted)
    kept = chain.real & expected.trusted
    assert kept.any()
    for name in ("alpha", "beta", "gamma", "overlap", "mass"):
        torch.testing.assert_close(getattr(found, name)[kept], getattr(expected, name)[kept], **TOLERANCE)


def test_fast_messages_are_distrusted_exactly_where_they_underflow():
    """Two tags that must alternate: the second sentence's emissions ask for the contrary, with 300 nats."""
    chain = Chain.build(
        emissions=torch.tensor([[[0.0, 0], [300, 0]], [[0, 0], [300, 0]], [[0, 0], [300, 0]]]),
        transitions=torch.tensor([[-torch.inf, 0.0], [0, -torch.inf]]),
        start=torch.zeros(2),
        end=torch.zeros(2),
        lengths=torch.tensor([3, 3]),
        full=True,
    )
    total, trusted = ScaledPartition.apply(chain.emissions, chain.transitions, chain.start, chain.end, chain)
    assert trusted.tolist() == [True, False]
    assert not scaled_messages(chain).trusted[1]
    expected = torch.tensor([2.0, 1.0]).log().double() + torch.tensor([0.0, -300.0])
    torch.testing.assert_close(log_partition(chain), expected, **TOLERANCE)
    assert total[0].item() == pytest.approx(expected[0].item())


def test_messages_in_log_space_meet_in_every_token(crf, batch):
    packing = crf._packed(batch[0][:1], batch[1][:1])[0]
    chain = crf._chain(packing.pack(batch[0][:1]), packing)
    alpha, _ = forward_messages(chain)
    marginals = (alpha + backward_messages(chain)).softmax(2).transpose(0, 1)
    torch.testing.assert_close(marginals, crf.marginals(batch[0][:1]), **TOLERANCE)


def test_large_emissions_never_beat_a_constraint(crf):
    emissions = torch.zeros(1, 6, len(TAGS))
    emissions[:, :, TAGS.index("I-X")] = 1e30
    path, score = crf.decode(emissions)
    assert not list(problems([TAGS[i] for i in path[0].tolist()], "BIOUL"))
    assert path[0].tolist() == [TAGS.index(tag) for tag in ["B-X", *["I-X"] * 4, "L-X"]]
    assert score.item() == pytest.approx(4e30)
    assert crf.marginals(emissions)[0, 0, TAGS.index("I-X")] == 0


@pytest.mark.parametrize(("size", "steps", "tags"), [(3, 1, 1), (2, 30, 1), (2, 3, 200), (1, 5000, 5), (2, 40, 9)])
def test_finite_loss_and_gradients_at_the_edges(size, steps, tags):
    torch.manual_seed(0)
    crf = ConditionalRandomField(num_tags=tags)
    emissions = (torch.randn(size, steps, tags) * 1e4).requires_grad_()
    gold = torch.randint(tags, (size, steps))
    likelihood = crf.log_likelihood(emissions, gold)
    likelihood.sum().backward()
    assert likelihood.isfinite().all()
    assert (likelihood <= 1e-3).all()
    for gradient in (emissions.grad, crf.transitions.grad, crf.start_transitions.grad, crf.end_transitions.grad):
        assert gradient.isfinite().all()
    best, score = crf.decode(emissions)
    again = crf.log_likelihood(emissions, best)
    assert (again >= likelihood).all()
    assert score.isfinite().all()
    # Each token has one tag: expected and true counts both sum to 1.
    torch.testing.assert_close(emissions.grad.sum(2), torch.zeros(size, steps), atol=1e-4, rtol=0)


@pytest.mark.parametrize("tags", [5, 200])
def test_long_sentences_keep_their_digits(tags):
    """5,000 independent tokens: the exact answers are those of log-softmaxes."""
    torch.manual_seed(0)
    crf = ConditionalRandomField(num_tags=tags, include_start_end_transitions=False)
    torch.nn.init.zeros_(crf.transitions)
    emissions, gold = (torch.randn(1, 5000, tags) * 10).requires_grad_(), torch.randint(tags, (1, 5000))
    exact = emissions.detach().double().log_softmax(2)
    found = crf.log_likelihood(emissions, gold)
    found.sum().backward()
    assert found.item() == pytest.approx(exact.gather(2, gold.unsqueeze(2)).sum().item(), rel=1e-6)
    right = torch.nn.functional.one_hot(gold, tags) - exact.exp()
    torch.testing.assert_close(emissions.grad, right.float(), atol=1e-5, rtol=0)
    assert torch.equal(crf.decode(emissions)[0], emissions.argmax(2))


@pytest.mark.parametrize("size", [1e19, 1e30, 1e38, 3.4e38])
@pytest.mark.parametrize("constrained", [True, False])
def test_any_finite_emissions_have_finite_losses_and_gradients(size, constrained):
    torch.manual_seed(0)
    constraints = allowed_transitions(TAGS, "BIOUL") if constrained else None
    crf = ConditionalRandomField(num_tags=len(TAGS), constraints=constraints)
    mask = torch.arange(12) < torch.tensor([12, 5, 1, 0]).unsqueeze(1)
    emissions = ((torch.rand(4, 12, len(TAGS)) * 2 - 1) * size).requires_grad_()
    worst = crf.decode(-emissions.detach(), mask)[0].clamp(min=0)  # a legal path far from the best
    likelihood = crf.log_likelihood(emissions, worst, mask)
    assert likelihood.isfinite().all()
    assert likelihood[3] == 0
    for loss in (likelihood.mean(), likelihood.sum()):
        assert loss.isfinite()
        crf.zero_grad()
        emissions.grad = None
        loss.backward(retain_graph=True)
        assert emissions.grad.isfinite().all()
        assert all(parameter.grad.isfinite().all() for parameter in crf.parameters())
    # Off the scale or not, the gradient is the true tag's count less the best one's.
    best, score = crf.decode(emissions, mask)
    counts = [torch.nn.functional.one_hot(path.clamp(min=0), len(TAGS)) for path in (worst, best)]
    torch.testing.assert_close(emissions.grad, ((counts[0] - counts[1]) * mask.unsqueeze(2)).float())
    assert score.isfinite().all()
    assert (crf.log_likelihood(emissions, best.clamp(min=0), mask) == 0).all()
    marginals = crf.marginals(emissions, mask)
    torch.testing.assert_close(marginals, (counts[1] * mask.unsqueeze(2)).float())
    paths, logs = crf.decode_n_best(emissions, mask, 2)
    assert torch.equal(paths[:, 0], best)
    assert logs[:3].isfinite().all()
    assert (logs[:3, 0] == 0).all()


def test_sentences_and_batches_without_tokens(crf):
    for size, steps in ((2, 3), (2, 0), (0, 3)):
        emissions, mask = torch.zeros(size, steps, len(TAGS)), torch.zeros(size, steps, dtype=torch.bool)
        path, score = crf.decode(emissions, mask)
        assert torch.equal(path, torch.full((size, steps), PADDING_TAG))
        assert torch.equal(score, torch.zeros(size))
        paths, logs = crf.decode_n_best(emissions, mask, 2)
        assert paths.shape == (size, 2, steps)
        assert logs.tolist() == [[0.0, -torch.inf]] * size
        if not mask.numel():  # with a mask that is false everywhere it is an error
            assert torch.equal(crf.log_likelihood(emissions, torch.zeros(size, steps).long(), mask), torch.zeros(size))
            assert torch.equal(crf.log_likelihood(emissions, torch.zeros(size, steps).long()), torch.zeros(size))
        assert torch.equal(crf.marginals(emissions, mask), torch.zeros(size, steps, len(TAGS)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_emissions_are_computed_in_float32(crf, batch, dtype):
    emissions, mask = batch[0].to(dtype), batch[1]
    expected = everything(crf, emissions.float(), mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = everything(crf, emissions, mask)
    assert_same(found, expected)
    assert found[4].dtype == torch.float32


@pytest.mark.parametrize("one_thread", [0, scaled.ONE_THREAD])
@pytest.mark.parametrize(("precision", "autocast"), [("medium", False), ("highest", True)])
def test_gradients_under_autocast_and_reduced_matrix_precision(
    crf, batch, precision, autocast, one_thread, monkeypatch
):
    emissions, mask = batch
    monkeypatch.setattr(scaled, "ONE_THREAD", one_thread)
    gold = crf.decode(emissions, mask)[0]

    def gradients():
        crf.zero_grad()
        crf.log_likelihood(emissions, gold, mask).sum().backward()
        return crf.transitions.grad.clone(), crf.start_transitions.grad.clone()

    expected = gradients()
    torch.set_float32_matmul_precision(precision)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            found = gradients()
    finally:
        torch.set_float32_matmul_precision("highest")
    assert_same(found, expected)


def test_ties_go_to_the_lowest_tag_from_the_last_token_back():
    crf = ConditionalRandomField(num_tags=3, constraints=[(i, j) for i in range(4) for j in (0, 1, 2, 4) if i != j])
    for parameter in crf.parameters():
        torch.nn.init.zeros_(parameter)
    assert crf.decode(torch.zeros(2, 5, 3))[0].tolist() == [[0, 1, 0, 1, 0]] * 2
    paths = crf.decode_n_best(torch.zeros(1, 3, 3), n=20)[0][0]
    expected = sorted((path for path in torch.cartesian_prod(*[torch.arange(3)] * 3).tolist()), key=lambda p: p[::-1])
    legal = [path for path in expected if path[0] != path[1] != path[2]]
    assert paths[: len(legal)].tolist() == legal
    assert (paths[len(legal) :] == PADDING_TAG).all()


@pytest.mark.parametrize("device", ["cpu", "as a device", "cuda"])
@pytest.mark.parametrize(("size", "tags"), [(1, 3), (3, 3), (40, 5), (3, 30), (40, 9)])
def test_ties_are_broken_alike_by_every_way_and_device(device, size, tags, monkeypatch):
    """Scores of 0 and 1 tie everywhere; whole numbers add up without rounding, so one answer is right."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    if device == "as a device":
        for module in (n_best, viterbi):
            monkeypatch.setattr(module, "on_host", lambda values: False)
    place = "cuda" if device == "cuda" else "cpu"
    torch.manual_seed(3)
    crf = ConditionalRandomField(num_tags=tags)
    for parameter in crf.parameters():
        parameter.data.random_(2)
    emissions, mask = torch.randint(2, (size, 6, tags)).float(), torch.rand(size, 6) < 0.8
    found = crf.to(place).decode(emissions.to(place), mask.to(place))[0].cpu()
    several = crf.decode_n_best(emissions.to(place), mask.to(place), 4)[0].cpu()
    crf.cpu()
    for row in range(size):
        expected = _stable_n_best(emissions[row, mask[row]].tolist(), crf, 4)
        assert found[row, mask[row]].tolist() == expected[0]
        assert several[row, : len(expected), mask[row]].tolist() == expected


def _stable_n_best(emissions, crf, n):
    """Lists of the n best ways to each tag, sorted by score, then by the tag before, then by rank there."""
    if not emissions:
        return [[]]
    start, moves, end = crf.start_transitions.tolist(), crf.transitions.tolist(), crf.end_transitions.tolist()
    lists = [[(score + emissions[0][tag], [tag])] for tag, score in enumerate(start)]
    for emission in emissions[1:]:
        lists = [
            sorted(((s + moves[i][j] + emission[j], [*path, j]) for i, ways in enumerate(lists) for s, path in ways),
                   key=lambda way: -way[0])[:n]
            for j in range(len(start))
        ]  # fmt: skip
    ends = [(score + end[tag], path) for tag, ways in enumerate(lists) for score, path in ways]
    return [path for _, path in sorted(ends, key=lambda way: -way[0])[:n]]


@pytest.mark.parametrize("slab", [viterbi.SLAB, 100])
def test_all_ways_of_decoding_agree(crf, batch, slab, monkeypatch):
    """The readable one that other devices take; NumPy's; sentences side by side, and dropped where tables are large."""
    monkeypatch.setattr(viterbi, "SLAB", slab)
    for mask in (None, batch[1]):
        packing = crf._packed(batch[0], mask)[0]
        with torch.no_grad():
            chain = crf._chain(packing.pack(batch[0]), packing)
        chain = chain.rows(chain.lengths.argsort(descending=True, stable=True))
        scores, taken = _running_scores(chain)
        real = chain.real.numpy()
        for way in (_small_running_scores, _running_scores_side_by_side):
            other_scores, other_taken = (np.asarray(each) for each in way(chain))
            assert np.array_equal(scores.numpy()[real], other_scores[real])
            assert np.array_equal(taken.numpy(), other_taken)
        path, total = best_paths(chain)
        final = (chain.at_last(scores) + chain.end).argmax(1)
        assert torch.equal(_walk(chain, scores, final, chain.last)[chain.real], path[chain.real])
        many_paths, many_totals = best_paths(chain.rows(torch.arange(5).repeat(8)))
        assert torch.equal(many_paths[:, -5:][chain.real], path[chain.real])
        assert torch.equal(many_totals[-5:], total)


def test_large_tables_drop_sentences_that_have_ended(crf, batch, monkeypatch):
    packing = crf._packed(*batch)[0]
    chain = crf._chain(packing.pack(batch[0]), packing)
    chain = chain.rows(chain.lengths.argsort(descending=True, stable=True))
    assert list(_stretches(chain)) == [(0, 20, 5)]
    monkeypatch.setattr(viterbi, "SLAB", 100)
    # Lengths are 20, 18, 3, 1 and 0.
    assert list(_stretches(chain)) == [(0, 1, 5), (1, 3, 3), (3, 18, 2), (18, 20, 1)]


@pytest.mark.filterwarnings("error")
def test_scores_of_padding_are_never_left_unset(crf, batch, monkeypatch):
    """NumPy warns of sums of what unset memory may hold."""
    monkeypatch.setattr(viterbi, "SLAB", 100)
    packing = crf._packed(*batch)[0]
    with torch.no_grad():
        chain = crf._chain(packing.pack(batch[0]), packing)
    chain = chain.rows(chain.lengths.argsort(descending=True, stable=True))
    torch.use_deterministic_algorithms(True)  # which also fills new memory with NaN
    try:
        for way in (_running_scores, _running_scores_side_by_side):
            assert not way(chain)[0].isnan().any()
    finally:
        torch.use_deterministic_algorithms(False)


def test_posteriors_of_the_types_at_a_place_and_none_sum_to_one(crf, batch):
    """Of the sequences of one token, each holds an entity or is O."""
    emissions = batch[0][:, :1]
    reading = Reading.of(TAGS, "BIOUL")
    queries = torch.tensor([(row, 0, 1, kind) for row in range(5) for kind in range(2)])
    found = crf.span_posteriors(emissions, queries=queries, reading=reading).view(5, 2).sum(1)
    torch.testing.assert_close(found + crf.marginals(emissions)[:, 0, 0], torch.ones(5), **TOLERANCE)


def test_saved_and_loaded_the_results_are_the_same(crf, batch):
    other = ConditionalRandomField(num_tags=len(TAGS))
    other.load_state_dict(crf.state_dict())
    for one, two in zip(everything(crf, *batch), everything(other, *batch), strict=True):
        assert torch.equal(one, two)


def test_under_inference_mode(crf, batch):
    with torch.inference_mode():
        found = everything(crf, batch[0].clone(), batch[1])
    assert_same(found, everything(crf, *batch))
