"""What an interruption leaves: the last commit, whatever happened to the bytes after it."""

import errno
import os
import random
from pathlib import Path

import h5py
import numpy as np
import pytest

from elmo_tagger.vectors.partial_file import InterruptedOutputError, OutputError, PartialFile, partial_names


def scribble(file: PartialFile, generator: random.Random) -> None:
    """Write and cut at random, before and behind what is committed."""
    for _ in range(generator.randrange(1, 8)):
        if generator.random() < 0.2:
            file.truncate(generator.randrange(0, 20_000))
        file.seek(generator.randrange(0, 20_000))
        file.write(generator.randbytes(generator.randrange(1, 9_000)))


def kill(file: PartialFile) -> None:
    """As when the process ends: the descriptors close, nothing else happens."""
    file.close()


@pytest.mark.parametrize("seed", range(25))
def test_returns_to_the_last_commit(seed: int, tmp_path: Path) -> None:
    generator = random.Random(seed)
    path = tmp_path / "x"
    part, commit = partial_names(path)
    file = PartialFile(path)
    for number in range(4):
        scribble(file, generator)
        file.commit({"number": number})
        committed = part.read_bytes()
        scribble(file, generator)
        if generator.random() < 0.5:
            kill(file)
            if generator.random() < 0.5:  # killed while it was preparing a commit
                commit.with_name(commit.name + ".new").write_bytes(generator.randbytes(30))
            file = PartialFile(path, resume=True)
            assert part.read_bytes() == committed
            assert file.state == {"number": number}
    scribble(file, generator)
    file.commit({})
    committed = part.read_bytes()
    scribble(file, generator)
    file.abandon()
    assert part.read_bytes() == committed
    PartialFile(path, resume=True).finish()
    assert path.read_bytes() == committed
    assert not part.exists()
    assert not commit.exists()


def test_reads_what_was_written(tmp_path: Path) -> None:
    generator = random.Random(0)
    file = PartialFile(tmp_path / "x")
    twin = (tmp_path / "twin").open("w+b", buffering=0)
    for _ in range(300):
        place, content = generator.randrange(0, 20_000), generator.randbytes(generator.randrange(1, 9_000))
        action = generator.choice(["write", "write", "read", "truncate", "commit"])
        for each in (file, twin):
            each.seek(place)
            if action == "write":
                each.write(content)
            elif action == "truncate":
                each.truncate(place)
        if action == "commit":
            file.commit({})
        file.seek(place)
        twin.seek(place)
        assert file.read(9_000) == twin.read(9_000)
        assert file.tell() == twin.tell()
        assert file.size == file.seek(0, 2) == twin.seek(0, 2)
    file.abandon()
    twin.close()


def test_a_kill_right_after_the_commit_file_took_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    file = PartialFile(path)
    file.write(b"a" * 5000)
    file.commit({})
    file.seek(100)
    file.write(b"b" * 9000)
    with monkeypatch.context() as patch:
        patch.setattr(PartialFile, "_put_pages", lambda self: None)
        file.commit({"second": True})
    assert partial_names(path)[0].read_bytes()[:5000] == b"a" * 5000
    kill(file)
    file = PartialFile(path, resume=True)
    assert file.state == {"second": True}
    file.finish()
    assert path.read_bytes() == b"a" * 100 + b"b" * 9000


def test_before_the_first_commit_resuming_begins_anew(tmp_path: Path) -> None:
    file = PartialFile(tmp_path / "x")
    file.write(b"abc")
    kill(file)
    file = PartialFile(tmp_path / "x", resume=True)
    assert (file.size, file.state) == (0, {})
    file.abandon()
    assert list(tmp_path.iterdir()) == []


def test_without_resume_an_earlier_beginning_is_dropped(tmp_path: Path) -> None:
    file = PartialFile(tmp_path / "x")
    file.write(b"abc")
    file.commit({"a": 1})
    kill(file)
    file = PartialFile(tmp_path / "x")
    assert (file.size, file.state) == (0, {})
    file.close()


@pytest.mark.parametrize("room", [0, 1, 3000, 12_000, 40_000, 60_000])
def test_a_full_disk_leaves_the_last_commit(room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HDF5 overwrites what it has written; it must neither crash nor leave half of that."""
    path = tmp_path / "x.hdf5"
    file = PartialFile(path)
    with h5py.File(file, "w", libver=("v108", "v108")) as datasets:
        datasets["0"] = np.arange(100)
    file.commit({"sentences": 1})
    committed = partial_names(path)[0].read_bytes()
    left = room
    write = os.pwrite

    def full(descriptor: int, data: memoryview, place: int) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = write(descriptor, data[:left], place)
        left -= done
        return done

    monkeypatch.setattr("elmo_tagger.vectors.partial_file.os.pwrite", full)
    datasets = h5py.File(file, "r+", libver=("v108", "v108"))
    for number in range(1, 40):
        datasets[str(number)] = np.arange(500)
    datasets.close()
    with pytest.raises(
        InterruptedOutputError, match=r"x.hdf5.part: No space left on device; .* continue with --resume"
    ):
        file.commit({"sentences": 40})
    file.abandon()
    assert partial_names(path)[0].read_bytes() == committed
    file = PartialFile(path, resume=True)
    assert file.state == {"sentences": 1}
    file.finish()
    with h5py.File(path) as datasets:
        assert list(datasets) == ["0"]


def test_two_processes_cannot_write_one_file(tmp_path: Path) -> None:
    file = PartialFile(tmp_path / "x")
    with pytest.raises(OutputError, match=r"x.part: another process is writing it"):
        PartialFile(tmp_path / "x", resume=True)
    file.abandon()


def test_damage_is_named(tmp_path: Path) -> None:
    file = PartialFile(tmp_path / "x")
    file.write(b"abc")
    file.commit({})
    kill(file)
    part, commit = partial_names(tmp_path / "x")
    part.write_bytes(b"ab")
    with pytest.raises(
        OutputError, match=r"x.part: expected the 3 bytes written, found 2: start again with --overwrite"
    ):
        PartialFile(tmp_path / "x", resume=True)
    for content in (commit.read_bytes() + b"x", b"", b"{}"):
        commit.write_bytes(content)
        with pytest.raises(OutputError, match=r"x.part.commit: damaged \(.*\): start again with --overwrite"):
            PartialFile(tmp_path / "x", resume=True)
