"""What a service answers is what its tagger says."""

import json
import random
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from elmo_tagger import __version__
from elmo_tagger.serve import forms
from elmo_tagger.tagger import Tagger
from tests.serve.conftest import TEXT, Client, serving


def expected(tagger: Tagger, given: Any, **options: Any) -> Any:
    return json.loads(json.dumps(tagger(given, **options).to_json()))


@pytest.mark.parametrize(
    "given",
    [
        {"text": TEXT},
        {"sentence": TEXT},
        {"tokens": ["Emma", "flew", "to", "Oslo"]},
        {"text": ""},
        {"tokens": []},
        {"text": "Oslo 👩‍👩‍👧 \ud83d Emma", "id": [1, {"a": None}], "entities": "of the client"},
    ],
    ids=str,
)
def test_an_answer_is_what_the_tagger_says(given: dict[str, Any], client: Client, served_tagger: Tagger) -> None:
    answer = client.post("/predict", given)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == expected(served_tagger, given)


def test_unsure_entities_are_left_out_and_alternatives_listed(client: Client, served_tagger: Tagger) -> None:
    every = served_tagger(TEXT).entities
    limit = sorted(entity.confidence for entity in every)[len(every) // 2]
    answer = client.post("/predict", {"text": TEXT, "min_confidence": limit, "top_k": 3})
    assert answer.json == expected(served_tagger, TEXT, min_confidence=limit, top_k=3)
    assert 0 < len(answer.json["entities"]) < len(every)
    assert [len(taggings) for taggings in answer.json["n_best"]] == [3] * len(answer.json["sentences"])


def test_a_batch_is_its_documents(client: Client, served_tagger: Tagger) -> None:
    given = [{"text": TEXT, "top_k": 2}, {"tokens": ["Emma"]}, {"text": ""}, {"sentence": TEXT, "top_k": 2, "id": 4}]
    answer = client.post("/predict_batch", given)
    assert answer.json == [client.post("/predict", each).json for each in given]
    assert client.post("/predict_batch", []).json == []


def test_answers_do_not_depend_on_the_company(client: Client, served_tagger: Tagger) -> None:
    drawn = random.Random(1)
    words = ["Emma", "Oslo", "flew", "a", "far", ".", "zzz", "Eg"]
    texts = [" ".join(drawn.choices(words, k=drawn.randint(1, 60))) for _ in range(80)]
    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(lambda text: client.post("/predict", {"text": text, "top_k": 2}).json, texts))
    for text, answer in zip(texts, answers, strict=True):
        assert answer == expected(served_tagger, text, top_k=2)
    sizes = re.search(
        rb"elmo_tagger_batch_sentences_bucket{le=\"1.0\"} (\d+).*_count (\d+)", batches(client), re.DOTALL
    )
    assert sizes is not None
    assert int(sizes[1]) < int(sizes[2]), "none was computed beside another"


def batches(client: Client) -> bytes:
    lines = client.get("/metrics").body.splitlines()
    return b"\n".join(line for line in lines if line.startswith(b"elmo_tagger_batch_sentences"))


def test_hugging_faces_shape(client: Client, served_tagger: Tagger) -> None:
    entities = served_tagger(TEXT).entities
    rows = [
        {"entity_group": each.type, "score": each.confidence, "word": each.text, "start": each.start, "end": each.end}
        for each in entities
    ]
    assert client.post("/", {"inputs": TEXT}).json == rows
    assert client.post("/", {"inputs": [TEXT, "", "Oslo"]}).json[:2] == [rows, []]
    strategy = {"aggregation_strategy": "max", "stride": 3, "ignore_labels": ["PER"]}
    assert client.post("/", {"inputs": TEXT, "parameters": strategy}).json == [
        row for row in rows if row["entity_group"] != "PER"
    ]
    assert client.post("/", {"inputs": TEXT, "parameters": {"min_confidence": 1}}).json == []


def test_hugging_faces_tokens(client: Client, served_tagger: Tagger) -> None:
    document = served_tagger(TEXT)
    tokens = client.post("/", {"inputs": TEXT, "parameters": {"aggregation_strategy": "none"}}).json
    places = [place for each in document.entities for place in range(each.token_start, each.token_end)]
    assert [row["index"] - 1 for row in tokens] == places
    assert [row["entity"] for row in tokens] == [document.tags[place] for place in places]
    assert [row["word"] for row in tokens] == [document.tokens[place] for place in places]
    assert all(TEXT[row["start"] : row["end"]] == row["word"] for row in tokens)


def test_hugging_faces_own_client(client: Client, served_tagger: Tagger) -> None:
    hub = pytest.importorskip("huggingface_hub")
    there = hub.InferenceClient(model=f"http://127.0.0.1:{client.port}/")
    found = there.token_classification(TEXT, aggregation_strategy="simple")
    assert [(row.entity_group, row.start, row.end, row.score) for row in found] == [
        (each.type, each.start, each.end, each.confidence) for each in served_tagger(TEXT).entities
    ]


def test_answers_are_as_the_openapi_document_says(client: Client) -> None:
    document = client.get("/openapi.json").json
    for path in ("/predict", "/predict_batch", "/"):
        post = document["paths"][path]["post"]
        assert post["requestBody"]["content"]["application/json"]["schema"]
        assert {"200", "401", "413", "422", "429", "504"} <= post["responses"].keys()
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert references <= document["components"]["schemas"].keys()
    forms.Answer.model_validate(client.post("/predict", {"text": TEXT, "top_k": 2}).json)
    forms.Row.model_validate(client.post("/", {"inputs": TEXT}).json[0])
    for name in ("Given", "HuggingFaceRequest"):
        for example in document["components"]["schemas"][name]["examples"]:
            assert client.post("/predict" if name == "Given" else "/", example).status == 200


def test_a_service_says_what_it_is(client: Client, served_tagger: Tagger) -> None:
    info = client.get("/info").json
    assert (info["labels"], info["tags"], info["model"]) == (served_tagger.labels, served_tagger.tags, "tiny")
    assert info["versions"]["elmo_tagger"] == __version__
    assert client.get("/health").json == {"status": "ok"}
    assert client.get("/ready").json == {"status": "ready"}
    assert client.get("/").json["more"] == "/docs"


def test_requests_are_counted(served_tagger: Tagger) -> None:
    with serving(served_tagger) as client:
        tokens = len(client.post("/predict", {"text": TEXT}).json["tokens"])
        client.post("/predict", {"txt": TEXT})
        client.get("/nowhere/Emma")
        lines = client.get("/metrics").body.decode().splitlines()
    assert 'elmo_tagger_requests_total{route="/predict",status="200"} 1.0' in lines
    assert 'elmo_tagger_requests_total{route="/predict",status="422"} 1.0' in lines
    assert 'elmo_tagger_requests_total{route="other",status="404"} 1.0' in lines
    assert 'elmo_tagger_request_seconds_count{route="/predict"} 2.0' in lines
    assert f"elmo_tagger_tokens_total {tokens}.0" in lines
    assert f"elmo_tagger_batch_tokens_sum {tokens}.0" in lines
    assert "elmo_tagger_waiting_tokens 0.0" in lines
