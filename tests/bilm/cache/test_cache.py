"""The store of layers, and a biLM that reads from it."""

import copy
import errno
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from elmo_tagger.bilm import encode_sentences
from elmo_tagger.bilm.cache.cached_bilm import CachedBilm
from elmo_tagger.bilm.cache.files import cache_files
from elmo_tagger.bilm.cache.store import LayerStore
from tests.bilm.random_models import TOLERANCE, random_bilm

SENTENCES = [["Nell", "sat"], [], ["日本語"], ["a", "b", "c", "d"], ["Nell", "sat"], ["x"]]


def store(directory: Path, max_bytes: int = 1 << 30) -> LayerStore:
    return LayerStore(directory, max_bytes=max_bytes, seconds_between_looks=0.0)


def key(number: int) -> bytes:
    return number.to_bytes(32, "little")


def values(number: int, rows: int = 3) -> np.ndarray:
    return np.random.default_rng(number).standard_normal((rows, 7)).astype(np.float32)


def bytes_in(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


def test_what_was_stored_is_found_by_this_and_every_other_run(tmp_path: Path) -> None:
    first = store(tmp_path / "new" / "folder")
    assert first.get(key(0)) is None
    for number in range(50):
        first.put(key(number), values(number, rows=number % 5))
    first.put(key(99), values(99).astype(np.float16))
    for each in (first, store(tmp_path / "new" / "folder"), copy.deepcopy(first)):
        for number in range(50):
            np.testing.assert_array_equal(each.get(key(number)), values(number, rows=number % 5))
        assert each.get(key(99)).dtype == np.float16
        assert each.get(key(50)) is None


def test_it_stays_within_its_bound_and_forgets_what_was_not_used(tmp_path: Path) -> None:
    bound = 200_000
    cache = store(tmp_path, bound)
    for number in range(2000):
        cache.put(key(number), values(number))
        if number % 10 == 0:
            assert bytes_in(tmp_path) <= bound
            np.testing.assert_array_equal(cache.get(key(0)), values(0), err_msg="used all the time")
            time.sleep(0.001)  # the clock of file times ticks slowly
    kept = [number for number in range(2000) if cache.get(key(number)) is not None]
    assert kept[-1] == 1999
    assert 0.8 * bound < 192 * len(kept) < bound  # 192 bytes a record
    newest = list(range(2000 - len(kept) // 2, 2000))
    assert set(newest) <= set(kept)


def test_a_value_larger_than_the_bound_is_not_stored(tmp_path: Path) -> None:
    cache = store(tmp_path, 5000)
    cache.put(key(0), values(0, rows=1000))
    assert cache.get(key(0)) is None
    cache.put(key(1), values(1))
    assert cache.get(key(1)) is not None


@pytest.mark.parametrize("cut", [50, 100, 500, 2000])
def test_a_torn_file_is_good_up_to_where_it_is_torn(cut: int, tmp_path: Path) -> None:
    cache = store(tmp_path)
    for number in range(10):
        cache.put(key(number), values(number))
    cache.close()
    (path,) = cache_files(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    again = store(tmp_path)
    found = [again.get(key(number)) is not None for number in range(10)]
    assert not found[-1]
    assert found == sorted(found, reverse=True)
    for number in range(10):
        again.put(key(number), values(number))
        np.testing.assert_array_equal(again.get(key(number)), values(number))


def test_a_file_cut_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    cache = store(tmp_path)
    cache.put(key(0), values(0, rows=5000))
    assert cache.get(key(0)) is not None
    (path,) = cache_files(tmp_path)
    os.truncate(path, 4096)
    assert cache.get(key(0)) is None


def test_changed_bytes_are_never_trusted(tmp_path: Path) -> None:
    cache = store(tmp_path)
    for number in range(5):
        cache.put(key(number), values(number))
    (path,) = cache_files(tmp_path)
    content = path.read_bytes()
    damage = np.random.default_rng(0)
    for place in damage.integers(0, len(content), 300):
        changed = bytearray(content)
        changed[place] ^= 0x10
        path.write_bytes(changed)
        again = store(tmp_path)
        for number in range(5):
            found = again.get(key(number))
            assert found is None or np.array_equal(found, values(number))
        again.close()


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    foreign = {"notes.txt": b"mine", "a.layers": b"x" * 10_000, f"{0:032x}.layers": b"y" * 100, f"{1:032x}.layers": b""}
    for name, content in foreign.items():
        (tmp_path / name).write_bytes(content)
    cache = store(tmp_path)
    cache.put(key(0), values(0))
    np.testing.assert_array_equal(store(tmp_path).get(key(0)), values(0))
    for name, content in foreign.items():
        assert (tmp_path / name).read_bytes() == content


def test_a_directory_where_a_file_of_the_cache_should_be_is_told_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / f"{'0' * 32}.layers").mkdir()
    cache = store(tmp_path)
    assert cache.get(b"k" * 32) is None
    cache.put(b"k" * 32, np.ones((2, 3), np.float32))
    assert np.array_equal(cache.get(b"k" * 32), np.ones((2, 3)))
    (tmp_path / "barred").mkdir()
    (tmp_path / "barred" / "lock").mkdir()
    barred = store(tmp_path / "barred")
    barred.put(b"k" * 32, np.ones((2, 3), np.float32))
    assert barred.get(b"k" * 32) is None
    assert [record.message.count("\n") for record in caplog.records] == [0]
    assert "nothing more is stored" in caplog.text


def test_a_full_disk_ends_storing_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache = store(tmp_path)
    cache.put(key(0), values(0))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("elmo_tagger.bilm.cache.files.os.write", full)
    for number in (1, 2):
        cache.put(key(number), values(number))
        assert cache.get(key(number)) is None
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}: nothing more is stored: [Errno 28] No space left on device"
    ]
    assert cache.get(key(0)) is not None


def work(directory: Path, start: int, bound: int) -> None:
    cache = store(directory, bound)
    for number in range(start, start + 100):
        cache.put(key(number), values(number))
        for other in range(max(0, number - 15), number):
            found = cache.get(key(other))
            assert found is None or np.array_equal(found, values(other))


@pytest.mark.parametrize("bound", [1 << 30, 20_000])
def test_several_processes_read_each_others_values_within_the_bound(bound: int, tmp_path: Path) -> None:
    """Their ranges overlap, so that some keys are stored twice."""
    context = multiprocessing.get_context("fork")
    parent = store(tmp_path, bound)
    parent.put(key(10_000), values(10_000))
    processes = [context.Process(target=work, args=(tmp_path, 50 * number, bound)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    found = [parent.get(key(number)) for number in range(200)]
    assert bytes_in(tmp_path) <= bound
    if bound == 1 << 30:
        assert all(np.array_equal(each, values(number)) for number, each in enumerate(found))
    else:
        assert any(each is not None for each in found)


def ids(sentences: list[list[str]]) -> torch.Tensor:
    return torch.from_numpy(encode_sentences(sentences, max_characters=12)).long()


class Counting:
    """Counts the sentences that a biLM embeds."""

    def __init__(self, bilm: torch.nn.Module) -> None:
        self.sentences = 0
        bilm.register_forward_pre_hook(self)

    def __call__(self, _module: object, inputs: tuple[torch.Tensor, ...]) -> None:
        self.sentences += len(inputs[0])


@pytest.mark.parametrize("keep_boundaries", [False, True])
@pytest.mark.parametrize("layers", [[0, 1, 2], [2], [0], [0, 2]])
def test_a_cached_bilm_gives_what_the_bilm_gives(layers: list[int], keep_boundaries: bool, tmp_path: Path) -> None:
    bilm = random_bilm()
    count = Counting(bilm)
    cached = CachedBilm(bilm, store(tmp_path), layers=layers, keep_boundaries=keep_boundaries)
    for sentences, computed in ((SENTENCES[:4], 4), (SENTENCES, 1), (SENTENCES[::-1], 0), ([[], []], 0)):
        before = count.sentences
        received = cached(ids(sentences))
        assert count.sentences - before == computed
        expected = random_bilm()(ids(sentences), layers=layers, keep_boundaries=keep_boundaries)
        assert torch.equal(received.mask, expected.mask)
        assert list(received.layers) == list(expected.layers) == layers
        for layer in layers:
            torch.testing.assert_close(received.layers[layer], expected.layers[layer], atol=TOLERANCE, rtol=0)


def test_gaps_count_as_part_of_the_sentence(tmp_path: Path) -> None:
    gapped = ids([["a", "b", "c", "d"]])
    gapped[0, 1] = 0
    cached = CachedBilm(random_bilm(), store(tmp_path), layers=[0, 1, 2], keep_boundaries=True)
    expected = random_bilm()(gapped, keep_boundaries=True)
    for _ in range(2):
        received = cached(gapped)
        assert torch.equal(received.mask, expected.mask)
        for layer in range(3):
            torch.testing.assert_close(received.layers[layer], expected.layers[layer], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(cached(ids([["a", "c", "d"]])).layers[2][0, 2:4], expected.layers[2][0, 3:5])


def test_what_differs_is_kept_apart(tmp_path: Path) -> None:
    """Other weights, layers, types or boundaries: another key."""
    other = random_bilm(seed=1)
    variants = [
        (random_bilm(), {"layers": [2]}),
        (other, {"layers": [2]}),
        (random_bilm(), {"layers": [1]}),
        (random_bilm(), {"layers": [2], "keep_boundaries": True}),
        (random_bilm(), {"layers": [2], "dtype": "float16"}),
        (random_bilm(precision="bfloat16"), {"layers": [2]}),
    ]
    for bilm, wanted in variants:
        count = Counting(bilm)
        CachedBilm(bilm, store(tmp_path), **wanted)(ids([["a", "b"]]))
        assert count.sentences == 1
    again = random_bilm()
    count = Counting(again)
    CachedBilm(again, store(tmp_path), layers=[2])(ids([["a", "b"]]))
    assert count.sentences == 0, "and the same again: the same key"


def test_weights_that_change_all_the_same(tmp_path: Path) -> None:
    bilm = random_bilm()
    cached = CachedBilm(bilm, store(tmp_path), layers=[2])
    cached(ids([["a", "b"]]))
    bilm.load_state_dict(random_bilm(seed=1).state_dict())
    expected = random_bilm(seed=1)(ids([["a", "b"]])).layers[2]
    torch.testing.assert_close(cached(ids([["a", "b"]])).layers[2], expected, atol=TOLERANCE, rtol=0)


def test_float16_stores_values_to_its_precision_and_gives_float32(tmp_path: Path) -> None:
    half = CachedBilm(random_bilm(), store(tmp_path), layers=[0, 1, 2], dtype="float16")
    exact = random_bilm()(ids(SENTENCES))
    half(ids(SENTENCES))
    received = half(ids(SENTENCES))
    for layer in range(3):
        torch.testing.assert_close(received.layers[layer], exact.layers[layer], atol=2**-10, rtol=2**-10)
        assert received.layers[layer].dtype == torch.float32


def test_what_float16_cannot_hold_is_computed_every_time(tmp_path: Path) -> None:
    bilm = random_bilm()
    with torch.no_grad():
        bilm.char_cnn.b_proj += 1e6
    count = Counting(bilm)
    cached = CachedBilm(bilm, store(tmp_path), layers=[0], dtype="float16")
    for _ in range(2):
        assert cached(ids([["a"]])).layers[0].abs().max() > 9e5
    assert count.sentences == 2


@pytest.mark.parametrize(
    ("arguments", "wanted", "message"),
    [
        ({"stateful": True}, {}, "expected a stateless biLM: this one's layers depend on the sentences before"),
        ({}, {"dtype": "int8"}, "dtype: expected one of float32, float16, received 'int8'"),
    ],
)
def test_a_stateful_bilm_and_an_unknown_dtype_are_refused(
    arguments: dict, wanted: dict, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        CachedBilm(random_bilm(**arguments), store(tmp_path), layers=[2], **wanted)
