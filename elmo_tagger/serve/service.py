"""From a request's bytes to its answer's: reading, tagging and writing, each where it holds up nobody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request

from elmo_tagger.serve.batching import Batcher
from elmo_tagger.serve.bodies import parse_body, read_body
from elmo_tagger.serve.forms import Read, Wanted, Write
from elmo_tagger.serve.metrics import Metrics
from elmo_tagger.serve.problems import too_many_tokens, too_slow, too_slow_a_body
from elmo_tagger.serve.settings import Settings
from elmo_tagger.tagger import Tagger
from elmo_tagger.tagger.documents import Untagged
from elmo_tagger.tagger.predictions import Prediction

T = TypeVar("T")

_SMALL = 8192  # bytes of a body that the event loop reads and writes itself, in about a millisecond


@dataclass(frozen=True, slots=True)
class _Job:
    """A request, read: its documents, which sentences of the network's answer are whose, and what writes the answer."""

    documents: list[tuple[Wanted, Untagged]]
    write: Write


class Service:
    """A tagger that answers requests.

    Short requests are read and written by the event loop; one other thread does it for long ones, and one more runs the
    network.

    Args:
        tagger: The tagger.
        settings: The limits.
    """

    def __init__(self, tagger: Tagger, settings: Settings) -> None:
        self.tagger = tagger
        self.settings = settings
        self.metrics = Metrics(lambda: self.batcher.waiting_tokens)
        self.batcher = Batcher(
            lambda sentences, top_k: tagger.predict_sentences(sentences, top_k=top_k),
            max_batch_tokens=settings.max_batch_tokens,
            max_waiting_tokens=settings.max_waiting_tokens,
            wait=settings.batch_wait,
            observe=self.metrics.batched,
        )
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="long texts")
        self._running: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The service runs as long as the context; what was accepted is to be answered before it ends."""
        self._running = asyncio.create_task(self.batcher.run())
        try:
            yield
        finally:
            self._running.cancel()
            self._aside.shutdown()

    @property
    def is_ready(self) -> bool:
        """Whether requests are answered."""
        return self._running is not None and not self._running.done() and not self.batcher.is_full

    async def answer(self, request: Request, read: Read) -> bytes:
        """The JSON that answers a request.

        Args:
            request: Its body is read here.
            read: What the body holds.

        Raises:
            Problem: The request is refused.
            ClientDisconnect: Nobody waits for the answer.
        """
        self.batcher.check_room()
        task, loop, seconds = asyncio.current_task(), asyncio.get_running_loop(), self.settings.timeout
        assert task is not None
        body, late = None, False

        def end() -> None:
            nonlocal late
            late = task.cancel()

        timer = loop.call_later(seconds, end)  # less than `asyncio.wait_for`, which begins a task
        try:
            body = await read_body(request, self.settings.max_body_bytes)
            return await self._answer(body, read)
        except asyncio.CancelledError:
            if not late:
                raise
            raise (too_slow_a_body(seconds) if body is None else too_slow(seconds)) from None
        finally:
            timer.cancel()

    async def _answer(self, body: bytes, read: Read) -> bytes:
        aside = len(body) > _SMALL
        job = await self._run(aside, lambda: self._read(body, read))
        predictions = await self._tag(job)
        return await self._run(aside, lambda: _written(job, predictions))

    async def _run(self, aside: bool, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._aside, work) if aside else work()

    def _read(self, body: bytes, read: Read) -> _Job:
        wanted, write = read(parse_body(body), self.settings.max_documents)
        documents = [(each, self.tagger.read(each.given)) for each in wanted]
        tokens = sum(len(sentence.tokens) for _, document in documents for sentence in document.sentences)
        if tokens > self.settings.max_tokens:
            raise too_many_tokens(self.settings.max_tokens, tokens)
        return _Job(documents, write)

    async def _tag(self, job: _Job) -> list[list[Prediction]]:
        """For each document the predictions of its sentences."""
        groups: dict[int, list[int]] = {}
        for number, (wanted, _) in enumerate(job.documents):
            top_k = self.tagger.config.model.top_k if wanted.top_k is None else wanted.top_k
            groups.setdefault(top_k, []).append(number)
        predictions: list[list[Prediction]] = [[] for _ in job.documents]
        for top_k, numbers in groups.items():
            sentences = [sentence.tokens for number in numbers for sentence in job.documents[number][1].sentences]
            found = iter(await self.batcher.tag(sentences, top_k))
            for number in numbers:
                predictions[number] = [next(found) for _ in job.documents[number][1].sentences]
        return predictions


def _written(job: _Job, predictions: list[list[Prediction]]) -> bytes:
    documents = [
        document.assemble(found, min_confidence=wanted.min_confidence)
        for (wanted, document), found in zip(job.documents, predictions, strict=True)
    ]
    return to_bytes(job.write(documents))


def to_bytes(value: Any) -> bytes:
    """A value as JSON."""
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can hold as an escape
        return json.dumps(value).encode()
