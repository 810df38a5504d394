"""What a service answers is what its tagger says."""

import json
from typing import Any

import pytest

from elmo_tagger.tagger import Tagger
from tests.serve.conftest import TEXT, Client


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
