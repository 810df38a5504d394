"""A service under load, beside the same tagger in one process.

    python benchmarks/serve.py throughput runs/quickstart/model.tar.gz    32 clients, one sentence a request
    python benchmarks/serve.py latency runs/quickstart/model.tar.gz       a lone request beside the tagger's own time
    python benchmarks/serve.py start runs/quickstart/model.tar.gz         beside the first entity of `elmo-tagger tag`
    python benchmarks/serve.py hostile runs/quickstart/model.tar.gz --requests 100000

`throughput` and `latency` count the processor time of the service's process alone, which other work on the machine adds
least to, and give the wall's beside it. `hostile` sends a tenth of requests that are none: fuzzed bodies, wrong types,
huge and slow ones, connections that are cut; every good one is compared with the tagger's own answer.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tagger import TEXT, processor_seconds, texts_of

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

    def connect(self) -> http.client.HTTPConnection:
        """A connection that stays."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)


def post(connection: http.client.HTTPConnection, body: bytes, path: str = "/predict") -> tuple[int, bytes]:
    """One request."""
    connection.request("POST", path, body)
    response = connection.getresponse()
    return response.status, response.read()


def send_all(service: Service, texts: list[str], clients: int) -> tuple[float, float]:
    """Processor and wall seconds in which so many clients, each waiting for its answer, have all texts tagged."""
    shared = iter(texts)

    def run(_: int) -> None:
        connection = service.connect()
        for text in shared:  # a list's iterator gives each text to one thread
            status, _ = post(connection, json.dumps({"text": text}).encode())
            assert status == 200, status
        connection.close()

    before, begin = service.processor_seconds(), time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(run, range(clients)))
    return service.processor_seconds() - before, time.perf_counter() - begin


def throughput(model: str, texts: list[str], rounds: int) -> dict[str, float]:
    """Sentences a second of 32 clients, of one, and of `Tagger.pipe`, and their ratios."""
    import elmo_tagger

    tagger = elmo_tagger.load(model)
    few = max(1, len(texts) // 10)
    rows = []
    with Service(model) as service:
        send_all(service, texts[:200], 32)
        list(tagger.pipe(texts[:200]))
        for _ in range(rounds):
            many, many_wall = send_all(service, texts, 32)
            one, one_wall = send_all(service, texts[:few], 1)
            begin, begin_wall = time.process_time(), time.perf_counter()
            list(tagger.pipe(texts))
            pipe, pipe_wall = time.process_time() - begin, time.perf_counter() - begin_wall
            rows.append(
                {
                    "32 clients/s": len(texts) / many,
                    "one client/s": few / one,
                    "pipe/s": len(texts) / pipe,
                    "of pipe": pipe / many,
                    "times one client": one / few * len(texts) / many,
                    "of pipe (wall)": pipe_wall / many_wall,
                    "times one client (wall)": one_wall / few * len(texts) / many_wall,
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
                    "above ms (wall)": each * (served_wall - own_wall),
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


def fuzzed(drawn: random.Random) -> bytes:
    """A body that is none: wrong types, damaged JSON, bytes."""
    values: list[Any] = [None, True, -1, 1e300, "", "\ud800", [], {}, [[]], {"a": 1}, "x" * 100, [None]]
    names = ["text", "sentence", "tokens", "inputs", "min_confidence", "top_k", ""]
    body = json.dumps({drawn.choice(names): drawn.choice(values) for _ in range(drawn.randrange(4))}).encode()
    place = drawn.randrange(len(body))
    return body[:place] + drawn.randbytes(drawn.randrange(1, 5)) + body[place + drawn.randrange(3) :]


def attack(service: Service, drawn: random.Random, connection: http.client.HTTPConnection) -> int:
    """One hostile request; the status that it got, 0 if it did not wait for one."""
    kind = drawn.randrange(20)
    if kind < 16:
        return post(connection, fuzzed(drawn), drawn.choice(["/predict", "/predict_batch", "/", "/nowhere"]))[0]
    if kind == 16:  # huge, and said to be
        return post(connection, b" " * (2**20 + 1))[0]
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as raw, contextlib.suppress(OSError):
        if kind == 17:  # cut off, in the headers or in the body
            raw.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n{"[: drawn.randrange(60)])
        elif kind == 18:  # no HTTP
            raw.sendall(drawn.randbytes(50) + b"\r\n\r\n")
        else:  # slow
            for part in (b"POST /predict HTTP/1.1\r\nHost: a\r\n", b"Content-Length: 2\r\n\r\n", b"{"):
                raw.sendall(part)
                time.sleep(0.02)
    return 0


def hostile(model: str, texts: list[str], requests: int) -> dict[str, float]:
    """Sends requests, a tenth of them hostile; counts wrong answers and the service's own errors, and its memory."""
    import elmo_tagger

    tagger = elmo_tagger.load(model)
    right = {text: json.loads(json.dumps(tagger(text).to_json())) for text in set(texts)}
    statuses: Counter[str] = Counter()
    wrong = itertools.count()
    counted = itertools.count()
    memory: list[float] = []

    def run(seed: int) -> None:
        drawn = random.Random(seed)
        connection = service.connect()
        for number in counted:
            if number >= requests:
                break
            if number in marks:
                memory.append(service.resident())
            if drawn.random() < 0.1:
                statuses[f"hostile {attack(service, drawn, connection)}"] += 1
                continue
            text = drawn.choice(texts)
            status, body = post(connection, json.dumps({"text": text}).encode())
            statuses[f"good {status}"] += 1
            if status != 200 or json.loads(body) != right[text]:
                next(wrong)

    with Service(model) as service:
        send_all(service, texts, 32)
        marks = {requests * part // 10 for part in range(1, 10)}
        memory.append(service.resident())
        with ThreadPoolExecutor(32) as pool:
            list(pool.map(run, range(32)))
        memory.append(service.resident())
    errors = sum(count for name, count in statuses.items() if name.rpartition(" ")[2].startswith("5"))
    sizes = {f"MiB at {part}/{len(memory) - 1}": size for part, size in enumerate(memory)}
    return {**dict(sorted(statuses.items())), "wrong": next(wrong), "5xx": errors, **sizes}


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
