"""How often the CRF waits for a device: once a call."""

import copy

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from elmo_tagger.tagging import crf as crf_module
from elmo_tagger.tagging import extremes, n_best, packing, scaled, viterbi
from elmo_tagger.tagging.checks import CrfInputError
from elmo_tagger.tagging.crf import PADDING_TAG, ConditionalRandomField
from elmo_tagger.tagging.posteriors import Reading
from elmo_tagger.tagging.schemes import allowed_transitions

TAGS = ["O", *(f"{letter}-{kind}" for kind in "XY" for letter in "BIUL")]
MODULES = (extremes, n_best, packing, scaled, viterbi)  # those that go other ways on the host
LOOKS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::masked_select")


@pytest.fixture
def crf():
    torch.manual_seed(1)
    return ConditionalRandomField(num_tags=len(TAGS), constraints=allowed_transitions(TAGS, "BIOUL"))


def batch(device="cpu"):
    torch.manual_seed(2)
    mask = torch.arange(12, device=device) < torch.tensor([12, 1, 9, 0], device=device).unsqueeze(1)
    return torch.randn(4, 12, len(TAGS), device=device), mask


class Unread:
    """Stands for what was copied from a fake device: a batch in which nothing is unusual."""

    def __init__(self, values):
        self.values = values

    def tolist(self):
        return [0] * self.values.numel()

    def item(self):
        return 0

    def __getitem__(self, index):
        return Unread(self.values[index])

    def view_as(self, other):
        return other


class Looks(TorchDispatchMode):
    """Notes the operations that have to wait for their values."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name, target = function._schema.name, (kwargs or {}).get("device")
        leaves = name == "aten::_to_copy" and target is not None and args[0].device.type != torch.device(target).type
        if name in LOOKS or leaves:
            self.seen.append(name)
        return function(*args, **(kwargs or {}))


CALLS = {
    "log_likelihood": lambda crf, emissions, mask, gold: crf.log_likelihood(emissions, gold, mask),
    "sets of tags": lambda crf, emissions, mask, gold: crf.log_likelihood(
        emissions, torch.ones_like(emissions, dtype=torch.bool), mask
    ),
    "decode": lambda crf, emissions, mask, gold: crf.decode(emissions, mask),
    "evaluate": lambda crf, emissions, mask, gold: crf.evaluate(emissions, gold, mask, gold=gold),
}


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("call", CALLS)
def test_one_copy_from_a_cuda_device(crf, monkeypatch, call, masked):
    """A fake device knows shapes alone: whatever looks at a value of it raises."""
    copies = []

    def to_host(values):
        copies.append(values)
        return Unread(values)

    for module in (crf_module, extremes):
        monkeypatch.setattr(module, "to_host", to_host)
    with FakeTensorMode(allow_non_fake_inputs=True):
        crf = copy.copy(crf)
        crf._parameters = {
            k: torch.nn.Parameter(torch.empty_like(v, device="cuda")) for k, v in crf._parameters.items()
        }
        crf._buffers = {k: torch.empty_like(v, device="cuda") for k, v in crf._buffers.items()}
        emissions, mask = batch("cuda")
        gold = torch.zeros(mask.shape, dtype=torch.int64, device="cuda")
        with Looks() as looks:
            result = CALLS[call](crf, emissions, mask if masked else None, gold)
        assert looks.seen == []
        assert (result if isinstance(result, torch.Tensor) else result[0]).device.type == "cuda"
        with pytest.raises(Exception, match="_local_scalar_dense"):  # the test can fail
            mask.any().item()
        with Looks() as looks:
            mask.cpu()
        assert looks.seen == ["aten::_to_copy"]
    assert len(copies) == 1


@pytest.fixture
def as_on_a_device(monkeypatch):
    """The ways of a device, on the CPU."""
    for module in MODULES:
        monkeypatch.setattr(module, "on_host", lambda values: False)


def counted(call, crf, emissions, mask):
    with Looks() as looks:
        gold = torch.zeros(mask.shape, dtype=torch.int64)
        result = CALLS[call](crf, emissions, mask, gold)
    return result, looks.seen


@pytest.mark.parametrize("masked", [True, False])
def test_a_training_step_looks_at_nothing_but_its_flags(crf, as_on_a_device, masked):
    """The copied flags are read as a list, which the CPU does without an operation."""
    emissions, mask = batch()
    emissions.requires_grad_()
    with Looks() as looks:
        gold = torch.zeros(mask.shape, dtype=torch.int64)
        crf.log_likelihood(emissions, gold, mask if masked else None).mean().backward()
    assert looks.seen == []
    assert emissions.grad.isfinite().all()
    with Looks() as looks:  # the counter counts
        mask.any().item()
    assert looks.seen == ["aten::_local_scalar_dense"]


@pytest.mark.parametrize(
    "call",
    [
        lambda crf, emissions, mask: crf.decode(emissions, mask),
        lambda crf, emissions, mask: crf.decode_n_best(emissions, mask, 4),
        lambda crf, emissions, mask: crf.marginals(emissions, mask),
        lambda crf, emissions, mask: crf.span_posteriors(
            emissions, mask, queries=torch.tensor([[0, 1, 3, 0], [2, 0, 1, 1]]), reading=Reading.of(TAGS, "BIOUL")
        ),
    ],
    ids=["decode", "n best", "marginals", "posteriors"],
)
def test_no_loop_over_tokens_looks_at_a_value(crf, as_on_a_device, call):
    """As many looks at twelve tokens as at four; what is looked at depends on the call alone."""
    seen = []
    for steps in (4, 12):
        emissions, mask = (values[:3, :steps] for values in batch())
        with Looks() as looks:
            call(crf, emissions, mask)
        seen.append(looks.seen)
    assert seen[0] == seen[1]
    assert 0 < len(seen[0]) < 16


@pytest.mark.parametrize(("call", "most"), [("log_likelihood", 0), ("decode", 1), ("evaluate", 0)])
def test_looks_on_the_cpu(crf, call, most):
    assert len(counted(call, crf, *batch())[1]) <= most


def ragged(kind):
    emissions, mask = batch()
    if kind == "gaps":
        mask[0, 3:6] = False
    if kind == "far apart":
        emissions = emissions * 1e4
    if kind == "at the end of float32":
        emissions = emissions.clamp(-3, 3) * 1e38
    if kind == "unset padding":
        emissions = emissions.masked_fill(~mask.unsqueeze(2), torch.nan)
    return emissions, mask


@pytest.mark.parametrize("kind", ["usual", "gaps", "far apart", "at the end of float32", "unset padding"])
def test_the_ways_of_a_device_give_the_same_numbers(crf, kind, monkeypatch):
    emissions, mask = ragged(kind)

    def results():
        gold = crf.decode(emissions, mask)[0].clamp(min=0)
        crf.zero_grad()
        crf.log_likelihood(emissions, gold, mask).sum().backward()
        value, pair = crf.evaluate(emissions, gold, mask, gold=gold)
        return gold, crf.log_likelihood(emissions, gold, mask), crf.transitions.grad.clone(), value, pair

    expected = results()
    for module in MODULES:
        monkeypatch.setattr(module, "on_host", lambda values: False)
    for found, wanted in zip(results(), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["usual", "gaps", "far apart", "at the end of float32", "unset padding"])
def test_evaluation_is_likelihood_and_decoding(crf, kind):
    emissions, mask = ragged(kind)
    best = crf.decode(emissions, mask)[0]
    gold = best.clamp(min=0)
    value, (gold_there, decoded) = crf.evaluate(emissions, gold, mask, gold=gold)
    torch.testing.assert_close(value, crf.log_likelihood(emissions, gold, mask))
    assert torch.equal(decoded, best)
    assert torch.equal(gold_there, gold.masked_fill(~mask, PADDING_TAG))


def test_evaluation_without_constraints_in_training_decodes_with_them():
    crf = ConditionalRandomField(
        num_tags=len(TAGS), constraints=allowed_transitions(TAGS, "BIOUL"), constrain_training=False
    )
    emissions, mask = batch()
    gold = torch.full(mask.shape, 2)  # I-X everywhere is forbidden
    value, (_, decoded) = crf.evaluate(emissions, gold, mask, gold=gold)
    torch.testing.assert_close(value, crf.log_likelihood(emissions, gold, mask))
    assert torch.equal(decoded, crf.decode(emissions, mask)[0])


@pytest.mark.parametrize("where", ["host", "device"])
def test_errors_name_the_sentence_wherever_it_lies(crf, where, request):
    if where == "device":
        request.getfixturevalue("as_on_a_device")
    emissions, mask = batch()
    gold = torch.zeros(mask.shape, dtype=torch.int64)
    wrong = gold.clone()
    wrong[2, 5] = 99
    broken = emissions.clone()
    broken[2, 5, 1] = torch.nan
    for call in (crf.log_likelihood, lambda *args: crf.evaluate(*args, gold=gold)):
        with pytest.raises(CrfInputError, match=r"^sentence 2 of the batch, token 5: tag id 99, expected 0 to 8$"):
            call(emissions, wrong, mask)
        with pytest.raises(CrfInputError, match=r"^sentence 2 of the batch: the emission of token 5, tag 1 is nan$"):
            call(broken, gold, mask)
        with pytest.raises(CrfInputError, match=r"^sentence 0 of the batch \(12 tokens\): the tags break the constr"):
            call(emissions, torch.full_like(gold, 2), mask)
        with pytest.raises(CrfInputError, match=r"^the mask is false everywhere: none of the 4 sentences has a token "):
            call(emissions, gold, mask & False)
