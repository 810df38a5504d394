"""How much is computed: counted, where wasted work would give the same numbers."""

from __future__ import annotations

import threading
from contextlib import nullcontext

import pytest
import torch

from elmo_tagger.bilm import dispatch, encode_sentences
from elmo_tagger.bilm.cpu import lstm as cpu_lstm
from elmo_tagger.bilm.cpu.lstm import FrozenLstm, FrozenStack
from elmo_tagger.bilm.cpu.prepacked_linear import PrepackedLinear
from elmo_tagger.bilm.cuda.stack import RecordedStack
from elmo_tagger.bilm.lstm import ProjectedLstm
from tests.bilm.random_models import random_bilm, raw_options

SENTENCES = [["the", "cat", "saw", "the", "dog"], ["the", "dog"], ["the"] * 9, []]
LAYERS = 3
# with the boundaries that each sentence with a word has
PLACES = sum(len(sentence) + 2 for sentence in SENTENCES if sentence)
DISTINCT = len({word for sentence in SENTENCES for word in sentence}) + 2


@pytest.fixture
def ids() -> torch.Tensor:
    return torch.from_numpy(encode_sentences(SENTENCES, max_characters=12))


@pytest.mark.usefixtures("one_thread")
def test_no_step_computes_padding(ids: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"frozen": 0, "reference": 0}
    frozen_step, step = FrozenLstm._step, ProjectedLstm._step

    def frozen(layer, gates, cell, output):
        rows["frozen"] += len(gates)
        return frozen_step(layer, gates, cell, output)

    def reference(layer, gates, cell):
        rows["reference"] += gates.shape[0] * gates.shape[1]
        return step(layer, gates, cell)

    monkeypatch.setattr(FrozenLstm, "_step", frozen)
    monkeypatch.setattr(ProjectedLstm, "_step", reference)
    bilm = random_bilm(raw_options(n_layers=LAYERS))
    bilm(ids)
    with dispatch.reference_only():
        bilm(ids)
    assert rows == dict.fromkeys(rows, 2 * LAYERS * PLACES)


def test_a_word_adds_to_the_first_layers_gates_once(ids: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    bilm = random_bilm(raw_options(n_layers=LAYERS))
    bilm(ids)
    first, *deeper = (layer.gates for layer in bilm.lstm._fast()._directions[0])
    rows = dict.fromkeys((first, *deeper), 0)
    multiply = PrepackedLinear.multiply

    def counted(matrix, values, addend=None):
        if matrix in rows:
            rows[matrix] += len(values)
        return multiply(matrix, values, addend)

    monkeypatch.setattr(PrepackedLinear, "multiply", counted)
    bilm(ids)
    assert rows == {first: DISTINCT, **dict.fromkeys(deeper, PLACES)}


@pytest.mark.parametrize("trained", [False, True])
def test_a_word_passes_the_character_cnn_once(trained: bool, ids: torch.Tensor) -> None:
    bilm = random_bilm(stored_words=0).requires_grad_(trained)
    seen = []
    bilm.char_cnn.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    bilm(ids)
    assert seen == [DISTINCT]


@pytest.mark.parametrize("short", [False, True])
def test_directions_run_at_the_same_time_unless_steps_are_short(
    short: bool, ids: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_lstm, "_WORTH_A_THREAD", 2**20 if short else 0)
    meeting = threading.Barrier(2, timeout=1 if short else 30)
    run = FrozenStack._run_direction

    def met(*arguments):
        meeting.wait()  # breaks, if one waits for the end of the other
        return run(*arguments)

    monkeypatch.setattr(FrozenStack, "_run_direction", met)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(threading.BrokenBarrierError) if short else nullcontext():
            random_bilm()(ids)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(("wanted", "depth"), [([0], 0), ([1], 1), ([2, 0], 2), (None, 3)])
def test_the_path_for_cuda_computes_no_deeper_layer(
    wanted: list[int] | None, depth: int, ids: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "_RECORDED_ON", {"cpu"})
    computed = set()
    layer = RecordedStack._layer

    def noted(stack, number, *arguments):
        computed.add(number)
        return layer(stack, number, *arguments)

    monkeypatch.setattr(RecordedStack, "_layer", noted)
    random_bilm(raw_options(n_layers=LAYERS))(ids, layers=wanted)
    assert computed == set(range(depth))
