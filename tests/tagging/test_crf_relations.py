"""What must hold between results of the CRF, and at the edges of its input."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from elmo_tagger.tagging import forward_backward
from elmo_tagger.tagging.crf import PADDING_TAG, ConditionalRandomField
from elmo_tagger.tagging.forward_backward import LogMessages
from elmo_tagger.tagging.posteriors import SpanRules
from elmo_tagger.tagging.schemes import allowed_transitions, problems
from elmo_tagger.text.sentence import Span

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


def likelihood_and_gradients(crf, emissions, gold, mask):
    leaf = emissions.clone().requires_grad_()
    crf.zero_grad()
    likelihood = crf.log_likelihood(leaf, gold, mask)
    likelihood.sum().backward()
    return likelihood.detach(), leaf.grad, *(part.grad.clone() for part in crf.parameters())


@pytest.mark.parametrize("scale", [1.0, 8.0, 40.0])
@pytest.mark.parametrize("sets", [False, True])
def test_numbers_and_logarithms_give_the_same_likelihood(crf, batch, scale, sets, monkeypatch):
    emissions, mask = batch[0] * scale, batch[1]
    gold = crf.decode(batch[0] * 0.5, mask)[0].clamp(min=0)
    if sets:
        gold = torch.nn.functional.one_hot(gold, len(TAGS)).bool()
        gold[:, ::3] = True
    found = likelihood_and_gradients(crf, emissions, gold, mask)
    monkeypatch.setattr(forward_backward, "messages_of", lambda chain: LogMessages.of(chain))
    # Sums of thousands of nats in float32.
    for one, other in zip(found, likelihood_and_gradients(crf, emissions, gold, mask), strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("far", [100.0, 150.0, 400.0, 1e4])
def test_no_weight_is_lost_where_scores_are_far_apart(far):
    """Two tags that must alternate, and emissions that ask for the contrary: one sequence of two is all that counts."""
    crf = ConditionalRandomField(num_tags=2, constraints=[(2, 0), (2, 1), (0, 1), (1, 0), (0, 3), (1, 3)])
    for parameter in crf.parameters():
        torch.nn.init.zeros_(parameter)
    emissions = torch.tensor([[[0.0, far], [0.0, far], [0.0, far]]])
    found = crf.log_likelihood(emissions, torch.tensor([[0, 1, 0]]))
    assert found.item() == pytest.approx(-far, rel=1e-6)
    crf.log_likelihood(emissions, torch.tensor([[1, 0, 1]])).backward()
    assert crf.marginals(emissions)[0, 1].tolist() == pytest.approx([1.0, 0.0])
    assert crf.transitions.grad.tolist() == [[0, 0], [0, 0]]
    assert crf.entity_posteriors(emissions, spans=[[Span(1, 2, "X")]], tags=["U-X", "O"], scheme="BIOUL") == [[1.0]]


def test_large_emissions_never_beat_a_constraint(crf):
    emissions = torch.zeros(1, 6, len(TAGS))
    emissions[:, :, TAGS.index("I-X")] = 1e4
    path, score = crf.decode(emissions)
    assert not list(problems([TAGS[i] for i in path[0].tolist()], "BIOUL"))
    assert path[0].tolist() == [TAGS.index(tag) for tag in ["B-X", *["I-X"] * 4, "L-X"]]
    assert score.item() == pytest.approx(4e4, abs=10)
    assert crf.marginals(emissions)[0, 0, TAGS.index("I-X")] == 0


@pytest.mark.parametrize(("size", "steps", "tags"), [(3, 1, 1), (2, 30, 1), (2, 3, 200), (1, 5000, 5), (2, 40, 9)])
def test_finite_loss_and_gradients_at_the_edges(size, steps, tags):
    torch.manual_seed(0)
    crf = ConditionalRandomField(num_tags=tags)
    emissions = ((torch.rand(size, steps, tags) * 2 - 1) * 1e4).requires_grad_()
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


@pytest.mark.parametrize("constrained", [True, False])
def test_the_largest_emissions_have_finite_losses_and_gradients(constrained):
    torch.manual_seed(0)
    constraints = allowed_transitions(TAGS, "BIOUL") if constrained else None
    crf = ConditionalRandomField(num_tags=len(TAGS), constraints=constraints)
    mask = torch.arange(12) < torch.tensor([12, 5, 1, 0]).unsqueeze(1)
    emissions = (torch.rand(4, 12, len(TAGS)) * 2 - 1) * 1e4
    worst = crf.decode(-emissions, mask)[0].clamp(min=0)  # a legal path far from the best
    found = likelihood_and_gradients(crf, emissions, worst, mask)
    assert all(part.isfinite().all() for part in found)
    assert found[0][3] == 0
    # So far apart, the gradient is the true tag's count less the best one's.
    best, score = crf.decode(emissions, mask)
    counts = [torch.nn.functional.one_hot(path.clamp(min=0), len(TAGS)) for path in (worst, best)]
    torch.testing.assert_close(found[1], ((counts[0] - counts[1]) * mask.unsqueeze(2)).float())
    assert score.isfinite().all()
    torch.testing.assert_close(crf.log_likelihood(emissions, best.clamp(min=0), mask), torch.zeros(4), **TOLERANCE)
    torch.testing.assert_close(crf.marginals(emissions, mask), (counts[1] * mask.unsqueeze(2)).float())


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


@pytest.mark.parametrize(("precision", "autocast"), [("medium", False), ("highest", True)])
def test_gradients_under_autocast_and_reduced_matrix_precision(crf, batch, precision, autocast):
    emissions, mask = batch
    gold = crf.decode(emissions, mask)[0]
    expected = likelihood_and_gradients(crf, emissions, gold, mask)
    torch.set_float32_matmul_precision(precision)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            found = likelihood_and_gradients(crf, emissions, gold, mask)
    finally:
        torch.set_float32_matmul_precision("highest")
    assert_same(found, expected)


def alternating():
    """Three tags of which no two equal ones may follow each other, and scores that tie everywhere."""
    crf = ConditionalRandomField(num_tags=3, constraints=[(i, j) for i in range(4) for j in (0, 1, 2, 4) if i != j])
    for parameter in crf.parameters():
        torch.nn.init.zeros_(parameter)
    return crf


def test_ties_go_to_the_lowest_tag_from_the_last_token_back():
    assert alternating().decode(torch.zeros(2, 5, 3))[0].tolist() == [[0, 1, 0, 1, 0]] * 2


def test_among_equal_sequences_each_is_found_once():
    paths, logs = alternating().decode_n_best(torch.zeros(2, 3, 3), n=20)
    legal = [path for path in torch.cartesian_prod(*[torch.arange(3)] * 3).tolist() if path[0] != path[1] != path[2]]
    for row in range(2):
        assert sorted(paths[row, : len(legal)].tolist()) == legal
        assert (paths[row, len(legal) :] == PADDING_TAG).all()
        assert logs[row, : len(legal)].exp().tolist() == pytest.approx([1 / len(legal)] * len(legal))
        assert (logs[row, len(legal) :] == -torch.inf).all()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize(("size", "tags"), [(1, 3), (40, 5), (3, 30)])
def test_ties_are_broken_alike_in_batches_of_every_shape_and_on_every_device(device, size, tags):
    """Scores of 0 and 1 tie everywhere; whole numbers add up without rounding, so one answer is right."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    torch.manual_seed(3)
    crf = ConditionalRandomField(num_tags=tags)
    for parameter in crf.parameters():
        parameter.data.random_(2)
    emissions, mask = torch.randint(2, (size, 6, tags)).float(), torch.rand(size, 6) < 0.8
    found = crf.to(device).decode(emissions.to(device), mask.to(device))[0].cpu()
    several, logs = (part.cpu() for part in crf.decode_n_best(emissions.to(device), mask.to(device), 4))
    crf.cpu()
    for row in range(size):
        best = n_best_by_lists(emissions[row, mask[row]].tolist(), crf, 4)
        paths = several[row, : len(best), mask[row]]
        assert found[row, mask[row]].tolist() == paths[0].tolist() == best[0][1]
        assert len({tuple(path) for path in paths.tolist()}) == len(best)
        expected = [score - best[0][0] for score, _ in best]
        assert (logs[row, : len(best)] - logs[row, 0]).tolist() == pytest.approx(expected, abs=1e-5)


def n_best_by_lists(emissions, crf, n):
    """Score and tags of the n best, by lists of the n best ways to each tag, the tag before the lower among equals."""
    if not emissions:
        return [(0.0, [])]
    start, moves, end = crf.start_transitions.tolist(), crf.transitions.tolist(), crf.end_transitions.tolist()
    lists = [[(score + emissions[0][tag], [tag])] for tag, score in enumerate(start)]
    for emission in emissions[1:]:
        lists = [
            sorted(((s + moves[i][j] + emission[j], [*path, j]) for i, ways in enumerate(lists) for s, path in ways),
                   key=lambda way: -way[0])[:n]
            for j in range(len(start))
        ]  # fmt: skip
    ends = [(score + end[tag], path) for tag, ways in enumerate(lists) for score, path in ways]
    return sorted(ends, key=lambda way: -way[0])[:n]


class Looks(TorchDispatchMode):
    """Counts the operations that look at a value, for which a device must have finished everything before."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        looks = ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::masked_select")
        self.seen += function._schema.name in looks
        return function(*args, **(kwargs or {}))


CALLS = {
    "likelihood": lambda crf, emissions, mask: crf.log_likelihood(
        emissions.requires_grad_(), torch.zeros(mask.shape).long(), mask
    ).sum().backward(),
    "decode": lambda crf, emissions, mask: crf.decode(emissions, mask),
    "n best": lambda crf, emissions, mask: crf.decode_n_best(emissions, mask, 4),
    "marginals": lambda crf, emissions, mask: crf.marginals(emissions, mask),
    "posteriors": lambda crf, emissions, mask: crf.span_posteriors(
        emissions, mask, queries=torch.tensor([[0, 1, 3, 0], [2, 0, 1, 1]]), rules=SpanRules.of(TAGS, "BIOUL")
    ),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_no_loop_over_tokens_waits_for_a_device(crf, batch, call):
    """As many looks at values for twelve tokens as for four."""
    seen = []
    for steps in (4, 12):
        with Looks() as looks:
            CALLS[call](crf, batch[0][[0, 2, 0], :steps], batch[1][[0, 2, 0], :steps])
        seen.append(looks.seen)
    assert seen[0] == seen[1]
    assert 0 < seen[0] <= (2 if call != "posteriors" else 4)


@pytest.mark.parametrize("temperature", [0.5, 1.7, 30.0])
def test_temperature_divides_all_scores_and_changes_no_tag(crf, batch, temperature):
    emissions, mask = batch
    cooler = ConditionalRandomField(num_tags=len(TAGS))
    cooler.load_state_dict(crf.state_dict())
    with torch.no_grad():
        for parameter in cooler.parameters():
            parameter /= temperature
    expected = everything(cooler, emissions / temperature, mask)
    before = crf.decode(emissions, mask)
    likelihood = crf.log_likelihood(emissions, before[0].clamp(min=0), mask)
    crf.temperature.fill_(temperature)
    best, scores, paths, logs, unchanged, marginals = everything(crf, emissions, mask)
    assert_same((best, scores, unchanged), (*before, likelihood))
    assert_same((best, paths, logs, marginals), (expected[0], *expected[2:4], expected[5]))
    spans = {"spans": [[Span(0, 1, "X"), Span(0, 2, "Y")], [], [Span(1, 3, "X")], [], []]}
    of = {"tags": TAGS, "scheme": "BIOUL", **spans}
    found = crf.entity_posteriors(emissions, mask, **of)
    for one, other in zip(found, cooler.entity_posteriors(emissions / temperature, mask, **of), strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_a_temperature_is_saved_and_an_old_state_dict_has_none(crf, batch):
    assert "temperature" not in crf.state_dict()
    expected = crf.marginals(*batch)
    crf.temperature.fill_(2.0)
    assert not torch.equal(crf.marginals(*batch), expected)
    other = ConditionalRandomField(num_tags=len(TAGS))
    other.load_state_dict(crf.state_dict())
    assert torch.equal(other.marginals(*batch), crf.marginals(*batch))
    crf.temperature.fill_(1.0)
    other.load_state_dict(crf.state_dict())
    assert torch.equal(other.marginals(*batch), expected)


def test_posteriors_of_the_types_at_a_place_and_none_sum_to_one(crf, batch):
    """Of the sequences of one token, each holds an entity or is O."""
    emissions = batch[0][:, :1]
    rules = SpanRules.of(TAGS, "BIOUL")
    queries = torch.tensor([(row, 0, 1, kind) for row in range(5) for kind in range(2)])
    found = crf.span_posteriors(emissions, queries=queries, rules=rules).view(5, 2).sum(1)
    torch.testing.assert_close(found + crf.marginals(emissions)[:, 0, 0], torch.ones(5), **TOLERANCE)


class Work(TorchDispatchMode):
    """Counts the numbers that operations return."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.numbers += result.numel() if isinstance(result, torch.Tensor) else 0
        return result


def test_one_long_entity_costs_the_others_nothing(crf):
    """Twice the tokens, in an entity twice as long and in twice as many short ones, are twice the work."""
    rules = SpanRules.of(TAGS, "BIOUL")
    work = []
    for tokens in (100, 200):
        emissions, half = torch.randn(1, tokens, len(TAGS)), tokens // 2
        short = [(0, place, place + 1, 1) for place in range(half, tokens)]
        queries = torch.tensor([*short[:3], (0, 0, half, 0), *short[3:]])
        with Work() as done:
            together = crf.span_posteriors(emissions, queries=queries, rules=rules)
        work.append(done.numbers)
        alone = [crf.span_posteriors(emissions, queries=query.unsqueeze(0), rules=rules) for query in queries[2:5]]
        torch.testing.assert_close(together[2:5], torch.cat(alone), **TOLERANCE)
    assert work[1] < 2.5 * work[0]


def test_saved_and_loaded_the_results_are_the_same(crf, batch):
    other = ConditionalRandomField(num_tags=len(TAGS))
    other.load_state_dict(crf.state_dict())
    for one, two in zip(everything(crf, *batch), everything(other, *batch), strict=True):
        assert torch.equal(one, two)


def test_under_inference_mode(crf, batch):
    with torch.inference_mode():
        found = everything(crf, batch[0].clone(), batch[1])
    assert_same(found, everything(crf, *batch))
