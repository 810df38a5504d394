"""The implementation for CUDA against the reference: here on a CPU, where recorded work is simply done again."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from elmo_tagger.bilm import Bilm, Options, encode_sentences, encode_words, model
from elmo_tagger.bilm.cuda import stack
from elmo_tagger.bilm.cuda.graph_cache import Unrecorded
from elmo_tagger.bilm.cuda.inference import CudaInference
from elmo_tagger.bilm.cuda.ops import REFERENCE_OPS
from elmo_tagger.bilm.dispatch import reference_only, using
from elmo_tagger.bilm.parameter_cache import ParameterCache
from tests.bilm.random_models import TOLERANCE, WORDS, CudaOnCpu, implementation, random_bilm, raw_options

SENTENCES = [WORDS[:5], WORDS[3:], ["Nell"], [], ["a", "b", "a", "b"] * 3]

shapes = st.fixed_dictionaries(
    {
        "dim": st.sampled_from([3, 8]),
        "projection_dim": st.sampled_from([1, 6]),
        "n_layers": st.integers(1, 3),
        "cell_clip": st.sampled_from([None, 0.5, 3]),
        "proj_clip": st.sampled_from([None, 0.5, 3]),
        "use_skip_connections": st.booleans(),
    }
)
batches = st.lists(st.lists(st.sampled_from(WORDS), max_size=20), min_size=1, max_size=20)


@pytest.fixture(autouse=True)
def on_cpu():
    with using(CudaOnCpu):
        yield


def ids_of(sentences):
    return torch.from_numpy(encode_sentences(sentences, max_characters=12))


def difference(recorded, reference, ids, **arguments):
    """Largest difference between the path for CUDA and the reference."""
    assert implementation(recorded) == "cuda"
    got = recorded(ids, **arguments)
    with reference_only():
        assert implementation(reference) == "reference"
        expected = reference(ids, **arguments)
    assert got.layers.keys() == expected.layers.keys()
    assert torch.equal(got.mask, expected.mask)
    found = [(got.layers[layer] - values).abs() for layer, values in expected.layers.items() if values.numel()]
    return max((float(each.max()) for each in found), default=0.0)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(
    shapes,
    st.lists(batches, min_size=1, max_size=3),
    st.sampled_from([None, 1, 7]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, [0], [1], [0, 2]]),
)
def test_all_layers_of_any_model_and_history(shape, history, bound, stateful, kept, layers):
    """Of batch after batch, so that nothing is left over from the one before but, if stateful, its state."""
    layers = layers and [layer for layer in layers if layer <= shape["n_layers"]]
    recorded, reference = (
        random_bilm(raw_options(**shape), scale=0.3, max_tokens_per_pass=bound, stateful=stateful) for _ in range(2)
    )
    for sentences in history:
        assert difference(recorded, reference, ids_of(sentences), keep_boundaries=kept, layers=layers) <= TOLERANCE


def test_batches_before_leave_nothing_behind():
    """To the bit: a batch gives the same after others as alone."""
    bilm = random_bilm()
    alone = random_bilm()(ids_of(SENTENCES))
    for before in (SENTENCES[::-1], [["much", "longer"] * 10] * 9, [["short"]]):
        bilm(ids_of(before))
        for layer, values in bilm(ids_of(SENTENCES)).layers.items():
            assert torch.equal(values, alone.layers[layer])


def test_batch_mates_do_not_matter():
    bilm = random_bilm()
    whole = bilm(ids_of(SENTENCES))
    for row, sentence in enumerate(SENTENCES):
        for layer, values in bilm(ids_of([sentence])).layers.items():
            own = whole.layers[layer][row, : len(sentence)]
            torch.testing.assert_close(own, values[0, : len(sentence)], rtol=0, atol=1e-6)


@pytest.mark.parametrize("precision", ["bfloat16", "float16", "tf32"])
@pytest.mark.parametrize("stateful", [False, True])
def test_other_precisions(precision, stateful):
    """As near to float32 as the reference is in the same precision, and float32 outside of products."""
    raw = raw_options(dim=40, projection_dim=16)
    exact, recorded = (
        random_bilm(raw, scale=0.2, stateful=stateful, precision=name) for name in ("float32", precision)
    )
    for sentences in (SENTENCES, SENTENCES[::-1]):
        with reference_only():
            expected = exact(ids_of(sentences))
        got = recorded(ids_of(sentences))
        for layer, values in expected.layers.items():
            assert got.layers[layer].dtype == torch.float32
            found = float((got.layers[layer] - values).abs().max())
            low, high = {"bfloat16": (1e-5, 0.05), "float16": (1e-6, 0.01), "tf32": (0.0, TOLERANCE)}[precision]
            assert low <= found < high


def test_changed_weights_are_used():
    bilm, other = random_bilm(), random_bilm(seed=1)
    bilm(ids_of(SENTENCES))
    bilm.load_state_dict(other.state_dict())
    for layer, values in other(ids_of(SENTENCES)).layers.items():
        assert torch.equal(bilm(ids_of(SENTENCES)).layers[layer], values)


def test_inference_mode_and_back():
    bilm = random_bilm()
    expected = bilm(ids_of(SENTENCES))
    for mode in (torch.inference_mode, torch.no_grad, torch.enable_grad, torch.inference_mode):
        with mode():
            got = bilm(ids_of(SENTENCES))
        for layer, values in expected.layers.items():
            assert torch.equal(got.layers[layer], values)


def test_it_is_for_nvidia_gpus_without_gradients_and_autocast(monkeypatch):
    gpu = torch.device("cuda")
    assert CudaInference.suits(gpu, gradients=False)
    assert not CudaInference.suits(gpu, gradients=True)
    for other in ("cpu", "mps", "meta"):
        assert not CudaInference.suits(torch.device(other), gradients=False)
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: device == "cuda")
    assert not CudaInference.suits(gpu, gradients=False)
    monkeypatch.undo()
    monkeypatch.setattr(torch.version, "hip", "6.0")
    assert not CudaInference.suits(gpu, gradients=False)


class Questions(TorchDispatchMode):
    """Collects operations that need to know what is in a tensor before they are done: a GPU has to be asked."""

    ASKING = ("local_scalar_dense", "nonzero", "unique", "masked_select", "bincount", "repeat_interleave", "equal")

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.__name__
        masked = name.startswith(("index.", "index_put")) and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if masked or name.lstrip("_").startswith(self.ASKING):
            self.found.append(name)
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("stateful", [False, True])
def test_the_device_is_not_asked(stateful):
    """But once, by `tolist` in `deduplicate_words`, which is no operation."""
    bilm = random_bilm(stateful=stateful, max_tokens_per_pass=20)
    with Questions() as asked:
        bilm(ids_of(SENTENCES))
    assert asked.found == []
    with Questions() as asked, reference_only():
        bilm(ids_of(SENTENCES))
    assert len(asked.found) > 3  # the test sees what it is to see


class Answers(TorchFunctionMode):
    """Counts what brings a tensor's numbers to Python."""

    count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.count += function in (torch.Tensor.tolist, torch.Tensor.item, torch.Tensor.numpy)
        return function(*args, **(kwargs or {}))


def test_lengths_that_are_known_need_not_be_asked_for():
    bilm = random_bilm(stored_words=0)
    sentences = [[0, 1, 2], [], [2, 0]]
    vectors = bilm.embed_words(torch.from_numpy(encode_words(["Nell", "sat", "in"], max_characters=12)))
    words = torch.tensor([[0, 1, 2], [-1, -1, -1], [2, 0, -1]])
    boundaries = bilm.embed_boundaries()
    with Answers() as asked:
        expected = bilm.forward_words(vectors, words, boundary_vectors=boundaries)
    assert asked.count == 1
    with Answers() as asked:
        got = bilm.forward_words(vectors, words, boundary_vectors=boundaries, lengths=[len(each) for each in sentences])
    assert asked.count == 0
    for layer, values in expected.layers.items():
        assert torch.equal(got.layers[layer], values)


class Crossings(TorchDispatchMode):
    """Collects operations that bring numbers from the CPU to a GPU: for what is not pinned there, both wait."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        places = {each.device.type for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)}
        if "device" in kwargs:
            places.add(torch.device(kwargs["device"]).type)
        # this one is launched with the number itself
        if len(places) > 1 and operation.__name__ != "fill_.Tensor":
            self.found.append(operation.__name__)
        return operation(*args, **kwargs)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("stateful", [False, True])
def test_nothing_comes_from_the_cpu(monkeypatch, stateful, kept):
    """On tensors that say they are on a GPU; the one answer of `deduplicate_words` is taken from a run on the CPU."""
    arguments = {"stateful": stateful, "max_tokens_per_pass": 20}
    ids, answers, tolist = ids_of(SENTENCES), [], torch.Tensor.tolist
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "tolist", lambda tensor: answers.append(tolist(tensor)) or answers[-1])
        random_bilm(**arguments)(ids)
    assert len(answers) == 1
    monkeypatch.setattr(ParameterCache, "of", lambda self, parameters, make: make())
    monkeypatch.setattr(FakeTensor, "tolist", lambda tensor: list(answers[0]))
    monkeypatch.setattr(  # it pins
        model, "to_device", lambda tensor, device: torch.empty(tensor.shape, dtype=tensor.dtype, device=device)
    )
    monkeypatch.setattr(stack, "CudaGraphs", lambda device: Unrecorded())
    monkeypatch.setattr(stack, "best_ops", lambda *_: REFERENCE_OPS)
    with using(CudaInference), FakeTensorMode(), torch.no_grad():
        with torch.device("cuda"):
            bilm, ids = Bilm(Options.from_dict(raw_options()), **arguments), torch.empty(ids.shape, dtype=ids.dtype)
        with Crossings() as crossings:
            output = bilm(ids, keep_boundaries=kept)
        assert all(layer.is_cuda for layer in output.layers.values())
        assert crossings.found == []
        with Crossings() as crossings:
            ids[torch.arange(2, device="cuda")] = 1
        assert crossings.found == ["index_put_.default"]  # the test sees what it is to see
