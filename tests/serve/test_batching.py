"""How sentences of several requests are put together, told by a network that only records what it is given."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from elmo_tagger.serve.batching import Batcher
from elmo_tagger.serve.problems import Problem
from elmo_tagger.tagger.predictions import Prediction


class Network:
    """Says of each sentence its own words, once it is let."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.top_k: list[int] = []
        self.may_run = threading.Event()

    def __call__(self, sentences: list[Sequence[str]], top_k: int) -> list[Prediction]:
        self.may_run.wait(60)
        self.batches.append([" ".join(sentence) for sentence in sentences])
        self.top_k.append(top_k)
        if any("bad" in sentence for sentence in sentences):
            raise RuntimeError("a sentence that the network cannot bear")
        return [Prediction(list(sentence), []) for sentence in sentences]


def given(text: str) -> list[list[str]]:
    return [sentence.split() for sentence in text.split("|")]


def together(network: Network, *texts: str, top_k: Sequence[int] = (), **limits: Any) -> list[Any]:
    """What requests get that come while the network computes another one."""

    async def run() -> list[Any]:
        options = {"max_batch_tokens": 6, "max_waiting_tokens": 1000, "wait": 0.0, **limits}
        batcher = Batcher(network, **options)
        running = asyncio.create_task(batcher.run())
        first = asyncio.create_task(batcher.tag(given("first"), 1))
        await asyncio.sleep(0)
        while batcher.waiting_tokens == 0 or batcher._requests:
            await asyncio.sleep(0.001)
        others = [
            asyncio.create_task(batcher.tag(given(text), top_k[number] if top_k else 1))
            for number, text in enumerate(texts)
        ]
        await asyncio.sleep(0)
        network.may_run.set()
        results = await asyncio.gather(*others, return_exceptions=True)
        await first
        assert batcher.waiting_tokens == 0
        running.cancel()
        return [[" ".join(each.tags) for each in result] if isinstance(result, list) else result for result in results]

    return asyncio.run(run())


def test_a_long_document_does_not_hold_up_a_short_one() -> None:
    network = Network()
    long = "|".join(f"l{number} x" for number in range(50))
    found = together(network, long, "short a", "other b")
    assert found == [long.split("|"), ["short a"], ["other b"]]
    assert network.batches[1] == ["l0 x", "short a", "other b"]
    assert all(len(batch) == 3 for batch in network.batches[2:-1])


def test_a_batch_is_full_at_its_number_of_tokens_and_a_longer_sentence_goes_alone() -> None:
    network = Network()
    together(network, "a b c", "d e f", "g", "h i j k l m n", "o")
    assert network.batches[1:] == [["a b c", "d e f"], ["g"], ["h i j k l m n"], ["o"]]


def test_requests_for_other_numbers_of_taggings_go_apart() -> None:
    network = Network()
    together(network, "a", "b", "c", top_k=[1, 5, 1])
    assert list(zip(network.batches[1:], network.top_k[1:], strict=True)) == [(["a", "c"], 1), (["b"], 5)]


def test_an_error_reaches_only_the_request_that_caused_it() -> None:
    found = together(Network(), "a|b", "c bad", "d")
    assert (found[0], found[2]) == (["a", "b"], ["d"])
    assert isinstance(found[1], RuntimeError)


def test_a_full_queue_refuses_with_the_time_to_wait() -> None:
    found = together(Network(), "a b c d", "e f g h i j", "k", max_waiting_tokens=8)
    assert (found[0], found[2]) == (["a b c d"], ["k"])
    assert isinstance(found[1], Problem)
    assert (found[1].status, found[1].headers) == (429, {"Retry-After": "1"})


def test_a_cancelled_request_leaves_the_queue() -> None:
    network = Network()

    async def run() -> None:
        batcher = Batcher(network, max_batch_tokens=2, max_waiting_tokens=100, wait=0.0)
        running = asyncio.create_task(batcher.run())
        first = asyncio.create_task(batcher.tag(given("a"), 1))
        left = asyncio.create_task(batcher.tag(given("b|c|d"), 1))
        stays = asyncio.create_task(batcher.tag(given("e"), 1))
        while batcher.waiting_tokens < 5:
            await asyncio.sleep(0.001)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        network.may_run.set()
        await asyncio.gather(first, stays)
        assert batcher.waiting_tokens == 0
        running.cancel()

    asyncio.run(run())
    seen = [sentence for batch in network.batches for sentence in batch]
    assert {"a", "e"} <= set(seen)
    assert {"c", "d"}.isdisjoint(seen)


def test_a_client_that_is_alone_does_not_wait_for_company() -> None:
    network = Network()
    network.may_run.set()

    async def run() -> None:
        batcher = Batcher(network, max_batch_tokens=6, max_waiting_tokens=100, wait=3600.0)
        running = asyncio.create_task(batcher.run())
        for text in ("a", "b|c", "d"):
            await asyncio.wait_for(batcher.tag(given(text), 1), 60)
        running.cancel()

    asyncio.run(run())
    assert network.batches == [["a"], ["b", "c"], ["d"]]


def test_nothing_to_tag_needs_no_network() -> None:
    assert together(Network(), "a")[0] == ["a"]
    batcher = Batcher(Network(), max_batch_tokens=2, max_waiting_tokens=1, wait=0.0)
    assert asyncio.run(batcher.tag([], 1)) == []
