"""What a service refuses, and how; that nothing a client sends is an error of the service's; that no text is logged."""

import contextlib
import http.client
import json
import logging
import random
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from elmo_tagger.serve import server
from elmo_tagger.tagger import Tagger
from tests.serve.conftest import TEXT, Client, serving


@pytest.mark.parametrize(
    ("path", "body", "field", "message"),
    [
        ("/predict", b"", "body", "expected JSON"),
        ("/predict", b"{", "body", "expected JSON"),
        ("/predict", b"\xff", "body", "expected JSON in UTF-8"),
        ("/predict", b"[" * 5000, "body", "levels"),
        ("/predict", b'{"text": "a", "n": NaN}', "body", "NaN is no JSON number"),
        ("/predict", b'{"text": "a", "n": 1e999}', "body", "beyond the range"),
        ("/predict", b'{"text": "a", "text": "b"}', "body", "twice"),
        ("/predict", b"[]", "body", "expected an object, received a list"),
        ("/predict", b"null", "body", "expected an object, received null"),
        ("/predict", b"{}", "text", "exactly one of text, sentence, tokens, received none"),
        ("/predict", b'{"text": "a", "tokens": []}', "tokens", "received text and tokens"),
        ("/predict", b'{"text": null}', "text", "expected a string, received null"),
        ("/predict", b'{"tokens": "a"}', "tokens", "valid list"),
        ("/predict", b'{"tokens": ["a", 1]}', "tokens[1]", "expected a string, received a number"),
        ("/predict", b'{"tokens": ["a", ""]}', "tokens[1]", "not empty"),
        ("/predict", b'{"text": "a", "min_confidence": "1"}', "min_confidence", "expected a number, received a string"),
        ("/predict", b'{"text": "a", "min_confidence": 1.5}', "min_confidence", "less than or equal to 1"),
        ("/predict", b'{"text": "a", "top_k": true}', "top_k", "expected a number, received true or false"),
        ("/predict", b'{"text": "a", "top_k": 1000000}', "top_k", "less than or equal to 100"),
        ("/predict_batch", b"{}", "body", "expected a list of objects"),
        ("/predict_batch", b'[{"text": "a"}, 3]', "[1]", "expected an object, received a number"),
        ("/predict_batch", b'[{"text": "a"}, {"tokens": [[]]}]', "[1].tokens[0]", "expected a string, received a list"),
        ("/", b"{}", "inputs", "required"),
        ("/", b'{"inputs": ["a", 3]}', "inputs", "a string or a list of strings"),
        ("/", b'{"inputs": "a", "parameters": {"aggregation_strategy": "x"}}', "parameters.aggregation_strategy", "'"),
        ("/", b'{"inputs": "a", "parameters": 3}', "parameters", "valid"),
    ],
)
def test_a_wrong_body_is_422_and_names_the_field(
    path: str, body: bytes, field: str, message: str, client: Client
) -> None:
    answer = client.send("POST", path, body)
    assert (answer.status, answer.json["field"]) == (422, field)
    assert message in answer.json["error"]


def test_paths_and_methods_that_are_none(client: Client) -> None:
    assert client.get("/nowhere").status == 404
    assert client.get("/page/../settings.py").status == 404
    assert client.get("/page/%2e%2e%2fsettings.py").status == 404
    assert client.get("/predict").status == 405
    assert json.loads(client.send("PUT", "/predict").body)["error"] == "Method Not Allowed"


def test_every_answer_forbids_foreign_scripts(client: Client) -> None:
    for answer in (client.get("/", accept="text/html"), client.get("/docs"), client.post("/predict", {"text": "a"})):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.fixture(scope="module")
def narrow(served_tagger: Tagger) -> Iterator[Client]:
    with serving(served_tagger, max_body_bytes=2000, max_tokens=30, max_documents=3, api_key="sécret") as client:
        yield client


KEY = {"X-API-Key": "sécret".encode().decode("latin-1")}


def test_what_is_too_large_is_413(narrow: Client) -> None:
    for body in (b"x" * 2001, iter([b"x" * 900] * 3)):  # with its length declared, and in chunks
        answer = narrow.send("POST", "/predict", body, **KEY)
        assert (answer.status, answer.json["error"]) == (413, "expected a body of at most 2,000 bytes, received more")
    answer = narrow.post("/predict", {"text": "a " * 31}, **KEY)
    assert (answer.status, answer.json["error"]) == (413, "expected at most 30 tokens a request, received 31")
    answer = narrow.post("/predict_batch", [{"text": "a"}] * 4, **KEY)
    assert (answer.status, answer.json["error"]) == (413, "expected at most 3 documents a request, received 4")
    assert narrow.post("/", {"inputs": ["a"] * 4}, **KEY).status == 413
    assert narrow.post("/predict", {"text": "a " * 30}, **KEY).status == 200


def test_a_key_is_asked_for(narrow: Client) -> None:
    for headers in ({}, {"X-API-Key": "secret"}, {"Authorization": "Bearer"}, {"Authorization": "Basic x"}):
        for answer in (narrow.post("/predict", {"text": "a"}, **headers), narrow.get("/info", **headers)):
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    bearer = {"Authorization": f"Bearer {KEY['X-API-Key']}"}
    assert narrow.post("/predict", {"text": "a"}, **bearer).status == 200
    assert narrow.get("/info", **KEY).status == 200
    for path in ("/health", "/ready", "/openapi.json", "/docs", "/page/page.js"):
        assert narrow.get(path).status == 200


class Gate:
    """Holds a tagger's network until it is opened."""

    def __init__(self, tagger: Tagger, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened, self.reached = threading.Event(), threading.Event()
        predict = tagger.predict_sentences

        def held(sentences: Any, *, top_k: int = 1) -> Any:
            self.reached.set()
            self.opened.wait(60)
            return predict(sentences, top_k=top_k)

        monkeypatch.setattr(tagger, "predict_sentences", held)


def test_a_full_queue_is_429_and_its_requests_are_answered_all_the_same(
    served_tagger: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(served_tagger, monkeypatch)
    answers = []
    with serving(served_tagger, max_waiting_tokens=3) as client:
        first = threading.Thread(target=lambda: answers.append(client.post("/predict", {"text": "Emma saw Oslo"})))
        first.start()
        assert gate.reached.wait(60)
        refused = client.post("/predict", {"text": "Oslo"})
        assert refused.status == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert client.get("/ready").status == 503
        assert client.get("/health").status == 200
        gate.opened.set()
        first.join()
        assert answers[0].status == 200
        assert client.post("/predict", {"text": "Oslo"}).status == 200


def test_what_takes_too_long_is_504_and_the_next_request_is_answered(
    served_tagger: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(served_tagger, monkeypatch)
    with serving(served_tagger, timeout=0.3) as client:
        answer = client.post("/predict", {"text": TEXT})
        assert (answer.status, answer.json) == (504, {"error": "no answer within 0.3 s"})
        gate.opened.set()
    monkeypatch.undo()
    with serving(served_tagger) as client:
        assert client.post("/predict", {"text": TEXT}).status == 200


def test_a_body_that_never_ends_is_408(served_tagger: Tagger) -> None:
    with serving(served_tagger, timeout=0.3) as client, connected(client) as raw:
        raw.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n{")
        assert raw.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_headers_that_never_end_are_refused(served_tagger: Tagger, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(served_tagger) as client:
        with connected(client) as raw, contextlib.suppress(ConnectionError):
            raw.sendall(b"GET / HTTP/1.1\r\n" + b"a: " + b"b" * 100_000)
            assert raw.recv(1000).startswith(b"HTTP/1.1 400 ")
        monkeypatch.setattr(server, "HEAD_SECONDS", 0.1)
        with connected(client) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\na")
            assert raw.recv(1000) == b""


@contextlib.contextmanager
def connected(client: Client) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", client.port), timeout=60) as raw:
        yield raw


SECRET = "Zzyzx"


def test_no_text_is_logged(
    served_tagger: Tagger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(sentences: Any, *, top_k: int = 1) -> Any:
        raise KeyError(sentences)

    caplog.set_level(logging.DEBUG)
    with serving(served_tagger, log_requests=True) as client:
        assert client.post("/predict", {"text": SECRET}).status == 200
        assert client.post("/predict", {SECRET: SECRET}).status == 422
        assert client.get(f"/{SECRET}?text={SECRET}").status == 404
        assert client.get("/info", cookie=SECRET).status == 200
        with connected(client) as raw:
            raw.sendall(f"POST {SECRET}\r\n\r\n".encode())
            raw.recv(1000)
        monkeypatch.setattr(served_tagger, "predict_sentences", fails)
        failed = client.post("/predict", {"text": SECRET})
    assert failed.status == 500
    assert SECRET not in caplog.text + failed.body.decode()
    assert "POST /predict 200" in caplog.text
    assert "KeyError at " in caplog.text


def hostile(drawn: random.Random) -> bytes:
    """A body that may be anything: random JSON, JSON damaged, or bytes."""

    def value(depth: int = 0) -> Any:
        kind = drawn.randrange(10 if depth < 4 else 7)
        if kind < 2:
            return drawn.choice(["", "Emma", "\ud800", "\x00", "a" * 3000, "👩‍👩‍👧", " \n\t", "." * 300, "none", "<b>"])
        if kind < 7:
            return drawn.choice([None, True, 0, -1, 1.5, 10**30, -0.0, 2, 0.5, 1e300])
        if kind == 7:
            return [value(depth + 1) for _ in range(drawn.randrange(4))]
        names = ["text", "sentence", "tokens", "inputs", "parameters", "min_confidence", "top_k", "x", "\ud800", ""]
        return {drawn.choice(names): value(depth + 1) for _ in range(drawn.randrange(5))}

    body = json.dumps(value()).encode()
    if drawn.random() < 0.3:
        place = drawn.randrange(len(body) + 1)
        body = body[:place] + drawn.randbytes(drawn.randrange(4)) + body[place + drawn.randrange(3) :]
    return body


def test_nothing_that_a_client_sends_is_an_error_of_the_service(client: Client, served_tagger: Tagger) -> None:
    drawn = random.Random(7)
    good = {"text": TEXT}
    right = json.loads(json.dumps(served_tagger(TEXT).to_json()))
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
    seen = set()
    for number in range(1500):
        connection.request("POST", drawn.choice(["/predict", "/predict_batch", "/"]), hostile(drawn))
        response = connection.getresponse()
        assert isinstance(json.loads(response.read()), dict | list)
        seen.add(response.status)
        if number % 300 == 0:
            with connected(client) as raw:  # one that leaves in the middle
                raw.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n{"[: drawn.randrange(70)])
            assert client.post("/predict", good).json == right
    connection.close()
    assert seen == {200, 422}
