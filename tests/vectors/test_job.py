"""Whole inputs: what is written, what an interruption leaves, and what continues it."""

import errno
import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from elmo_tagger.bilm import ScalarMix
from elmo_tagger.vectors import job
from elmo_tagger.vectors.compute import Request, SentenceVectors
from elmo_tagger.vectors.formats import check_output, open_output
from elmo_tagger.vectors.hdf5_output import Hdf5Output
from elmo_tagger.vectors.partial_file import InterruptedOutputError, OutputError, partial_names
from elmo_tagger.vectors.sentences import SentenceSource
from tests.bilm.random_models import random_bilm

LINES = [
    "Nell sat in Reykjavík",
    "",
    *(f"w{number} saw w{number % 7} and {'x ' * (number % 5)}left" for number in range(60)),
    "Nell sat in Reykjavík",
]


@pytest.fixture
def source(tmp_path: Path) -> SentenceSource:
    path = tmp_path / "in.txt"
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return SentenceSource(path=str(path))


class Interrupted(BaseException):
    """As KeyboardInterrupt, which would stop pytest."""


def embed(
    source: SentenceSource,
    path: Path,
    *,
    resume: bool = False,
    stop_after: int | None = None,
    mix: ScalarMix | None = None,
    report: Callable = lambda window, skipped: None,
    **wanted: object,
) -> int:
    request = Request(**{"batch_tokens": 16, "pooling": "mean" if path.suffix == ".npy" else None, **wanted})
    vectors = SentenceVectors(random_bilm(), request, mix=mix)
    done = 0

    def stopping(sentences: list[list[str]]) -> list[np.ndarray]:
        nonlocal done
        if stop_after is not None and done == stop_after:
            raise Interrupted
        done += 1
        return vectors(sentences)

    stopping.request = request
    output = open_output(str(path), vectors, resume=resume)
    settings = job.settings(source, request, random_bilm(), mix)
    return job.run(source, stopping, output, settings=settings, report=report)


def committed_sentences(path: Path) -> int:
    return json.loads(partial_names(path)[1].read_bytes().split(b"\n")[0])["state"]["sentences"]


def test_hdf5_as_old_consumers_read_it(source: SentenceSource, tmp_path: Path) -> None:
    """The steps of code written for the `allennlp elmo` command and for bilm-tf."""
    path = tmp_path / "out.hdf5"
    assert embed(source, path) == len(LINES)
    with h5py.File(path, "r") as file:
        index = json.loads(file.get("sentence_to_index")[0])
        assert len(file) == len(LINES) + 1
        assert index["Nell sat in Reykjavík"] == str(len(LINES) - 1), "of equal sentences the last"
        for number, line in enumerate(LINES):
            received = file[str(number)]
            assert received.shape == (3, len(line.split()), 10)
            assert received.dtype == np.float32
            expected = random_bilm().embed([line])
            if line:
                np.testing.assert_allclose(received[2], expected.lstm_outputs2[0], atol=1e-5, rtol=0)
                np.testing.assert_allclose(received[1], expected.lstm_outputs1[0], atol=1e-5, rtol=0)
        np.testing.assert_allclose(file["0"], file[index[LINES[0]]], atol=1e-5, rtol=0)


def test_npy(source: SentenceSource, tmp_path: Path) -> None:
    embed(source, tmp_path / "out.npy", layers="top", dtype="float16")
    array = np.load(tmp_path / "out.npy", mmap_mode="r")
    assert (array.shape, array.dtype) == ((len(LINES), 10), np.float16)
    expected = random_bilm().embed(LINES)
    mean = expected.lstm_outputs2.sum(1) / expected.mask.sum(1, keepdim=True).clamp(min=1)
    np.testing.assert_allclose(array, mean, atol=1e-3, rtol=0)


def test_json_lines(source: SentenceSource, tmp_path: Path) -> None:
    embed(source, tmp_path / "out.jsonl", layers="0")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(len(LINES)))
    assert [" ".join(line["tokens"]) for line in lines] == [" ".join(line.split()) for line in LINES]
    assert np.shape(lines[0]["vectors"]) == (4, 10)
    assert lines[1]["vectors"] == []


@pytest.mark.parametrize("name", ["out.hdf5", "out.npy", "out.jsonl"])
@pytest.mark.parametrize("windows", [0, 1, 3, 5])
def test_a_resumed_run_writes_the_same_bytes_and_computes_nothing_twice(
    name: str, windows: int, source: SentenceSource, tmp_path: Path
) -> None:
    embed(source, tmp_path / f"whole-{name}")
    path = tmp_path / name
    with pytest.raises(Interrupted):
        embed(source, path, stop_after=windows)
    assert not path.exists()
    computed: list[bool] = []
    embed(source, path, resume=windows > 0, report=lambda window, skipped: computed.append(not skipped))
    assert path.read_bytes() == (tmp_path / f"whole-{name}").read_bytes()
    assert computed[:windows] == [False] * windows
    assert len(computed) > windows
    assert all(computed[windows:])
    assert {each.name for each in tmp_path.iterdir()} == {"in.txt", name, f"whole-{name}"}


def test_interrupted_again_and_again(source: SentenceSource, tmp_path: Path) -> None:
    embed(source, tmp_path / "whole.hdf5")
    path = tmp_path / "out.hdf5"
    runs = 0
    while not path.exists():
        runs += 1
        try:
            embed(source, path, resume=runs > 1, stop_after=1)
        except Interrupted:
            continue
    assert runs > 5
    assert path.read_bytes() == (tmp_path / "whole.hdf5").read_bytes()


@pytest.mark.parametrize("name", ["out.hdf5", "out.npy", "out.jsonl"])
def test_a_full_disk(name: str, source: SentenceSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embed(source, tmp_path / f"whole-{name}")
    room = 3 * (tmp_path / f"whole-{name}").stat().st_size // 5
    write = os.pwrite

    def full(descriptor: int, data: memoryview, place: int) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = write(descriptor, data[:room], place)
        room -= done
        return done

    with monkeypatch.context() as patch:
        patch.setattr("elmo_tagger.vectors.partial_file.os.pwrite", full)
        message = rf"{name}.part: No space left on device; what was written before is complete there: .* --resume"
        with pytest.raises(InterruptedOutputError, match=message):
            embed(source, tmp_path / name)
    assert not (tmp_path / name).exists()
    assert committed_sentences(tmp_path / name) > 0
    embed(source, tmp_path / name, resume=True)
    assert (tmp_path / name).read_bytes() == (tmp_path / f"whole-{name}").read_bytes()


def test_what_was_written_is_complete_hdf5_at_any_time(source: SentenceSource, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        embed(source, tmp_path / "out.hdf5", stop_after=2)
    with h5py.File(tmp_path / "out.hdf5.part") as file:
        assert len(file) == committed_sentences(tmp_path / "out.hdf5") > 0


def test_other_settings_or_another_input_cannot_continue(source: SentenceSource, tmp_path: Path) -> None:
    path = tmp_path / "out.hdf5"
    with pytest.raises(Interrupted):
        embed(source, path, stop_after=2)
    before = [file.read_bytes() for file in partial_names(path)]
    with pytest.raises(
        OutputError, match=r"other settings: layers was 'all', is 'top'; mix was None, is .* to --resume"
    ):
        embed(source, path, resume=True, layers="top", mix=ScalarMix(3))
    for lines in (["Another", *LINES[1:]], LINES[:3]):
        Path(source.path).write_text("\n".join(lines) + "\n")
        with pytest.raises(OutputError, match=r"in.txt: its first \d+ sentences are not those that the earlier run"):
            embed(source, path, resume=True)
    assert [file.read_bytes() for file in partial_names(path)] == before, "a refusal changes nothing"


def test_no_sentences_at_all(tmp_path: Path) -> None:
    (tmp_path / "in.txt").touch()
    source = SentenceSource(path=str(tmp_path / "in.txt"))
    assert embed(source, tmp_path / "out.hdf5") == 0
    with h5py.File(tmp_path / "out.hdf5") as file:
        assert {name: value[0] for name, value in file.items()} == {"sentence_to_index": b"{}"}
    assert embed(source, tmp_path / "out.npy") == 0
    assert np.load(tmp_path / "out.npy").shape == (0, 3, 10)


def test_an_index_that_grows_too_large_is_left_out(source: SentenceSource, tmp_path: Path) -> None:
    vectors = SentenceVectors(random_bilm(), Request())
    for limit, dropped in ((0, False), (200, True)):
        output = open_output(str(tmp_path / "out.hdf5"), vectors, max_index_bytes=limit)
        assert isinstance(output, Hdf5Output)
        job.run(source, vectors, output, settings={})
        assert output.index_dropped is dropped
        with h5py.File(tmp_path / "out.hdf5") as file:
            assert set(file) == {str(number) for number in range(len(LINES))}


@pytest.mark.parametrize("name", ["out.hdf5", "out.npy", "out.jsonl"])
def test_memory_does_not_grow_with_the_input(name: str, tmp_path: Path) -> None:
    """Five times the sentences, the same peak (HDF5's own memory is not seen here; its cache has a bound)."""

    def peak(sentences: int) -> int:
        (tmp_path / "in.txt").write_text("".join(f"w{n} w{n + 1} w{n + 2}\n" for n in range(sentences)))
        source = SentenceSource(path=str(tmp_path / "in.txt"))
        vectors = SentenceVectors(random_bilm(), Request(layers="0", pooling="mean", batch_tokens=10))
        output = open_output(str(tmp_path / name), vectors, max_index_bytes=0)
        tracemalloc.start()
        try:
            job.run(source, vectors, output, settings={})
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)  # what is imported and cached once
    small, large = peak(200), peak(1000)
    # a window has 13 sentences; HDF5 changes up to two pages of its index for each
    assert large < 1.1 * small + 2 * 13 * 4096


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "out.txt"}, r"out.txt: expected a name that ends in one of .hdf5, .h5, .npy, .jsonl"),
        ({"path": "out.npy", "pooled": False}, r"out.npy: sentences differ in length: one .npy array needs --pool"),
        ({"path": "no/out.npy"}, r"no/out.npy: the directory .*/no does not exist$"),
        ({"path": "done.hdf5"}, r"done.hdf5: exists already: expected another name, or --overwrite"),
        ({"path": "begun.hdf5"}, r"begun.hdf5.part: left by an interrupted run: continue with --resume, or begin anew"),
        ({"path": "begun.hdf5", "resume": True, "overwrite": True}, "expected --resume or --overwrite, received both"),
        ({"path": "-", "resume": True}, "standard output cannot be continued"),
    ],
)
def test_outputs_that_are_refused(arguments: dict, message: str, tmp_path: Path) -> None:
    (tmp_path / "done.hdf5").touch()
    (tmp_path / "begun.hdf5.part").touch()
    path = arguments.pop("path")
    path = path if path == "-" else str(tmp_path / path)
    with pytest.raises(OutputError, match=message):
        check_output(path, **{"pooled": True, "resume": False, "overwrite": False, **arguments})


def test_outputs_that_are_free(tmp_path: Path) -> None:
    (tmp_path / "done.hdf5").touch()
    (tmp_path / "begun.hdf5.part").touch()

    def check(name: str, resume: bool = False, overwrite: bool = False) -> bool:
        return check_output(str(tmp_path / name), pooled=False, resume=resume, overwrite=overwrite)

    assert check("new.h5")
    assert check("new.h5", resume=True)
    assert check("done.hdf5", overwrite=True)
    assert not check("done.hdf5", resume=True), "complete"
    assert check("begun.hdf5", resume=True)
    assert check("begun.hdf5", overwrite=True)
    assert check_output("-", pooled=False, resume=False, overwrite=False)
