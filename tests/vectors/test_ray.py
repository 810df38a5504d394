"""A local Ray cluster of two workers, one of which is killed in the middle."""

import importlib.util
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from elmo_tagger.text.outputs import OutputError
from elmo_tagger.vectors import ray_job
from elmo_tagger.vectors.compute import Request, SentenceVectors
from elmo_tagger.vectors.model_source import ModelSource
from elmo_tagger.vectors.sentences import SentenceSource
from elmo_tagger.vectors.shards import ShardFolder
from elmo_tagger.vectors.slices import Slice

ROOT = Path(__file__).parents[2]
MODEL = ModelSource(weights=str(ROOT / "fixtures" / "bilm"))
LINES = [f"w{number} saw w{number % 7} {'x ' * (number % 5)}" if number % 11 else "" for number in range(300)]
REQUEST = Request(batch_tokens=16)

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::FutureWarning", "ignore::DeprecationWarning"
)


class UvRun:
    """The process above, as Ray sees it where the program was started by uv."""

    def parents(self) -> list["UvRun"]:
        return [self]

    def cmdline(self) -> list[str]:
        return ["uv", "run", "elmo-tagger", "embed", "--ray"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    ray = ray_job.import_ray()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ray._private.runtime_env.uv_runtime_env_hook.psutil", SimpleNamespace(Process=UvRun))
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


@pytest.fixture
def source(tmp_path: Path) -> SentenceSource:
    (tmp_path / "in.txt").write_text("\n".join(LINES) + "\n")
    return SentenceSource(path=str(tmp_path / "in.txt"))


def run(
    source: SentenceSource, folder: Path, *, shard_format: str = "hdf5", resume: bool = False, **options: object
) -> int:
    shards = ShardFolder(folder, shard_format=shard_format, settings={}, resume=resume)
    return ray_job.run(source, MODEL, REQUEST, shards, **{"workers": 2, "device": "cpu", **options})


@pytest.fixture(scope="module")
def expected() -> list[np.ndarray]:
    return SentenceVectors(MODEL.load()[0], REQUEST)([line.split() for line in LINES])


@pytest.mark.usefixtures("cluster")
def test_a_killed_worker_costs_nothing(source: SentenceSource, tmp_path: Path, expected: list[np.ndarray]) -> None:
    done: list[int] = []
    processes: list[int] = []

    def report(slice: Slice, process: int) -> None:
        done.append(slice.number)
        processes.append(process)
        if len(done) == 3:  # it has further windows by now, taken or waiting
            os.kill(process, signal.SIGKILL)

    assert run(source, tmp_path / "out", report=report) == len(LINES)
    assert sorted(done) == list(range(len(done))), "each window once"
    assert len(set(processes)) > 1
    shards = sorted((tmp_path / "out").glob("part-*.hdf5"))
    assert len(shards) == len(done) > 20
    found: dict[int, np.ndarray] = {}
    for shard in shards:
        with h5py.File(shard) as file:
            index = json.loads(file["sentence_to_index"][0])
            for name, values in file.items():
                if name != "sentence_to_index":
                    assert int(name) not in found, "nothing twice"
                    found[int(name)] = values[()]
                    assert index[LINES[int(name)].strip()] in file
    assert sorted(found) == list(range(len(LINES))), "nothing lost"
    for number, array in enumerate(expected):
        np.testing.assert_allclose(found[number], array, atol=1e-5, rtol=0)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["sentences"], manifest["shards"], manifest["complete"]) == (len(LINES), len(shards), True)
    assert not [file for file in (tmp_path / "out").iterdir() if file.name.startswith(".")]


@pytest.mark.usefixtures("cluster")
def test_workers_of_uv_run_install_nothing() -> None:
    """Ray would have uv install the project anew, from Ray's copy of it, in the environment of the caller."""
    import ray

    assert "py_executable" not in ray.get_runtime_context().runtime_env


def by_hand(left: list[Slice], arguments: dict, workers: int) -> Iterator[tuple[Slice, int]]:
    """What Ray does, in this process: each row of a table of slices to a worker."""
    worker = ray_job.Worker(**arguments)
    for each in left:
        row = worker({name: np.array([value]) for name, value in asdict(each).items()})
        yield each, row["process"][0]


def test_parquet_shards_that_are_missing_are_made_and_others_kept(
    source: SentenceSource, tmp_path: Path, expected: list[np.ndarray]
) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "out"
    run(source, folder, shard_format="parquet", hand_out=by_hand)
    shards = sorted(folder.glob("part-*.parquet"))
    for shard in shards[2:5]:
        shard.unlink()
    kept = {shard: shard.stat().st_mtime_ns for shard in shards if shard.exists()}
    done: list[int] = []
    told = {"report": lambda slice, _: done.append(slice.number)}
    run(source, folder, shard_format="parquet", resume=True, hand_out=by_hand, **told)
    assert sorted(done) == [2, 3, 4]
    assert {shard: shard.stat().st_mtime_ns for shard in kept} == kept
    rows = [row for shard in shards for row in pq.read_table(shard).to_pylist()]
    assert [row["index"] for row in rows] == list(range(len(LINES)))
    for row, line, array in zip(rows, LINES, expected, strict=True):
        assert row["tokens"] == line.split()
        np.testing.assert_allclose(np.reshape(row["vectors"], row["shape"]), array, atol=1e-5, rtol=0)


def test_inputs_and_folders_that_workers_cannot_share_are_refused(source: SentenceSource, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="format: expected one of hdf5, parquet, received 'npy'"):
        run(source, tmp_path / "out", shard_format="npy")
    for path in ("-", "in.txt.gz"):
        with pytest.raises(
            OutputError, match="expected a file that every worker can read from the middle, so unpacked"
        ):
            run(SentenceSource(path=path), tmp_path / path)
    folder = tmp_path / "out"
    with pytest.raises(OutputError, match=r"out: \d+ shards are missing, the first is 0: --resume makes them"):
        run(source, folder, hand_out=lambda *_: iter(()))
    with pytest.raises(OutputError, match="out: left by an earlier run: continue it with --resume, or begin anew with"):
        run(source, folder)
    run(source, folder, resume=True, hand_out=by_hand)
    Path(source.path).write_text("\n".join(["Another", *LINES[1:]]) + "\n")
    with pytest.raises(OutputError, match="out: its vectors are not those of this input: expected the same input to"):
        run(source, folder, resume=True)
