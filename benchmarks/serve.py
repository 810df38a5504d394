"""A service under load, beside the same tagger in one process.

    python benchmarks/serve.py throughput runs/quickstart/model.tar.gz    32 clients, one sentence a request
    python benchmarks/serve.py latency runs/quickstart/model.tar.gz       a lone request beside the tagger's own time
    python benchmarks/serve.py start runs/quickstart/model.tar.gz         beside the first entity of `elmo-tagger tag`
    python benchmarks/serve.py hostile runs/quickstart/model.tar.gz --requests 100000

`throughput` and `latency` count the processor time of the service's process alone, which other work on the machine adds
least to, and give the wall's beside it; clients are a process of their own. With 32 clients a batch has at most 32
sentences, so `pipe` is given batches of 64 and 32 too. `hostile` sends a tenth of requests that are none: fuzzed
bodies, wrong types, huge and slow ones, connections that are cut; every good answer is compared with the tagger's own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagger import TEXT, processor_seconds, texts_of

if TYPE_CHECKING:
    from elmo_tagger import Tagger

TICKS = os.sysconf("SC_CLK_TCK")


class Service:
    """A process that serves.

    Args:
        model: What it serves.
        arguments: Of `elmo-tagger serve`.
    """

    def __init__(self, model: str, *arguments: str) -> None:
        code = "from elmo_tagger.cli import main; main()"
        command = [sys.executable, "-c", code, "serve", model, "--port", "0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rpartition(":")[2])
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready"):
                return
            time.sleep(0.01)

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def processor_seconds(self) -> float:
        """Of all its threads, until now."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident(self) -> float:
        """Memory in MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def batch_sizes(self) -> tuple[float, float]:
        """Batches until now, and the sentences in all of them."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            rows = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines())
        return tuple(float(rows[f"elmo_tagger_batch_sentences_{name}"]) for name in ("count", "sum"))

    def load(
        self,
        texts: list[str],
        *,
        clients: int,
        requests: int | None = None,
        hostile: float = 0.0,
        answers: list[Any] | None = None,
        tenth: Callable[[], object] = lambda: None,
    ) -> dict[str, Any]:
        """What so many clients get, each of which waits for its answers; see `serve_clients`.

        Args:
            texts: One a request, from the first again if there are more requests.
            clients: How many.
            requests: How many; by default one for each text.
            hostile: The share of requests that are none.
            answers: For each text what is right; by default answers are not looked at.
            tenth: Called when each tenth of the requests begins.
        """
        given = {
            "port": self.port,
            "clients": clients,
            "texts": texts,
            "requests": len(texts) if requests is None else requests,
            "hostile": hostile,
            "answers": answers,
        }
        command = [sys.executable, str(Path(__file__).with_name("serve_clients.py"))]
        before = self.processor_seconds()
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            json.dump(given, process.stdin)
            process.stdin.close()
            for line in process.stdout:
                if line.startswith("{"):
                    return {**json.loads(line), "processor": self.processor_seconds() - before}
                tenth()
        raise RuntimeError("the clients failed")


def send_all(service: Service, texts: list[str], clients: int) -> tuple[float, float]:
    """Processor and wall seconds in which clients have all texts tagged."""
    found = service.load(texts, clients=clients)
    assert found["statuses"] == {"good 200": len(texts)}, found
    return found["processor"], found["seconds"]


def piped(tagger: Tagger, texts: list[str], batch_size: int) -> tuple[float, float]:
    """Processor and wall seconds of `Tagger.pipe`."""
    begin, begin_wall = time.process_time(), time.perf_counter()
    for _ in tagger.pipe(texts, batch_size=batch_size):
        pass
    return time.process_time() - begin, time.perf_counter() - begin_wall


def throughput(model: str, texts: list[str], rounds: int) -> dict[str, float]:
    """What a sentence costs 32 clients, one client, and `Tagger.pipe` with several sizes of batch; and ratios."""
    import elmo_tagger

    tagger = elmo_tagger.load(model)
    few = texts[: max(1, len(texts) // 10)]
    rows = []
    with Service(model) as service:
        send_all(service, texts[:200], 32)
        list(tagger.pipe(texts[:200]))
        for _ in range(rounds):
            batches, sentences = service.batch_sizes()
            many, many_wall = send_all(service, texts, 32)
            after = service.batch_sizes()
            one, one_wall = send_all(service, few, 1)
            pipes = {size: piped(tagger, texts, size) for size in (256, 64, 32)}
            each = 1e6 / len(texts)
            rows.append(
                {
                    "32 clients us": each * many,
                    "sentences a batch": (after[1] - sentences) / (after[0] - batches),
                    **{f"pipe({size}) us": each * pipe for size, (pipe, _) in pipes.items()},
                    **{f"of pipe({size})": pipe / many for size, (pipe, _) in pipes.items()},
                    **{f"of pipe({size}), wall": wall / many_wall for size, (_, wall) in pipes.items()},
                    "times one client": one / len(few) * len(texts) / many,
                    "times one client, wall": one_wall / len(few) * len(texts) / many_wall,
                }
            )
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def latency(model: str, texts: list[str]) -> dict[str, float]:
    """Milliseconds of a lone request and of the tagger's own call."""
    import elmo_tagger

    tagger = elmo_tagger.load(model)
    rows = []
    with Service(model) as service:
        send_all(service, texts[:50], 1)
        for text in texts[:50]:
            tagger(text)
        for first in range(0, len(texts), 50):
            part = texts[first : first + 50]
            served, served_wall = send_all(service, part, 1)
            begin, begin_wall = time.process_time(), time.perf_counter()
            for text in part:
                tagger(text)
            own, own_wall = time.process_time() - begin, time.perf_counter() - begin_wall
            each = 1000 / len(part)
            rows.append(
                {
                    "request ms": each * served,
                    "tagger ms": each * own,
                    "above ms": each * (served - own),
                    "above ms, wall": each * (served_wall - own_wall),
                }
            )
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def start(model: str, rounds: int) -> dict[str, float]:
    """Processor seconds until the service is ready, and until `elmo-tagger tag` has written the first entity."""
    code = "from elmo_tagger.cli import main; main()"
    rows = []
    for _ in range(rounds):
        with Service(model) as service:
            ready = service.processor_seconds()
        tag = processor_seconds([sys.executable, "-c", code, "tag", model], stdin=TEXT)
        rows.append({"ready s": ready, "first entity s": tag, "times": ready / tag})
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def hostile(model: str, texts: list[str], requests: int) -> dict[str, Any]:
    """Sends requests, a tenth of them hostile; counts wrong answers and the service's own errors, and its memory."""
    import elmo_tagger

    tagger = elmo_tagger.load(model)
    answers = [json.loads(json.dumps(tagger(text).to_json())) for text in texts]
    memory: list[float] = []
    with Service(model) as service:
        send_all(service, texts, 32)
        found = service.load(
            texts,
            clients=32,
            requests=requests,
            hostile=0.1,
            answers=answers,
            tenth=lambda: memory.append(service.resident()),
        )
        memory.append(service.resident())
    errors = sum(count for name, count in found["statuses"].items() if name.rpartition(" ")[2].startswith("5"))
    sizes = {f"MiB at {part}/{len(memory) - 1}": size for part, size in enumerate(memory)}
    counts = dict(sorted(found["statuses"].items()))
    return {**counts, "wrong": found["wrong"], "5xx": errors, "seconds": found["seconds"], **sizes}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("throughput", "latency", "start", "hostile"))
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=2000)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--text", type=Path, default=Path("fixtures/quickstart/test.conll"))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    import torch

    torch.set_num_threads(arguments.threads)
    texts = texts_of(arguments.text, arguments.sentences)
    if arguments.what == "throughput":
        row = throughput(arguments.model, texts, arguments.rounds)
    elif arguments.what == "latency":
        row = latency(arguments.model, texts[:500])
    elif arguments.what == "start":
        row = start(arguments.model, arguments.rounds)
    else:
        row = hostile(arguments.model, texts[:500], arguments.requests)
    print("  ".join(f"{name}: {value:,.2f}" for name, value in row.items()))


if __name__ == "__main__":
    main()
