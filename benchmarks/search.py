"""What an approximate index of sentences finds, and what it costs, beside comparing all of them.

    elmo-tagger search TEXT - --weights starter --index real.index     the sentences
    python benchmarks/search.py real.index                             recall among them alone
    python benchmarks/search.py real.index --sentences 1000000 5000000 --folder /tmp/search

Two hundred of the sentences are queries. More sentences than there are, are made up: to each vector of the index a
fifth of the difference of two others is added. So they lie as real ones do, with a cosine of 0.98 to the one they are
of, where a sentence's nearest other one has 0.88 or so. Seconds are the wall's, or with `cpu` the processor's; `cold`
is the first query after the files left the memory.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from elmo_tagger.vectors import approximate
from elmo_tagger.vectors.nearest import Nearest, Vectors, unit
from elmo_tagger.vectors.search import Block, Line, approximate_index, search_index, write_index

QUERIES = 200
TIMED = 9  # of them
TOP = 5
BLOCK = 50_000


def blocks(real: Vectors, count: int) -> Iterator[Block]:
    """Vectors and sentences without text: the real ones, then made-up ones."""
    random = np.random.default_rng(1)
    for start in range(0, count, BLOCK):
        rows = range(start, min(start + BLOCK, count))
        one, plus, minus = random.integers(len(real), size=(3, len(rows)))
        vectors = unit(real[one] + np.float32(0.2) * (real[plus] - real[minus]))
        left = max(0, min(len(rows), len(real) - start))
        vectors[:left] = real[start : start + left]
        yield vectors, [Line("", row + 1) for row in rows]


def made(index: Path) -> dict[str, float]:
    """Seconds and peak memory of making an approximate index, in a process of its own."""
    program = (
        "import resource, sys, time; from pathlib import Path\n"
        "from elmo_tagger.vectors.search import approximate_index\n"
        "begin = time.perf_counter(); approximate_index(Path(sys.argv[1]), {}, above=0, anew=True)\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(time.perf_counter() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(index)], capture_output=True, text=True, check=True)
    return dict(zip(("make_s", "make_cpu_s", "make_mib"), map(float, done.stdout.split()), strict=True))


def seconds(run: Callable[[Vectors], Any], queries: Vectors, files: list[Path]) -> dict[str, float]:
    """Of a query: the first one, its files read from the disk, and the median of the next ones."""
    for file in files:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    times = []
    for query in queries:
        begin = time.perf_counter(), time.process_time()
        run(query)
        times.append((time.perf_counter() - begin[0], time.process_time() - begin[1]))
    wall, processor = (statistics.median(each) for each in zip(*times[1:], strict=True))
    return {"cold_s": times[0][0], "warm_s": wall, "warm_cpu_s": processor}


def measured(real: Vectors, queries: Vectors, count: int, folder: Path) -> dict[str, Any]:
    """A row: `count` sentences, exactly and approximately."""
    index = folder / f"{count}.index"
    write_index(index, blocks(real, count), {})
    cost = made(index)
    beside = approximate_index(index, {}, above=0)
    assert beside is not None
    files = sorted(beside.iterdir())
    exact = seconds(lambda query: search_index(index, {}, query, TOP), queries[:TIMED], [index])
    quick = seconds(lambda query: search_index(index, {}, query, TOP, beside=beside), queries[:TIMED], [index, *files])
    nearest: Nearest[int] = Nearest(queries, TOP)
    with h5py.File(index) as file:
        for start in range(0, count, approximate.PART // 16):
            block = file["vectors"][start : start + approximate.PART // 16]
            nearest.show(block, range(start, start + len(block)))
    first = found = 0
    for query, expected in zip(queries, nearest.found(), strict=True):
        received = search_index(index, {}, query, TOP, beside=beside)
        first += received[0].item.number == expected[0].item + 1
        found += len({each.item.number for each in received} & {each.item + 1 for each in expected})
    return {
        "sentences": count,
        "recall_1": first / len(queries),
        f"recall_{TOP}": found / TOP / len(queries),
        **{f"exact_{name}": value for name, value in exact.items()},
        **quick,
        **cost,
        "index_mib": index.stat().st_size / 2**20,
        "approximate_mib": sum(file.stat().st_size for file in files) / 2**20,
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--sentences", type=int, nargs="*", default=[], help="numbers of made-up and real sentences")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the indexes lie")
    arguments = parser.parse_args()
    with h5py.File(arguments.index) as file:
        vectors = file["vectors"][:]
    order = np.random.default_rng(0).permutation(len(vectors))
    queries, real = vectors[order[:QUERIES]], vectors[np.sort(order[QUERIES:])]
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for count in arguments.sentences or [len(real)]:
            row = measured(real, queries, count, Path(folder))
            print(json.dumps({name: round(value, 4) for name, value in row.items()}), flush=True)


if __name__ == "__main__":
    main()
