import json
import re
import resource
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from elmo_tagger.vectors import approximate, search
from elmo_tagger.vectors.nearest import unit
from elmo_tagger.vectors.search import Line, approximate_index, search_index, write_index
from tests.vectors.test_search import BILM, SENTENCES, invoke

pytest.importorskip("faiss")
COUNT, WIDTH, PART = 1000, 16, 300


@pytest.fixture
def vectors() -> np.ndarray:
    return unit(np.random.default_rng(0).standard_normal((COUNT, WIDTH)).astype(np.float32))


@pytest.fixture
def index(vectors: np.ndarray, tmp_path: Path) -> Path:
    path = tmp_path / "index"
    write_index(path, iter([(vectors, [Line(f"sentence {row}", row + 1) for row in range(COUNT)])]), {})
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_near_is_found_in_every_file_with_its_exact_cosine(index: Path, vectors: np.ndarray) -> None:
    folder = index.with_name("parts")
    with h5py.File(index) as file:
        assert approximate.make(folder, file["vectors"], {}, part=PART)
    assert len(files(folder)) == 1 + 4
    noise = 0.02 * np.random.default_rng(1).standard_normal((COUNT, WIDTH)).astype(np.float32)
    for row in range(0, COUNT, 90):
        query = vectors[row] + noise[row]
        exact = search_index(index, {}, query, COUNT)
        found = search_index(index, {}, query, 3, beside=folder)
        assert found[0].item == exact[0].item == Line(f"sentence {row}", row + 1)
        cosines = {each.item: each.cosine for each in exact}
        assert [each.cosine for each in found] == pytest.approx([cosines[each.item] for each in found], abs=1e-6)
        assert [each.cosine for each in found] == sorted((each.cosine for each in found), reverse=True)


def test_a_text_of_few_sentences_has_no_approximate_index(index: Path) -> None:
    assert approximate_index(index, {}, above=COUNT) is None
    assert approximate_index(index, {}) is None
    assert [path.name for path in index.parent.iterdir()] == ["index"]
    beside = approximate_index(index, {}, above=COUNT - 1)
    assert beside == index.with_name("index.faiss")


class Interrupted:
    """Vectors of which some cannot be read any more."""

    def __init__(self, vectors: np.ndarray, readable: int) -> None:
        self._vectors, self._readable, self.shape = vectors, readable, vectors.shape

    def __len__(self) -> int:
        return len(self._vectors)

    def __getitem__(self, rows: slice) -> Any:
        if rows.stop > self._readable:
            raise KeyboardInterrupt
        return self._vectors[rows]


def test_work_that_was_interrupted_goes_on_where_it_stopped(vectors: np.ndarray, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        approximate.make(folder, Interrupted(vectors, 700), {"a": 1}, part=PART)
    done = files(folder)
    assert sorted(done) == ["0.faiss", "300.faiss", "settings.json"]
    times = {name: (folder / name).stat().st_mtime_ns for name in done}
    assert approximate.make(folder, vectors, {"a": 1}, part=PART)
    assert sorted(files(folder)) == sorted([*done, "600.faiss", "900.faiss"])
    assert {name: (folder / name).stat().st_mtime_ns for name in done} == times
    assert not approximate.make(folder, vectors, {"a": 1}, part=PART)
    assert approximate.make(folder, vectors, {"a": 2}, part=PART)  # other vectors: all of it is made again
    assert (folder / "0.faiss").stat().st_mtime_ns != times["0.faiss"]


@pytest.mark.parametrize("room", [1_000, 26_000])
def test_a_full_disk_leaves_no_file_in_part(room: int, vectors: np.ndarray, tmp_path: Path) -> None:
    """Of the larger room faiss uses all, and does not say that the last bytes are missing."""
    approximate.make(tmp_path / "whole", vectors, {})
    assert room < (tmp_path / "whole" / "0.faiss").stat().st_size < room + 5_000 or room < 2_000
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(OSError, match=re.escape(f"'{tmp_path}/parts/0.faiss'")):
            approximate.make(tmp_path / "parts", vectors, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(files(tmp_path / "parts")) == ["settings.json"]


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(search, "APPROXIMATE_ABOVE", 10)
    path = tmp_path / "text.txt"
    path.write_text("\n" + "\n".join(SENTENCES) + "\n")
    return path


def command(text: Path, *more: str) -> tuple[int, str, str]:
    return invoke(
        "search", text, "Emma saw the b .", "--weights", BILM, "--index", text.with_suffix(".index"), "--top", 3, *more
    )


def test_the_command_finds_the_same_with_an_approximate_index_as_without(text: Path) -> None:
    index, folder = text.with_suffix(".index"), text.with_suffix(".index.faiss")
    code, exact, said = command(text, "--exact")
    assert (code, said, folder.exists()) == (0, f"{index}: 16 sentences\n", False)
    code, found, said = command(text)
    assert (code, said) == (0, f"{folder}: an approximate index of 16 sentences; --exact searches without it\n")
    assert found == exact
    made = files(folder)
    assert command(text) == (0, exact, "")
    assert files(folder) == made
    assert json.loads(command(text, "--json")[1]) == json.loads(command(text, "--json", "--exact")[1])


def test_an_approximate_index_of_another_text_or_bilm_is_not_used(text: Path) -> None:
    command(text)
    text.write_text(text.read_text() + "Emma saw the b .\n")
    for more, what in (([], "text"), (["--layers", "top"], "text, layers")):
        code, _, said = command(text, *more)
        assert (code, f"an index of something else ({what} differ)" in said) == (2, True)
    command(text, "--exact", "--force")  # the approximate one stays as it is, and is of the old text now
    code, found, said = command(text)
    assert (code, "an approximate index of 17 sentences" in said) == (0, True)
    assert [line.split(":")[0].split()[1] for line in found.splitlines()[:2]] == ["3", "18"]


def test_a_damaged_approximate_index_is_one_line_and_can_be_mended_or_done_without(text: Path) -> None:
    index, folder = text.with_suffix(".index"), text.with_suffix(".index.faiss")
    _, expected, _ = command(text)
    part = folder / "0.faiss"
    whole = part.read_bytes()
    for damaged in (whole[:-1], whole[:100], b"", b"not an index"):
        part.write_bytes(damaged)
        said = f"error: {part}: expected 16 vectors of an approximate index: --force makes it anew\n"
        assert command(text) == (2, "", said)
    assert command(text, "--exact") == (0, expected, "")
    code, found, _ = command(text, "--force")
    assert (code, found, part.read_bytes() == whole) == (0, expected, True)
    (folder / "settings.json").write_text("[]")
    assert command(text)[::2] == (
        2,
        f"error: {folder}: expected an approximate index that `elmo-tagger search` wrote: remove it, or search with "
        "--exact\n",
    )
    assert part.exists()
    index.write_bytes(index.read_bytes()[:3000])
    code, _, said = command(text)
    assert (code, said.count("\n"), f"{index}: expected an index that" in said) == (2, 1, True)


def test_something_else_in_the_place_of_the_approximate_index_stays(text: Path) -> None:
    folder = text.with_suffix(".index.faiss")
    folder.mkdir()
    (folder / "notes.faiss").write_text("mine")
    for more in ([], ["--force"]):
        code, _, said = command(text, *more)
        assert (code, "expected an approximate index" in said) == (2, True)
    assert files(folder) == {"notes.faiss": b"mine"}


def test_without_faiss_all_is_compared_and_a_line_says_what_to_install(
    text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, exact, _ = command(text, "--exact")
    monkeypatch.setitem(sys.modules, "faiss", None)
    code, found, said = command(text)
    assert (code, found, said) == (
        0,
        exact,
        f"{text.with_suffix('.index')}: 16 sentences are compared; `pip install 'elmo-tagger[search]'` spares most\n",
    )
    assert command(text, "--exact") == (0, exact, "")
