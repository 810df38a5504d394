"""The parts of the implementation for CUDA: schedule, indices, distinct words, recorded work."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.bilm import parameter_cache
from elmo_tagger.bilm.characters import boundary_ids, encode_sentences
from elmo_tagger.bilm.cuda import deduplicate, graph_cache
from elmo_tagger.bilm.cuda.indices import Grid, of_chunk
from elmo_tagger.bilm.cuda.schedule import BUCKETS, STEPS, WORDS, bucket, chunks, most_rows
from elmo_tagger.bilm.packing import NO_WORD, pack
from tests.bilm.random_models import WORDS as SPELT
from tests.bilm.random_models import random_bilm

many = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@many
@given(st.lists(st.integers(1, 200), min_size=1, max_size=512), st.sampled_from([None, 1, 7, 100, 5000]))
def test_chunks_hold_every_word_once(lengths, bound):
    lengths = sorted(lengths, reverse=True)[: most_rows(bound)]
    held = Counter()
    for chunk in chunks(lengths, bound):
        assert chunk.rows in BUCKETS
        assert chunk.steps in STEPS
        assert chunk.steps == 1 or chunk.rows * chunk.steps <= min(WORDS, bound or WORDS)
        for step in range(chunk.first, chunk.first + chunk.steps):
            assert step < lengths[0]  # none in vain
            held.update((row, step) for row in range(chunk.rows) if row < len(lengths) and step < lengths[row])
    assert held == Counter((row, step) for row, length in enumerate(lengths) for step in range(length))


def test_chunks_get_narrower():
    lengths = [10, 9, 9, 2, 2, 1, 1, 1, 1]
    assert [(each.first, each.steps, each.rows) for each in chunks(lengths)] == [(0, 8, 32), (8, 2, 8)]


@pytest.mark.parametrize(
    ("bound", "rows"), [(None, 512), (10**9, 512), (512, 512), (511, 448), (65, 64), (8, 8), (7, 1), (1, 1)]
)
def test_rows_stay_within_the_bound_on_words(bound, rows):
    assert most_rows(bound) == rows


def test_rows_are_rounded_up_to_a_bucket():
    assert [bucket(rows) for rows in (1, 3, 32, 33, 65, 500)] == [1, 8, 32, 64, 128, 512]


grids = st.integers(1, 9).flatmap(
    lambda width: st.lists(st.lists(st.integers(NO_WORD, 6), min_size=width, max_size=width), min_size=1, max_size=9)
)


@many
@given(grids)
def test_indices_are_those_of_the_packing(rows):
    """Also with gaps in sentences, and sentences without words."""
    words = torch.tensor(rows)
    grid = Grid.of(words)
    for packing in pack(words):
        sentences = grid.order[: len(packing.sentences)]
        assert torch.equal(sentences, packing.sentences)
        steps = len(packing.sizes)
        indices = grid.indices(sentences, steps, bucket(len(sentences)))
        assert indices.shape == (2, steps, bucket(len(sentences)))
        found = torch.cat([indices[:, step, :size] for step, size in enumerate(packing.sizes)], dim=1)
        assert torch.equal(found, packing.indices)
        # all else is nowhere
        assert int((indices == words.numel()).sum()) == indices.numel() - found.numel()
        assert torch.equal(grid.words[packing.indices], words.flatten()[packing.indices])
        for chunk in chunks(grid.lengths[sentences].tolist()):
            own = of_chunk(indices, chunk).view(2, chunk.steps, chunk.rows)
            for step in range(chunk.steps):
                assert torch.equal(own[:, step], indices[:, chunk.first + step, : chunk.rows])


def deduplicated(sentences, mask=None):
    cnn = random_bilm().char_cnn
    ids = torch.from_numpy(encode_sentences(sentences, max_characters=12))
    present = (ids != 0).any(-1) if mask is None else mask
    boundaries = torch.from_numpy(boundary_ids(max_characters=12))
    return ids, present, boundaries, deduplicate.deduplicate_words(cnn, boundaries, ids, present)


def check(ids, present, boundaries, found):
    assert len(found.ids) == len(found.ids.unique(dim=0)) == len(found.characters)
    begin_and_end, words = found.indices[:2], found.indices[2:].view_as(present)
    assert torch.equal(found.ids[begin_and_end], boundaries)
    assert torch.equal(found.ids[words[present]], ids[present])
    assert found.lengths == present.sum(1).tolist()
    padding = boundaries[0, -1]
    counts = [int((row != padding).nonzero().max()) + 1 for row in found.ids]
    assert found.characters == counts == sorted(counts, reverse=True)
    # no row is there for padding
    assert len(found.ids) == len({tuple(row) for row in torch.cat([boundaries, ids[present]]).tolist()})


@many
@given(st.lists(st.lists(st.sampled_from(SPELT), max_size=9), min_size=1, max_size=9))
def test_distinct_words_are_all_words_once(sentences):
    check(*deduplicated(sentences))


def test_masked_words_are_left_out():
    check(*deduplicated([["a", "b", "c"], ["b"]], torch.tensor([[True, False, True], [False, False, False]])))


def test_words_of_one_hash_are_not_merged(monkeypatch):
    monkeypatch.setattr(deduplicate, "row_hashes", lambda rows: rows.sum(dim=1))
    check(*deduplicated([["ab", "ba", "a"], ["ba"]]))


def test_an_id_out_of_range_is_refused():
    bilm = random_bilm()
    ids = torch.full((1, 2, 12), 300)
    with pytest.raises(ValueError, match=r"^expected character ids of 0 to 261, received 0 to 300$"):
        deduplicate.deduplicate_words(
            bilm.char_cnn, torch.zeros(2, 12, dtype=torch.int64), ids, torch.ones(1, 2, dtype=torch.bool)
        )


class Tape:
    """Writes down what is recorded and what is played."""

    def __init__(self):
        self.log = []

    def record(self, work):
        self.log.append("record")

        def play():
            self.log.append("play")
            work()

        return play

    @contextmanager
    def on_stream(self):
        self.log.append("stream")
        yield


def test_work_is_done_once_then_played_and_the_oldest_makes_room():
    tape, done = Tape(), []
    graphs_kept = graph_cache.GraphCache(tape, capacity=2)
    for name in "aabacab":
        graphs_kept.play(name, lambda name=name: done.append(name))
        assert len(graphs_kept) <= 2
    assert done == list("aabacab")
    # the third kind, c, drives out b
    assert tape.log == ["record", "play", "record", "play", "record", "play", "record"]


def test_one_thread_plays_at_a_time():
    tape, inside = Tape(), []
    graphs_kept = graph_cache.GraphCache(tape, capacity=1)

    def run():
        with graphs_kept.exclusive():
            inside.append("in")
            time.sleep(0.02)
            inside.append("out")

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside == ["in", "out"] * 3
    assert tape.log == ["stream"] * 3


class Device:
    """What `CudaGraphs` needs of `torch.cuda`, with the driver's habits: after an error a recording does not end."""

    OutOfMemoryError = torch.cuda.OutOfMemoryError

    def __init__(self):
        self.stream, self.modes, self.begun, self.ended = "current", [], 0, []
        self.at_end = None

    def graph_pool_handle(self):
        return (0, 1)

    def Stream(self, device):
        return "side"

    def current_stream(self, device=None):
        return self.stream

    def set_stream(self, stream):
        self.stream = stream

    def CUDAGraph(self):
        return SimpleNamespace(replay=lambda: None)

    @contextmanager
    def graph(self, graph, *, pool, stream, capture_error_mode):
        self.begun += 1
        self.stream = stream
        self.modes.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
        try:
            yield
        finally:
            if self.at_end is not None:
                raise self.at_end
            self.stream = "current"


@pytest.fixture
def graphs(monkeypatch):
    device = Device()
    monkeypatch.setattr(torch, "cuda", device)
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", lambda *pool: device.ended.append(pool), raising=False)
    return graph_cache.CudaGraphs(torch.device("cuda", 0)), device


def test_work_is_done_though_the_driver_breaks_its_recording_off(graphs, caplog):
    """The work was done: only its replay is lost, and the thread must not stay on the recording's stream."""
    recorder, device = graphs
    device.at_end = RuntimeError("operation failed due to a previous error during capture")
    done = []
    graphs_kept = graph_cache.GraphCache(recorder, capacity=2)
    for name in "aab":
        graphs_kept.play(name, lambda name=name: done.append(name))
        assert device.stream == "current"
    assert device.begun == 1  # no second one is tried
    assert device.ended == [(0, (0, 1))]
    assert "".join(done) == "aaab"  # once more for a, in vain, while recording
    assert [record.getMessage() for record in caplog.records] == [
        "CUDA graphs cannot be recorded here, so the biLM is slower: "
        "operation failed due to a previous error during capture"
    ]


def test_a_recording_without_memory_does_not_stop_later_ones(graphs, caplog):
    """Others may be smaller."""
    recorder, device = graphs

    def hungry():
        raise torch.cuda.OutOfMemoryError("no memory")

    assert recorder.record(hungry) is hungry
    assert recorder.record(hungry) is hungry
    assert device.stream == "current"
    assert device.ended == []
    assert len(caplog.records) == 1
    assert recorder.record(list) is not list


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_recordings_of_every_gradient_mode_are_made_in_one(graphs, mode):
    """What the first of a process makes, others change in place."""
    recorder, device = graphs
    with mode():
        recorder.record(list)
    assert device.modes == [(False, False)]


def test_derived_weights_are_complete_before_another_thread_sees_them(monkeypatch):
    """A thread with another stream does not wait for the one that made it."""
    parameter = SimpleNamespace(
        data_ptr=lambda: 0, is_inference=lambda: True, dtype=torch.float32, device=torch.device("cuda", 1)
    )
    kept, log = parameter_cache.ParameterCache(), []

    def stream(device):
        return SimpleNamespace(synchronize=lambda: log.append((device.index, kept.current)))

    monkeypatch.setattr(torch.cuda, "current_stream", stream)
    assert [kept.of([parameter], lambda: log.append("made") or "value") for _ in range(2)] == ["value"] * 2
    assert log == ["made", (1, None)]
