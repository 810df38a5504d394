"""Clients of a service, in a process of their own, so that what they cost is not the service's; `serve.py` starts it.

Standard input holds one JSON object: `port`, `clients`, `texts`, `requests`, `hostile` (the share of requests that are
none) and `answers` (for each text what is right, or null). Standard output gets ten lines while it goes on, the time in
seconds each, and at last a JSON object: `seconds`, `statuses` with their numbers, and how many answers were `wrong`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
PATHS = ("/predict", "/predict_batch", "/", "/nowhere")
HUGE = 2**20 + 1  # a byte more than a service takes by itself


class Load:
    """Requests that several clients share.

    Args:
        given: What standard input held.
    """

    def __init__(self, given: dict[str, Any]) -> None:
        self.port: int = given["port"]
        self._requests: int = given["requests"]
        self._hostile: float = given["hostile"]
        self._answers = given["answers"]
        self._bodies = [json.dumps({"text": text}).encode() for text in given["texts"]]
        self._numbers = self._counted()
        self._begin = time.perf_counter()
        self.statuses: Counter[str] = Counter()
        self.wrong = 0

    def _counted(self) -> Iterator[int]:
        tenth = max(1, self._requests // 10)
        for number in range(self._requests):
            if number % tenth == 0:
                print(time.perf_counter() - self._begin, flush=True)
            yield number

    async def client(self, seed: int) -> None:
        """One client, which waits for each answer before it asks again."""
        drawn = random.Random(seed)
        connection = await asyncio.open_connection("127.0.0.1", self.port)
        for number in self._numbers:
            if self._hostile and drawn.random() < self._hostile:
                self.statuses[f"hostile {await attack(self.port, drawn)}"] += 1
                continue
            place = number % len(self._bodies)
            status, answer = await post(connection, self._bodies[place])
            self.statuses[f"good {status}"] += 1
            if status != 200 or (self._answers and json.loads(answer) != self._answers[place]):
                self.wrong += 1
        connection[1].close()


def request(body: bytes, path: str = "/predict", length: int | None = None) -> bytes:
    """The bytes of a request; with a length that is not its body's, if one is given."""
    return b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (path.encode(), length or len(body)) + body


async def post(connection: Connection, body: bytes, path: str = "/predict") -> tuple[int, bytes]:
    """Status and body of the answer to one request."""
    reader, writer = connection
    writer.write(request(body, path))
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
    return int(head.split(b" ", 2)[1]), await reader.readexactly(length)


async def attack(port: int, drawn: random.Random) -> int:
    """One hostile request on a connection of its own; the status that it got, 0 if it left without one."""
    kind = drawn.choice(["fuzzed"] * 16 + ["huge", "cut", "noise", "slow"])
    reader, writer = connection = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        if kind == "fuzzed":
            return (await post(connection, fuzzed(drawn), drawn.choice(PATHS)))[0]
        if kind == "huge":
            return (await post(connection, b" " * HUGE))[0]
        if kind == "noise":
            writer.write(drawn.randbytes(50) + b"\r\n\r\n")
            line = await reader.readline()
            return int(line.split(b" ")[1]) if line else 0
        whole = request(b"{", length=99)
        if kind == "slow":
            for place in range(0, len(whole), 20):
                writer.write(whole[place : place + 20])
                await asyncio.sleep(0.02)
        else:
            writer.write(whole[: drawn.randrange(len(whole))])
    return 0


def fuzzed(drawn: random.Random) -> bytes:
    """A body that is none: wrong types, damaged JSON, bytes."""
    values: list[Any] = [None, True, -1, 1e300, "", "\ud800", [], {}, [[]], {"a": 1}, "x" * 100, [None]]
    names = ["text", "sentence", "tokens", "inputs", "min_confidence", "top_k", ""]
    body = json.dumps({drawn.choice(names): drawn.choice(values) for _ in range(drawn.randrange(4))}).encode()
    place = drawn.randrange(len(body))
    return body[:place] + drawn.randbytes(drawn.randrange(1, 5)) + body[place + drawn.randrange(3) :]


async def run(given: dict[str, Any]) -> dict[str, Any]:
    """All clients to their end."""
    load = Load(given)
    begin = time.perf_counter()
    await asyncio.gather(*(load.client(seed) for seed in range(given["clients"])))
    return {"seconds": time.perf_counter() - begin, "statuses": load.statuses, "wrong": load.wrong}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.load(sys.stdin)))))
