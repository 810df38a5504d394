"""The forms of requests and answers: what a body of each route holds, and what is written for its documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from elmo_tagger.serve.bodies import Given, HuggingFaceRequest, check
from elmo_tagger.serve.problems import Problem
from elmo_tagger.tagger.documents import Document, Entity
from elmo_tagger.tagger.predictions import Tagging


@dataclass(frozen=True, slots=True)
class Wanted:
    """A document to tag.

    Attributes:
        given: As `Tagger` takes it.
        min_confidence: As of `Tagger`.
        top_k: As of `Tagger`; None for what the model's config says.
    """

    given: dict[str, Any]
    min_confidence: float = 0.0
    top_k: int | None = None


Write = Callable[[Sequence[Document]], Any]
Read = Callable[[Any, int], tuple[list[Wanted], Write]]
"""A body's value, and the most documents that it may hold, to the documents and what writes their answer."""


class Answer(BaseModel):
    """A tagged document, as `elmo-tagger tag` writes it; with the request's other keys."""

    text: str = Field(description="As it was given; tokens are joined by spaces.")
    tokens: list[str]
    tags: list[str] = Field(description="One a token.")
    sentences: list[tuple[int, int]] = Field(description="First token, and token after the last, of each.")
    entities: list[Entity] = Field(description="`text[start:end]`, with the posterior probability as `confidence`.")
    n_best: list[list[Tagging]] | None = Field(default=None, description="If `top_k` is above 1.")


class Row(BaseModel):
    """An entity as Hugging Face's token classification writes it."""

    entity_group: str
    score: float
    word: str
    start: int
    end: int


class Refusal(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="What was expected and what was received.")
    field: str | None = Field(default=None, description="Of the body, if one is wrong.")


def one(value: Any, most: int) -> tuple[list[Wanted], Write]:
    """`/predict`: an object."""
    return [_wanted(check(Given, value))], lambda documents: documents[0].to_json()


def several(value: Any, most: int) -> tuple[list[Wanted], Write]:
    """`/predict_batch`: a list of such objects."""
    if not isinstance(value, list):
        raise Problem(422, "expected a list of objects", field="body")
    _check_count(len(value), most)
    wanted = [_wanted(check(Given, each, place=[number])) for number, each in enumerate(value)]
    return wanted, lambda documents: [document.to_json() for document in documents]


def hugging_face(value: Any, most: int) -> tuple[list[Wanted], Write]:
    """`/`: a text or a list of them, as `inputs`."""
    request = check(HuggingFaceRequest, value)
    parameters = request.parameters
    texts = [request.inputs] if isinstance(request.inputs, str) else request.inputs
    _check_count(len(texts), most)
    ignored = frozenset(parameters.ignore_labels)
    rows = _token_rows if parameters.aggregation_strategy == "none" else _entity_rows

    def write(documents: Sequence[Document]) -> Any:
        written = [rows(document, ignored) for document in documents]
        return written[0] if isinstance(request.inputs, str) else written

    return [Wanted({"text": text}, parameters.min_confidence) for text in texts], write


def _wanted(given: Given) -> Wanted:
    return Wanted(given.document(), given.min_confidence, given.top_k)


def _check_count(count: int, most: int) -> None:
    if count > most:
        raise Problem(413, f"expected at most {most:,} documents a request, received {count:,}")


def _entity_rows(document: Document, ignored: frozenset[str]) -> list[dict[str, Any]]:
    return [
        {
            "entity_group": entity.type,
            "score": entity.confidence,
            "word": entity.text,
            "start": entity.start,
            "end": entity.end,
        }
        for entity in document.entities
        if entity.type not in ignored
    ]


def _token_rows(document: Document, ignored: frozenset[str]) -> list[dict[str, Any]]:
    """A row for each token of an entity, with the entity's confidence; `index` counts the document's tokens from 1."""
    rows: list[dict[str, Any]] = []
    for entity in document.entities:
        place = entity.start
        for index in range(entity.token_start, entity.token_end):
            start = document.text.index(document.tokens[index], place)
            place = start + len(document.tokens[index])
            tag = document.tags[index]
            if not ignored & {tag, entity.type}:
                row = {"entity": tag, "score": entity.confidence, "index": index + 1}
                rows.append(row | {"word": document.tokens[index], "start": start, "end": place})
    return rows
