"""A local cluster: replicas of a service, of which one is killed under load and all are replaced; and `tag --ray`.

Each process of Ray's that uses PyTorch costs as much as a hundred other tests, so there are few of them.
"""

import contextlib
import http.client
import importlib.util
import json
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from elmo_tagger.cli.tag_inputs import Item
from elmo_tagger.cli.tag_ray import tag_with_ray
from elmo_tagger.serve.settings import Settings
from elmo_tagger.tagger import Tagger, load
from elmo_tagger.vectors.ray_job import import_ray
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
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")  # a busy machine is no failure
        patch.setenv("RAY_prestart_worker_first_driver", "0")  # no processes that wait to be needed
        ray = import_ray()
        ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


@pytest.fixture(scope="module")
def on_ray(models: tuple[Path, Path], cluster: None) -> Iterator[Client]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve_on_ray(models[0], port, replicas=2)
    yield Client(port)
    from ray import serve

    serve.shutdown()


def serve_on_ray(model: Path, port: int, *, replicas: int) -> None:
    from elmo_tagger.cli.serve_ray import serve_with_ray

    options = {"device": "cpu", "language": None, "options_file": None}
    where = {"name": model.name, "host": "127.0.0.1", "port": port, "replicas": replicas}
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


def workers(name: str) -> set[int]:
    """Processes of this cluster that run actors of a name."""
    parents, named = {}, set()
    for path in Path("/proc").glob("[0-9]*"):
        process = int(path.name)
        with contextlib.suppress(OSError):  # it has ended
            parents[process] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if (path / "cmdline").read_bytes().startswith(f"ray::{name}".encode()):
                named.add(process)
    return {process for process in named if os.getpid() in ancestors(process, parents)}


def ancestors(process: int, parents: Mapping[int, int]) -> Iterator[int]:
    while process in parents:
        process = parents[process]
        yield process


def replicas() -> set[int]:
    return workers("ServeReplica:elmo-tagger")


def test_a_replica_killed_under_load_loses_nothing_and_the_model_is_replaced_without_a_gap(
    on_ray: Client, models: tuple[Path, Path]
) -> None:
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
            time.sleep(0.3)  # replicas start beside this load, and shall get there

    clients = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for client in clients:
        client.start()
    while len(answers) < 20:
        time.sleep(0.05)
    before = replicas()
    assert len(before) == 2
    os.kill(min(before), signal.SIGKILL)
    killed_at = len(answers)
    while len(answers) < killed_at + 40 or replicas() <= before:  # until Ray has started another one
        time.sleep(0.05)
    assert all(found == right[number][0] for number, found in answers)
    serve_on_ray(models[1], on_ray.port, replicas=1)  # the second model, while requests come
    replaced_at = len(answers)
    while len(answers) < replaced_at + 20:
        time.sleep(0.05)
    ended.set()
    for client in clients:
        client.join()
    assert all(found in right[number] for number, found in answers), "an answer is that of one model or the other"
    assert answer(on_ray, TEXT)[0] == json.loads(json.dumps(second(TEXT).to_json()))
    assert on_ray.get("/info").json["model"] == "second"


def test_tag_has_the_documents_of_a_dead_worker_done_again(
    cluster: None, models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = [f"Emma {number} flew to Oslo." for number in range(20)]
    items = (Item({"text": text, "id": number}, "in.txt", number) for number, text in enumerate(texts))
    options = {"load_options": {"device": "cpu"}, "pipe_options": {"batch_size": 2}, "workers": 1}
    seen: set[int] = set()
    found = []
    for item, document in tag_with_ray(items, str(models[0]), **options):
        seen |= workers("Worker")
        if len(found) == 6:
            (only,) = seen
            os.kill(only, signal.SIGKILL)
        found.append((item.given["id"], document.to_json()))
    tagger = load(models[0])
    assert found == [(number, tagger({"text": text, "id": number}).to_json()) for number, text in enumerate(texts)]
    assert len(seen) == 2, "a worker, and the one in its place"
