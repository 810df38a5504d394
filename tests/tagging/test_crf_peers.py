"""The same numbers as AllenNLP's and pytorch-crf's fields where they define the same thing."""

import warnings

import pytest
import torch

from elmo_tagger.tagging.crf import ConditionalRandomField
from elmo_tagger.tagging.schemes import SCHEMES, allowed_transitions, join_tag

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    peer = pytest.importorskip("allennlp.modules.conditional_random_field")
torchcrf = pytest.importorskip("torchcrf")

TAGS = ["O", *(f"{letter}-{kind}" for kind in "XY" for letter in "BIUL")]
WEIGHTS = [0.3, 1.0, 2.0, 1.5, 0.7, 1.0, 0.1, 1.2, 3.0]
TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture
def batch():
    torch.manual_seed(5)
    mask = torch.arange(9) < torch.tensor([9, 4, 1, 6]).unsqueeze(1)
    return torch.randn(4, 9, len(TAGS)) * 2, torch.randint(len(TAGS), (4, 9)), mask


@pytest.mark.parametrize("scheme", ["BIO", "BIOUL", "BMES", "IOB1"])
def test_allowed_transitions(scheme):
    letters = SCHEMES[scheme].letters
    tags = [join_tag(letter, kind) for kind in ("X", "Y-Z") for letter in letters]
    if scheme != "BMES":  # where AllenNLP knows no O
        tags.insert(3, "O")
    expected = peer.allowed_transitions(scheme, dict(enumerate(tags)))
    assert allowed_transitions(tags, scheme) == expected
    assert allowed_transitions(dict(enumerate(tags)), scheme) == expected


def allennlps(kind, *args):
    torch.manual_seed(7)
    return kind(len(TAGS), *args, allowed_transitions(TAGS, "BIOUL"))


def ours_from(theirs, **options):
    """A field of ours with the state dict of theirs, constraint mask included."""
    ours = ConditionalRandomField(num_tags=len(TAGS), constrain_training=False, **options)
    ours.load_state_dict(theirs.state_dict())
    return ours


def loss_and_gradients(run, crf, emissions):
    crf.zero_grad()
    leaf = emissions.clone().requires_grad_()
    value = run(leaf)
    value.backward()
    parts = (crf.transitions, crf.start_transitions, crf.end_transitions)
    return [value.detach(), leaf.grad, *(part.grad.clone() for part in parts)]


@pytest.mark.parametrize(
    ("kind", "strategy"),
    [
        ("ConditionalRandomField", None),
        ("ConditionalRandomFieldWeightEmission", "emission"),
        ("ConditionalRandomFieldWeightTrans", "emission_transition"),
        ("ConditionalRandomFieldWeightLannoy", "lannoy"),
    ],
)
def test_loss_and_gradients_of_allennlp(batch, kind, strategy):
    emissions, tags, mask = batch
    theirs = allennlps(getattr(peer, kind), *([WEIGHTS] if strategy else []))
    ours = ours_from(theirs, **({"label_weights": [1.0] * 9, "weight_strategy": strategy} if strategy else {}))
    # In float64, because in float32 AllenNLP's own rounding is 1e-4 of a loss of 100.
    expected = loss_and_gradients(lambda leaf: theirs.double()(leaf, tags, mask), theirs, emissions.double())
    for precise in (False, True):
        inputs = emissions.double() if precise else emissions
        found = loss_and_gradients(lambda leaf: ours.log_likelihood(leaf, tags, mask).sum(), ours, inputs)
        tolerance = {"atol": 1e-6, "rtol": 1e-6} if precise else TOLERANCE
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.double(), other, **tolerance)


def test_weights_with_constraints_in_training_leave_gradients_finite(batch):
    emissions, _, mask = batch
    for strategy in ("emission", "emission_transition", "lannoy"):
        crf = ConditionalRandomField(
            num_tags=len(TAGS),
            constraints=allowed_transitions(TAGS, "BIOUL"),
            label_weights=WEIGHTS,
            weight_strategy=strategy,
        )
        gold = crf.decode(emissions, mask)[0]
        gradients = loss_and_gradients(lambda leaf: crf.log_likelihood(leaf, gold, mask).sum(), crf, emissions)  # noqa: B023
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_tags_that_nothing_may_precede_leave_gradients_finite():
    """Without B-X nothing leads to I-X; the gradient must be that of a field which has no such tag."""
    tags = ["O", "B-Y", "L-Y", "I-X", "L-X"]
    torch.manual_seed(0)
    whole, part = (
        ConditionalRandomField(
            num_tags=size,
            constraints=allowed_transitions(tags[:size], "BIOUL"),
            label_weights=WEIGHTS[:size],
            weight_strategy="lannoy",
        )
        for size in (5, 3)
    )
    part.load_state_dict(
        {
            "transitions": whole.transitions[:3, :3],
            "start_transitions": whole.start_transitions[:3],
            "end_transitions": whole.end_transitions[:3],
            "label_weights": whole.label_weights[:3],
            "_constraint_mask": part._constraint_mask,
        }
    )
    emissions, mask = torch.randn(3, 4, 5), torch.tensor([[True] * 4, [True, True, False, False], [False] * 4])
    gold = part.decode(emissions[:, :, :3], mask)[0].clamp(min=0)
    found = loss_and_gradients(lambda leaf: whole.log_likelihood(leaf, gold, mask).sum(), whole, emissions)
    expected = loss_and_gradients(
        lambda leaf: part.log_likelihood(leaf, gold, mask).sum(), part, emissions[:, :, :3].contiguous()
    )
    cut = [found[0], found[1][:, :, :3], found[2][:3, :3], found[3][:3], found[4][:3]]
    for one, other in zip(cut, expected, strict=True):
        torch.testing.assert_close(one, other, **TOLERANCE)
    assert (found[1][:, :, 3:] == 0).all()


def test_decoding_of_allennlp(batch):
    emissions, _, mask = batch
    theirs = allennlps(peer.ConditionalRandomField)
    ours = ours_from(theirs)
    paths, scores = ours.decode(emissions, mask)
    many, logs = ours.decode_n_best(emissions, mask, 4)
    for row, (expected, length) in enumerate(
        zip(theirs.viterbi_tags(emissions, mask, top_k=4), mask.sum(1).tolist(), strict=True)
    ):
        assert paths[row, :length].tolist() == expected[0][0]
        assert scores[row].item() == pytest.approx(expected[0][1], rel=1e-5)
        legal = [(path, score) for path, score in expected if score > -1000]  # its forbidden paths cost 10,000
        assert [path[:length].tolist() for path in many[row, : len(legal)]] == [path for path, _ in legal]
        differences = [score - expected[0][1] for _, score in legal]
        assert (logs[row, : len(legal)] - logs[row, 0]).tolist() == pytest.approx(differences, abs=1e-4)


def test_a_state_dict_of_ours_loads_in_allennlp(batch):
    ours = ConditionalRandomField(num_tags=len(TAGS), constraints=allowed_transitions(TAGS, "BIOUL"))
    theirs = peer.ConditionalRandomField(len(TAGS))
    theirs.load_state_dict(ours.state_dict())
    expected = [path for path, _ in theirs.viterbi_tags(batch[0])]
    assert ours.decode(batch[0])[0].tolist() == expected


def test_loss_and_decoding_of_pytorch_crf(batch):
    emissions, tags, mask = batch
    theirs = torchcrf.CRF(len(TAGS), batch_first=True)
    ours = ConditionalRandomField(num_tags=len(TAGS))
    ours.load_state_dict(theirs.state_dict(), strict=False)
    expected = theirs(emissions, tags, mask, reduction="none")
    torch.testing.assert_close(ours.log_likelihood(emissions, tags, mask), expected, **TOLERANCE)
    paths = ours.decode(emissions, mask)[0]
    assert [path[path >= 0].tolist() for path in paths] == theirs.decode(emissions, mask)
