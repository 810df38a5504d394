"""Sentences of many requests, batched by tokens for one network."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from elmo_tagger.serve.problems import queue_full
from elmo_tagger.tagger.predictions import Prediction

_LONGEST_WAIT = 10  # times the wait, while requests keep coming
Sentence = Sequence[str]
Predict = Callable[[list[Sentence], int], list[Prediction]]
"""What tags sentences, with that many taggings of each."""


@dataclass(eq=False)
class _Request:
    """A request's sentences, some of which are done."""

    sentences: list[Sentence]
    top_k: int
    answer: asyncio.Future[list[Prediction]]
    begun: int = 0
    predictions: list[Prediction] = field(default_factory=list)

    @property
    def next_cost(self) -> int:
        return _cost(self.sentences[self.begun])


class Batcher:
    """Gives one thread, which owns the network, batches of the sentences that wait.

    Requests take turns: each gives a sentence, then each the next one, until the batch is full. So a long document
    waits for itself, not short ones for it. While a batch is computed others gather; a batch that is not full waits for
    company, as long as it keeps coming.

    Args:
        predict: Tags sentences; what it says of one may not depend on the others.
        max_batch_tokens: Of a batch; a longer sentence goes alone.
        max_waiting_tokens: Of all requests.
        wait: Seconds without a request after which a batch that is not full is computed; a client that is alone does
            not wait.
        observe: Is told sentences and tokens of each batch.
    """

    def __init__(
        self,
        predict: Predict,
        *,
        max_batch_tokens: int,
        max_waiting_tokens: int,
        wait: float,
        observe: Callable[[int, int], None] = lambda sentences, tokens: None,
    ) -> None:
        self._predict = predict
        self._max_batch_tokens = max_batch_tokens
        self._max_waiting_tokens = max_waiting_tokens
        self._wait = wait
        self._observe = observe
        self._requests: deque[_Request] = deque()
        self._arrived = asyncio.Event()
        self._tokens_per_second = 1000.0
        self.waiting_tokens = 0

    async def run(self) -> None:
        """Batch for ever; to be cancelled once no request is left."""
        requests = 1  # of the last batch
        with ThreadPoolExecutor(1, thread_name_prefix="network") as network:
            while True:
                idle = not self._requests
                if idle:
                    self._arrived.clear()
                    await self._arrived.wait()
                if not idle or requests > 1:  # a client that is alone need not wait for others
                    await self._gather()
                batch = self._take()
                if batch:  # else whoever waited has left
                    requests = len({request for request, _ in batch})
                    await self._compute(batch, network)

    async def _gather(self) -> None:
        """Wait until the batch is full, nobody has come for a while, or the first has waited for long."""
        for _ in range(_LONGEST_WAIT):
            before = len(self._requests)
            if not self._wait or self.waiting_tokens >= self._max_batch_tokens:
                return
            await asyncio.sleep(self._wait)
            if len(self._requests) <= before:
                return

    @property
    def is_full(self) -> bool:
        """Whether no further request is taken."""
        return self.waiting_tokens >= self._max_waiting_tokens

    def check_room(self, tokens: int = 0) -> None:
        """Refuse a request of so many tokens if there is no room for it; alone each has room.

        Raises:
            Problem: 429, with the seconds after which to try again.
        """
        if self.waiting_tokens and self.waiting_tokens + tokens >= self._max_waiting_tokens:
            seconds = math.ceil(self.waiting_tokens / self._tokens_per_second)
            raise queue_full(self._max_waiting_tokens, max(1, min(seconds, 60)))

    async def tag(self, sentences: Sequence[Sentence], top_k: int) -> list[Prediction]:
        """The predictions of a request's sentences; if it is cancelled, they leave the queue.

        Raises:
            Problem: The queue is full.
        """
        if not sentences:
            return []
        cost = sum(map(_cost, sentences))
        self.check_room(cost)
        request = _Request(list(sentences), top_k, asyncio.get_running_loop().create_future())
        self._requests.append(request)
        self.waiting_tokens += cost
        self._arrived.set()
        try:
            return await request.answer
        finally:
            self.waiting_tokens -= cost
            if request in self._requests:
                self._requests.remove(request)

    def _take(self) -> list[tuple[_Request, Sentence]]:
        """The next batch: sentences in turn, of requests that want as many taggings as the first."""
        batch: list[tuple[_Request, Sentence]] = []
        room = self._max_batch_tokens
        turn = [each for each in self._requests if each.top_k == self._requests[0].top_k]
        while turn and room > 0:
            left = []
            for request in turn:
                cost = request.next_cost
                if batch and cost > room:
                    room = 0
                    break
                room -= cost
                batch.append((request, request.sentences[request.begun]))
                request.begun += 1
                if request.begun < len(request.sentences):
                    left.append(request)
            turn = left
        for request in {request for request, _ in batch}:  # whoever was served stands at the end of the line
            self._requests.remove(request)
            if request.begun < len(request.sentences):
                self._requests.append(request)
        return batch

    async def _compute(self, batch: list[tuple[_Request, Sentence]], network: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        sentences, top_k = [sentence for _, sentence in batch], batch[0][0].top_k
        tokens = sum(map(len, sentences))
        begin = time.perf_counter()
        try:
            predictions = await loop.run_in_executor(network, self._predict, sentences, top_k)
        except Exception as error:
            await self._compute_apart(batch, network, error)
            return
        rate = tokens / max(time.perf_counter() - begin, 1e-6)
        self._tokens_per_second += 0.2 * (rate - self._tokens_per_second)
        self._observe(len(sentences), tokens)
        for (request, _), prediction in zip(batch, predictions, strict=True):
            request.predictions.append(prediction)
            if len(request.predictions) == len(request.sentences) and not request.answer.done():
                request.answer.set_result(request.predictions)

    async def _compute_apart(
        self, batch: list[tuple[_Request, Sentence]], network: ThreadPoolExecutor, error: Exception
    ) -> None:
        """After an error, each request on its own, so that only the one that has caused it gets it."""
        requests = list(dict.fromkeys(request for request, _ in batch))
        if len(requests) > 1:
            for request in requests:
                await self._compute([each for each in batch if each[0] is request], network)
        elif not requests[0].answer.done():
            requests[0].answer.set_exception(error)


def _cost(sentence: Sentence) -> int:
    """Tokens by which a sentence counts; an empty one has a place in the queue too."""
    return max(1, len(sentence))
