"""A local cluster with two replicas, one of which is killed under load."""

import http.client
import importlib.util
import json
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from elmo_tagger.serve.settings import Settings
from elmo_tagger.tagger import Tagger, load
from tests.serve.conftest import TEXT, Client

if importlib.util.find_spec("ray") is None:
    pytest.skip("Ray is not installed", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture(scope="module")
def models(served_tagger: Tagger, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two taggers that do not agree."""
    folder = tmp_path_factory.mktemp("models")
    served_tagger.save(folder / "first")
    other = load(folder / "first")
    parameters = {name: value + 0.7 for name, value in other.model.state_dict().items() if "tag_projection" in name}
    other.model.load_state_dict(parameters | {"crf.transitions": -other.model.crf.transitions}, strict=False)
    other.save(folder / "second")
    return folder / "first", folder / "second"


@pytest.fixture(scope="module")
def on_ray(models: tuple[Path, Path]) -> Iterator[Client]:
    from elmo_tagger.cli.serve_ray import serve_with_ray
    from elmo_tagger.vectors.ray_job import import_ray

    ray = import_ray()
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve_on(serve_with_ray, models[0], port)
    yield Client(port)
    from ray import serve

    serve.shutdown()
    ray.shutdown()


def serve_on(serve_with_ray: Any, model: Path, port: int) -> None:
    options = {"device": "cpu", "language": None, "options_file": None}
    where = {"name": model.name, "host": "127.0.0.1", "port": port, "replicas": 2}
    serve_with_ray(str(model), options, Settings(), **where)


def answer(client: Client, text: str) -> tuple[Any, int]:
    """What a client gets that tries again, and how often it had to."""
    for tries in range(200):
        try:
            found = client.post("/predict", {"text": text})
        except (OSError, http.client.HTTPException):
            found = None
        if found is not None and found.status == 200:
            return found.json, tries
        assert found is None or found.status >= 429, "Ray's own refusals are those that one tries again after"
        time.sleep(0.1)
    raise AssertionError("no answer")


def replicas() -> list[int]:
    """Their processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if line.startswith(b"ray::ServeReplica:elmo-tagger"):
            found.append(int(path.parent.name))
    return found


def test_a_replica_killed_under_load_loses_nothing_and_the_model_is_replaced_without_a_gap(
    on_ray: Client, models: tuple[Path, Path]
) -> None:
    from elmo_tagger.cli.serve_ray import serve_with_ray

    first, second = (load(model) for model in models)
    words = ["Emma", "flew", "to", "Oslo", "far", "."]
    drawn = random.Random(3)
    texts = [" ".join(drawn.choices(words, k=12)) for _ in range(60)]
    right = [[json.loads(json.dumps(each(text).to_json())) for each in (first, second)] for text in texts]
    assert right[0][0] != right[0][1]
    assert on_ray.get("/info").json["model"] == "first"

    answers: list[tuple[int, Any]] = []
    ended = threading.Event()

    def ask(seed: int) -> None:
        order = random.Random(seed)
        while not ended.is_set():
            number = order.randrange(len(texts))
            answers.append((number, answer(on_ray, texts[number])[0]))

    clients = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for client in clients:
        client.start()
    while len(answers) < 20:
        time.sleep(0.05)
    before = replicas()
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    killed_at = len(answers)
    while len(answers) < killed_at + 40:
        time.sleep(0.05)
    assert all(found == right[number][0] for number, found in answers)
    serve_on(serve_with_ray, models[1], on_ray.port)  # the second model, while requests come
    replaced_at = len(answers)
    while len(answers) < replaced_at + 20:
        time.sleep(0.05)
    ended.set()
    for client in clients:
        client.join()
    assert all(found in right[number] for number, found in answers), "an answer is that of one model or the other"
    assert answer(on_ray, TEXT)[0] == json.loads(json.dumps(second(TEXT).to_json()))
    assert on_ray.get("/info").json["model"] == "second"
