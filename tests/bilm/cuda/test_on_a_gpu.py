"""On a CUDA GPU: equal to the reference, without waiting, within bounds. Skipped where there is none."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
import torch

from elmo_tagger.bilm import Bilm, Options, ScalarMix, encode_sentences, encode_words
from elmo_tagger.bilm.cuda.ops import REFERENCE_OPS, best_ops
from elmo_tagger.bilm.cuda.stack import RecordedStack
from elmo_tagger.bilm.dispatch import reference_only
from elmo_tagger.bilm.precision import tf32
from elmo_tagger.bilm.training import BilmLanguageModel, LmBatch
from tests.bilm.random_models import TOLERANCE, WORDS, implementation, random_bilm, raw_options

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

DEVICE = torch.device("cuda")
SENTENCES = [WORDS[:5], WORDS[3:], ["Nell"], [], ["a", "b", "a", "b"] * 3]
# Largest difference from float32 on a CPU, of values around 0.3 in products of some 30 terms.
NEAR = {"float32": TOLERANCE, "tf32": 0.02, "float16": 0.01, "bfloat16": 0.05}


def ids_of(sentences, max_characters=12):
    return torch.from_numpy(encode_sentences(sentences, max_characters=max_characters)).to(DEVICE)


def wide(**arguments):
    return random_bilm(raw_options(dim=40, projection_dim=16), scale=0.2, **arguments)


def largest(got, expected):
    return max(float((got.layers[each].cpu() - values.cpu()).abs().max()) for each, values in expected.layers.items())


@contextmanager
def no_waiting():
    """Within, waiting for the GPU is an error."""
    try:
        torch.cuda.set_sync_debug_mode("error")
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("stateful", [False, True])
@pytest.mark.parametrize("precision", list(NEAR))
def test_all_layers_are_those_of_the_reference(precision, stateful):
    """Twice over, so that every shape is both done and replayed."""
    reference = wide(stateful=stateful)
    recorded = wide(stateful=stateful, precision=precision).to(DEVICE)
    for sentences in (SENTENCES, SENTENCES[::-1], SENTENCES, [["one"]]):
        with reference_only():
            expected = reference(ids_of(sentences).cpu())
        ids = ids_of(sentences)
        assert implementation(recorded) == "cuda"
        got = recorded(ids)
        assert all(layer.dtype == torch.float32 and layer.is_cuda for layer in got.layers.values())
        assert torch.equal(got.mask.cpu(), expected.mask)
        assert largest(got, expected) <= NEAR[precision]


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("bound", [None, 7])
def test_layers_of_other_shapes_are_those_of_the_reference(layers, skip, bound):
    raw = raw_options(n_layers=layers, use_skip_connections=skip, cell_clip=0.5, proj_clip=None)
    reference, recorded = (random_bilm(raw, scale=0.3, max_tokens_per_pass=bound) for _ in range(2))
    recorded.to(DEVICE)
    for wanted in (None, [0], [1]):
        with reference_only():
            expected = reference(ids_of(SENTENCES).cpu(), layers=wanted)
        assert largest(recorded(ids_of(SENTENCES), layers=wanted), expected) <= TOLERANCE


def test_a_large_batch_of_a_large_model():
    """Tensor cores, Triton's blocks and cuBLAS's tiles are all in use; and batch mates do not matter."""
    raw = raw_options(dim=1024, projection_dim=128, filters=[[1, 32], [2, 32], [3, 64]])
    bilm = Bilm(Options.from_dict(raw)).requires_grad_(False).to(DEVICE)
    sentences = [[f"word{i * j % 97}" for i in range(1 + j % 40)] for j in range(300)]
    with reference_only():
        expected = bilm(ids_of(sentences))
    got = bilm(ids_of(sentences))
    assert largest(got, expected) <= TOLERANCE
    for row in (0, 39, 299):
        alone = bilm(ids_of([sentences[row]]))
        for layer, values in alone.layers.items():
            own = got.layers[layer][row, : len(sentences[row])]
            torch.testing.assert_close(own, values[0], rtol=0, atol=TOLERANCE)
    again = bilm(ids_of(sentences))
    assert all(torch.equal(again.layers[layer], values) for layer, values in got.layers.items())


def test_triton_works_here():
    pytest.importorskip("triton")
    device = torch.device("cuda", 0)
    assert best_ops(device, torch.float32) is not REFERENCE_OPS
    assert best_ops(device, torch.float64) is REFERENCE_OPS


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_parameters_in_another_type(dtype):
    """Triton's kernels do not know it."""
    reference, recorded = wide(), wide().to(DEVICE, dtype)
    with reference_only():
        expected = reference(ids_of(SENTENCES).cpu())
    for _ in range(2):
        got = recorded(ids_of(SENTENCES))
        assert all(layer.dtype == dtype for layer in got.layers.values())
        assert largest(got, expected) <= NEAR[str(dtype).removeprefix("torch.")]


def test_inference_mode_and_back():
    """Recordings of one mode are played in the others, and new ones made."""
    reference, recorded = wide(), wide().to(DEVICE)
    batches = [[WORDS[:5]] * count for count in (1, 8, 32, 64, 128)]
    with reference_only():
        expected = [reference(ids_of(batch).cpu()) for batch in batches]
    modes = (torch.inference_mode, torch.no_grad, torch.enable_grad, torch.inference_mode)
    for shapes, mode in enumerate(modes, start=2):
        with mode():
            for batch, each in zip(batches[:shapes], expected, strict=False):
                assert largest(recorded(ids_of(batch)), each) <= TOLERANCE


def test_changed_weights_are_used():
    """Not those that a recording has read."""
    recorded, other = wide().to(DEVICE), wide(seed=1)
    for _ in range(2):
        recorded(ids_of(SENTENCES))
    recorded.load_state_dict(other.state_dict())
    with reference_only():
        expected = other(ids_of(SENTENCES).cpu())
    for _ in range(2):
        assert largest(recorded(ids_of(SENTENCES)), expected) <= TOLERANCE


def stack_of(bilm, **arguments):
    return RecordedStack(list(bilm.lstm.layers), dtype=torch.float32, **arguments)


def test_the_setting_for_float32_is_obeyed():
    """Also by what was recorded under another one."""
    stack = stack_of(
        Bilm(Options.from_dict(raw_options(dim=1024, projection_dim=128))).requires_grad_(False).to(DEVICE)
    )
    vectors, words = torch.randn(50, 128, device=DEVICE), torch.arange(50, device=DEVICE).view(5, 10)

    def run():
        return stack.run(vectors, words, [10] * 5, None, depths=[2], max_words=None)[2]

    exact = [run(), run()]
    with tf32(True):
        rounded = [run(), run()]
    assert all(torch.equal(each, exact[0]) for each in (exact[1], run()))
    assert torch.equal(*rounded)
    assert not torch.equal(rounded[0], exact[0])  # on Ampere or later


@pytest.mark.parametrize("arguments", [{"ops": REFERENCE_OPS}, {"recordings": 3}], ids=["no triton", "few recordings"])
def test_steps_without_triton_and_few_recordings_give_the_same(arguments):
    bilm, vectors = wide(), torch.randn(9, 16)
    stack = stack_of(wide().to(DEVICE), **arguments)
    for _ in range(2):
        for count in (1, 3, 9, 17):
            words = torch.randint(0, 9, (count, 20))
            with reference_only():
                expected = bilm.lstm(vectors, words, depths=[1, 2])
            got = stack.run(vectors.to(DEVICE), words.to(DEVICE), [20] * count, None, depths=[1, 2], max_words=None)
            for layer, values in expected.items():
                assert float((got[layer].cpu().view_as(values) - values).abs().max()) <= TOLERANCE
            assert len(stack.graphs) <= arguments.get("recordings", 64)


@pytest.mark.parametrize("stateful", [False, True])
def test_the_lstm_does_not_wait(stateful):
    bilm = wide().to(DEVICE)
    stack, vectors = stack_of(bilm), torch.randn(9, 16, device=DEVICE)
    words = torch.randint(0, 9, (5, 20)).to(DEVICE)
    states = bilm.lstm.carried_states(5, like=vectors) if stateful else None
    for _ in range(2):  # recording waits, and uploads
        stack.run(vectors, words, [20] * 5, states, depths=[1, 2], max_words=None)
    with no_waiting():
        stack.run(vectors, words, [20] * 5, states, depths=[1, 2], max_words=None)


def test_a_batch_waits_once(monkeypatch):
    """For the one answer of `deduplicate_words`."""
    bilm, mix = wide().to(DEVICE), ScalarMix(3).to(DEVICE)
    ids = ids_of(SENTENCES)
    mix(list(bilm(ids).layers.values()))
    asked = []
    tolist = torch.Tensor.tolist

    def counted(tensor):
        asked.append(tensor.shape)
        mode = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("default")
        try:
            return tolist(tensor)
        finally:
            torch.cuda.set_sync_debug_mode(mode)

    monkeypatch.setattr(torch.Tensor, "tolist", counted)
    with no_waiting():
        mix(list(bilm(ids).layers.values()))
    assert len(asked) == 1


def test_training_waits_for_no_step():
    """Forward and backward of the layers, once the words are packed."""
    layer = wide().lstm.layers[0].requires_grad_(True).to(DEVICE)
    sizes = [4, 4, 3, 1]
    inputs = torch.randn(2, sum(sizes), 16, device=DEVICE)
    state = torch.zeros(2, 4, 16, device=DEVICE), torch.zeros(2, 4, 40, device=DEVICE)
    layer(inputs, sizes, state)[0].sum().backward()
    with no_waiting():
        layer(inputs, sizes, state)[0].sum().backward()


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("bfloat16", 0.1)])
def test_a_step_of_a_language_model(precision, tolerance):
    """Loss and gradients as on a CPU in float32; the second batch goes on with the state of the first."""
    torch.manual_seed(0)
    ids = torch.from_numpy(encode_words([f"w{row}" for row in range(9)], max_characters=12))
    rows, targets = torch.randint(0, 9, (2, 2, 20)), torch.randint(0, 30, (2, 2, 20))
    found = []
    for device, kind in (("cpu", "float32"), ("cuda", precision)):
        torch.manual_seed(1)
        raw = raw_options(dim=48, projection_dim=16)
        model = BilmLanguageModel(Options.from_dict(raw), 30, dropout=0.0, precision=kind).to(device).train()
        for number in range(2):
            batch = LmBatch(
                ids.to(device), rows[number].to(device), targets[number].to(device), sizes=[4] * 5, carried=True
            )
            model.zero_grad()
            loss, sums = model(batch)
            loss.backward()
            assert float(sums.sum()) == pytest.approx(float(loss.detach()), rel=1e-4)
        # rounding may change which window of characters is the largest, and so where a filter's gradient goes
        learnt = [each.grad.cpu() for name, each in model.named_parameters() if "char_cnn" not in name]
        found.append([loss.detach().cpu(), *learnt])
    for expected, got in zip(*found, strict=True):
        assert float((got - expected).norm() / expected.norm()) <= tolerance


def test_memory_is_bounded():
    """By `max_tokens_per_pass`, besides ids and results: five times the text takes little more than its results."""
    raw = raw_options(dim=512, projection_dim=64, filters=[[1, 32], [2, 32], [3, 64]])
    bilm = Bilm(Options.from_dict(raw), max_tokens_per_pass=256).requires_grad_(False).to(DEVICE)

    def peak(count):
        ids = ids_of([[f"w{row}{column}" for column in range(40)] for row in range(count)])
        bilm(ids)
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        output = bilm(ids)
        torch.cuda.synchronize()
        results = sum(layer.numel() * 4 for layer in output.layers.values())
        return torch.cuda.max_memory_allocated() - before - results, results

    small, _ = peak(50)
    large, results = peak(250)
    assert large - small < 2 * results


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_threads_with_streams_of_their_own(precision):
    """In bfloat16 there are rounded copies of the weights, which one thread makes and all read."""
    reference, recorded = wide(), wide(precision=precision).to(DEVICE)
    batches = [SENTENCES, SENTENCES[::-1], [["a"]], [WORDS] * 4]
    with reference_only():
        expected = [reference(ids_of(sentences).cpu()) for sentences in batches]
    wrong = []

    def run(number):
        with torch.cuda.stream(torch.cuda.Stream()), torch.no_grad():
            for _ in range(10):
                got = recorded(ids_of(batches[number]))
                torch.cuda.current_stream().synchronize()
                if largest(got, expected[number]) > NEAR[precision]:
                    wrong.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_moved_and_moved_back():
    bilm, ids = wide(), ids_of(SENTENCES)
    expected = bilm(ids.cpu())
    for device in ("cuda", "cpu", "cuda"):
        assert largest(bilm.to(device)(ids.to(device)), expected) <= TOLERANCE
