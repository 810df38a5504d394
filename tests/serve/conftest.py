"""A running service, and a client that shows the bytes."""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

pytest.importorskip("fastapi")

from elmo_tagger.serve.application import build_application
from elmo_tagger.serve.server import build_server, listen
from elmo_tagger.serve.settings import Settings
from elmo_tagger.tagger import Tagger
from tests.tagger.conftest import make_tagger

TEXT = "Emma flew to Oslo. Emma was far, and Oslo was cold.\n\nEmma Oslo stayed."


class Answer(NamedTuple):
    """What a service sent."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        """The body, which must be JSON without NaN."""
        return json.loads(self.body, parse_constant=pytest.fail)


class Client:
    """Sends requests, each by a connection of its own."""

    def __init__(self, port: int) -> None:
        self.port = port

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """A request with a body of bytes, or of whatever is an iterable of them."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.read(), response.headers)
        finally:
            connection.close()

    def post(self, path: str, value: Any, **headers: str) -> Answer:
        """A request with a body of JSON."""
        return self.send("POST", path, json.dumps(value).encode(), **headers)

    def get(self, path: str, **headers: str) -> Answer:
        """A request without a body."""
        return self.send("GET", path, **headers)


@contextlib.contextmanager
def serving(tagger: Tagger, **settings: Any) -> Iterator[Client]:
    """A service in a thread, with real sockets."""
    app = build_application(tagger, Settings(**settings), name="tiny")
    bound = listen("127.0.0.1", 0)
    server = build_server(app, grace=10)
    thread = threading.Thread(target=server.run, args=([bound],))
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield Client(bound.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def served_tagger() -> Tagger:
    """The tagger of the service; its biLM has widths that end with a processor's register, as all real ones have."""
    return make_tagger(dim=32, projection_dim=32, filters=[[1, 8], [3, 16], [5, 8]])


@pytest.fixture(scope="session")
def client(served_tagger: Tagger) -> Iterator[Client]:
    """A client of a service with the limits that it has by itself."""
    with serving(served_tagger) as client:
        yield client
