"""Whole inputs: what is written, what an interruption leaves, and what continues it."""

import json
import resource
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from elmo_tagger.bilm import ScalarMix
from elmo_tagger.text.outputs import OutputError
from elmo_tagger.vectors import job, join
from elmo_tagger.vectors.compute import Request, SentenceVectors
from elmo_tagger.vectors.destination import Destination
from elmo_tagger.vectors.sentences import SentenceSource
from elmo_tagger.vectors.windows import Window
from tests.bilm.random_models import random_bilm

LINES = [
    "Nell sat in Reykjavík",
    "",
    *(f"w{number} saw w{number % 7} and {'x ' * (number % 5)}left" for number in range(60)),
    "Nell sat in Reykjavík",
]
NAMES = ["out.hdf5", "out.npy", "out.jsonl"]


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
    force: bool = False,
    stop_after: int | None = None,
    mix: ScalarMix | None = None,
    report: Callable[[Window, bool], None] = lambda window, there: None,
    forget_sentences: bool = False,
    **wanted: object,
) -> int:
    request = Request(**{"batch_tokens": 16, "pooling": "mean" if path.suffix == ".npy" else None, **wanted})
    vectors = SentenceVectors(random_bilm(), request, mix=mix)
    settings = job.settings(source, request, random_bilm(), mix)
    pooled = request.pooling is not None
    destination = Destination(str(path), inputs=[source.path], pooled=pooled, resume=resume, force=force)
    shards = destination.open(settings, computed_on="here", shard_format="hdf5")
    done = 0

    def count(window: Window, there: bool) -> None:
        nonlocal done
        done += not there
        report(window, there)
        if done == stop_after:
            raise Interrupted

    found = job.run(source, vectors, shards, report=count)
    destination.finish(shards, vectors, forget_sentences=forget_sentences)
    return found


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


def test_a_folder_keeps_its_shards(source: SentenceSource, tmp_path: Path) -> None:
    embed(source, tmp_path / "out", layers="top")
    embed(source, tmp_path / "whole.hdf5", layers="top")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    shards = sorted((tmp_path / "out").glob("part-*.hdf5"))
    assert (manifest["sentences"], manifest["shards"], manifest["complete"]) == (len(LINES), len(shards), True)
    found = {}
    for shard in shards:
        with h5py.File(shard) as file:
            found.update({name: file[name][()] for name in file if name != "sentence_to_index"})
    with h5py.File(tmp_path / "whole.hdf5") as file:
        assert found.keys() | {"sentence_to_index"} == set(file)
        assert all(np.array_equal(found[name], file[name]) for name in found)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("windows", [1, 3])
def test_a_resumed_run_writes_the_same_bytes_and_computes_nothing_twice(
    name: str, windows: int, source: SentenceSource, tmp_path: Path
) -> None:
    embed(source, tmp_path / f"whole-{name}")
    path = tmp_path / name
    with pytest.raises(Interrupted):
        embed(source, path, stop_after=windows)
    assert not path.exists()
    there: list[bool] = []
    embed(source, path, resume=True, report=lambda window, done: there.append(done))
    assert path.read_bytes() == (tmp_path / f"whole-{name}").read_bytes()
    assert there == [True] * windows + [False] * (len(there) - windows)
    assert len(there) > windows
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


@pytest.fixture
def room() -> Iterator[Callable[[int], None]]:
    """Lets files grow to so many bytes only: the error of a full disk, but for its number."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_names_the_file_and_costs_nothing(
    name: str, source: SentenceSource, tmp_path: Path, room: Callable[[int], None]
) -> None:
    """Shards are smaller than the file that they become."""
    embed(source, tmp_path / f"whole-{name}")
    room((tmp_path / f"whole-{name}").stat().st_size // 2)
    with pytest.raises(OSError, match=rf"{name}"):
        embed(source, tmp_path / name)
    assert {each.name for each in tmp_path.iterdir()} == {"in.txt", f"{name}.parts", f"whole-{name}"}
    room(1 << 30)
    there: list[bool] = []
    embed(source, tmp_path / name, resume=True, report=lambda window, done: there.append(done))
    assert all(there)
    assert (tmp_path / name).read_bytes() == (tmp_path / f"whole-{name}").read_bytes()


def test_other_settings_or_another_input_cannot_continue(source: SentenceSource, tmp_path: Path) -> None:
    path = tmp_path / "out.hdf5"
    with pytest.raises(Interrupted):
        embed(source, path, stop_after=2)

    def shards() -> dict[str, bytes]:
        return {each.name: each.read_bytes() for each in (tmp_path / "out.hdf5.parts").iterdir()}

    before = shards()
    with pytest.raises(
        OutputError, match=r"other settings: layers was 'all', is 'top'; mix was None, is .* to --resume"
    ):
        embed(source, path, resume=True, layers="top", mix=ScalarMix(3))
    for lines in (["Another", *LINES[1:]], LINES[:3]):
        Path(source.path).write_text("\n".join(lines) + "\n")
        with pytest.raises(OutputError, match=r"its vectors are not those of this input: expected the same input"):
            embed(source, path, resume=True)
    assert shards() == before, "a refusal changes nothing"


def test_no_sentences_at_all(tmp_path: Path) -> None:
    (tmp_path / "in.txt").touch()
    source = SentenceSource(path=str(tmp_path / "in.txt"))
    assert embed(source, tmp_path / "out.hdf5") == 0
    with h5py.File(tmp_path / "out.hdf5") as file:
        assert {name: value[0] for name, value in file.items()} == {"sentence_to_index": b"{}"}
    assert embed(source, tmp_path / "out.npy") == 0
    assert np.load(tmp_path / "out.npy").shape == (0, 3, 10)


def test_an_index_that_grows_too_large_is_left_out(
    source: SentenceSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elmo_tagger.vectors.destination.MAX_INDEX_BYTES", 200)
    for forget in (True, False):
        embed(source, tmp_path / "out.hdf5", forget_sentences=forget, force=True)
        with h5py.File(tmp_path / "out.hdf5") as file:
            assert set(file) == {str(number) for number in range(len(LINES))}


@pytest.mark.parametrize("name", NAMES)
def test_memory_does_not_grow_with_the_input(name: str, tmp_path: Path) -> None:
    """Twice the sentences, the same peak (neither HDF5's memory nor the words kept, which have bounds, count here)."""

    def peak(sentences: int) -> int:
        (tmp_path / "in.txt").write_text("".join(f"w{n % 90} w{n % 91} w{n % 92}\n" for n in range(sentences)))
        source = SentenceSource(path=str(tmp_path / "in.txt"))
        wanted = {"layers": "0", "pooling": "mean", "batch_tokens": 50, "forget_sentences": True}
        tracemalloc.start()
        try:
            embed(source, tmp_path / name, force=True, **wanted)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)  # what is imported and cached once
    small, large = peak(1200), peak(2400)  # the lines that tell the format, 1,000, are kept
    assert large < 1.1 * small


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("out.txt", {}, r"out.txt: expected a name that ends in one of .hdf5, .h5, .npy, .jsonl, or a folder"),
        ("out.npy", {"pooled": False}, r"out.npy: sentences differ in length: one .npy array needs --pool"),
        ("done.hdf5", {}, r"done.hdf5: exists already: expected another name, or --force"),
        ("begun.hdf5", {}, r"begun.hdf5.parts: left by an earlier run: continue it with --resume, or begin anew with"),
        ("begun.hdf5", {"resume": True, "force": True}, "expected --resume or --force, received both"),
        ("in.hdf5", {"force": True}, "in.hdf5: is an input: expected another name"),
    ],
)
def test_outputs_that_are_refused(path: str, options: dict, message: str, tmp_path: Path) -> None:
    (tmp_path / "done.hdf5").touch()
    (tmp_path / "in.hdf5").touch()
    (tmp_path / "begun.hdf5.parts").mkdir()
    asked = {"pooled": True, "resume": False, "force": False, **options}
    with pytest.raises(OutputError, match=message):
        Destination(str(tmp_path / path), inputs=[str(tmp_path / "in.hdf5")], **asked)
    with pytest.raises(FileNotFoundError, match=r"no/out\.npy"):
        Destination(str(tmp_path / "no" / "out.npy"), inputs=[], pooled=True, resume=False, force=False)


def test_a_complete_file_is_known(source: SentenceSource, tmp_path: Path) -> None:
    for name in NAMES:
        embed(source, tmp_path / name)
        assert Destination(str(tmp_path / name), inputs=[], pooled=True, resume=True, force=False).complete
    assert not Destination(str(tmp_path / "new.npy"), inputs=[], pooled=True, resume=True, force=False).complete
    recorded = join.recorded_settings(tmp_path / "out.hdf5")
    assert recorded == job.settings(source, Request(batch_tokens=16), random_bilm(), None)


def test_a_work_that_was_forced_is_continued_over_the_old_file(source: SentenceSource, tmp_path: Path) -> None:
    path = tmp_path / "out.npy"
    path.write_text("old")
    with pytest.raises(Interrupted):
        embed(source, path, force=True, stop_after=2)
    assert path.read_text() == "old"
    embed(source, path, resume=True)
    assert np.load(path).shape == (len(LINES), 3, 10)


def test_only_shards_are_removed_by_force(source: SentenceSource, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    kept = {"notes.txt", "part-00000000.hdf5", "part-1.txt"}
    for name in kept:
        (folder / name).touch()
    embed(source, folder)
    embed(source, folder, force=True, layers="top")
    assert {path.name for path in folder.iterdir() if not path.name.endswith("json")} >= kept
    with pytest.raises(OutputError, match=rf"{folder}: left by an earlier run"):
        embed(source, folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(OutputError, match=r"manifest\.json: missing or damaged, so nothing tells what the shards are"):
        embed(source, folder, resume=True)


def test_a_machine_of_another_kind_is_noticed(source: SentenceSource, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        embed(source, tmp_path / "out.npy", stop_after=1)
    destination = Destination(str(tmp_path / "out.npy"), inputs=[], pooled=True, resume=True, force=False)
    settings = job.settings(source, Request(batch_tokens=16, pooling="mean"), random_bilm(), None)
    assert destination.open(settings, computed_on="elsewhere", shard_format="hdf5").begun_on == "here"
    vectors = SentenceVectors(random_bilm(), Request())
    assert "cpu" in job.computed_on(vectors.device)
