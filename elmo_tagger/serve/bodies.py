"""The bytes of a request's body to a checked object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Request
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)

from elmo_tagger.serve.problems import Problem
from elmo_tagger.tagger.documents import INPUTS
from elmo_tagger.text.files import DataError
from elmo_tagger.text.strict_json import parse

MAX_TOP_K = 100
_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "true or false", int: "a number", float: "a number"}


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a string, received {_kind(value)}")
    return value


def _token(value: object) -> str:
    if _string(value) == "":
        raise ValueError("expected a string that is not empty")
    return str(value)


def _strings(value: object) -> str | list[str]:
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        return value
    raise ValueError("expected a string or a list of strings")


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, received {_kind(value)}")
    return value


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "null")


# Pydantic's own strings have no lone surrogates, which a client that cuts a text within an emoji does send.
String = Annotated[str, PlainValidator(_string), WithJsonSchema({"type": "string"})]
Token = Annotated[str, PlainValidator(_token), WithJsonSchema({"type": "string", "minLength": 1})]
Strings = Annotated[
    str | list[str],
    PlainValidator(_strings),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Confidence = Annotated[float, BeforeValidator(_number), Field(ge=0, le=1)]
TopK = Annotated[int, BeforeValidator(_number), Field(ge=1, le=MAX_TOP_K)]


class Given(BaseModel):
    """A document to tag: exactly one of `text`, `sentence` and `tokens`; other keys come back in the answer."""

    model_config = ConfigDict(
        extra="allow", json_schema_extra={"examples": [{"text": "Emma Norley left Hartdal Energy in May."}]}
    )

    text: String = Field(default="", description="Is split into sentences and tokens.")
    sentence: String = Field(default="", description="Is split into tokens.")
    tokens: Annotated[list[Token], FailFast()] = Field(
        default=[], description="Are taken as they are, as one sentence."
    )
    min_confidence: Confidence = Field(default=0.0, description="Entities that are less probable are left out.")
    top_k: TopK | None = Field(default=None, description="For each sentence, list this many of its best taggings.")

    def document(self) -> dict[str, Any]:
        """As the tagger takes it."""
        own = {name: getattr(self, name) for name in INPUTS if name in self.model_fields_set}
        return {**(self.model_extra or {}), **own}


class Parameters(BaseModel):
    """Of a request in Hugging Face's form; those that the tagger has no use for, as `stride`, change nothing."""

    aggregation_strategy: Literal["none", "simple", "first", "average", "max"] = Field(
        default="simple", description="`none` for a row a token; the others are the same: an entity is whole words."
    )
    ignore_labels: Annotated[list[String], FailFast()] = Field(
        default=["O"], description="Types, or tags, that are left out."
    )
    min_confidence: Confidence = 0.0


class HuggingFaceRequest(BaseModel):
    """A request as clients of Hugging Face's token classification send it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"inputs": "Emma Norley left Hartdal Energy in May."}]})

    inputs: Strings
    parameters: Parameters = Parameters()


Model = TypeVar("Model", bound=BaseModel)


def check(kind: type[Model], value: object, *, place: Sequence[str | int] = ()) -> Model:
    """A value of JSON as a request.

    Args:
        kind: Of request.
        value: From JSON.
        place: Of the value in the body.

    Raises:
        Problem: It is none; names the field.
    """
    if not isinstance(value, dict):
        raise Problem(422, f"expected an object, received {_kind(value)}", field=_field(place))
    try:
        found = kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        message = first["msg"].removeprefix("Value error, ")
        raise Problem(422, message, field=_field([*place, *first["loc"]])) from None
    if isinstance(found, Given):
        names = [name for name in INPUTS if name in found.model_fields_set]
        if len(names) != 1:
            raise Problem(
                422,
                f"expected exactly one of {', '.join(INPUTS)}, received {' and '.join(names) or 'none'}",
                field=_field([*place, names[1] if names else "text"]),
            )
    return found


def _field(place: Sequence[str | int]) -> str:
    parts = [f"[{each}]" if isinstance(each, int) else f".{each}" for each in place]
    return "".join(parts).removeprefix(".") or "body"


async def read_body(request: Request, limit: int) -> bytes:
    """The body, of at most `limit` bytes.

    Raises:
        Problem: It is too large.
        ClientDisconnect: The client has left.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > len(str(limit)) or int(declared) > limit):
        raise _too_large(limit)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return b"".join(parts)


def _too_large(limit: int) -> Problem:
    return Problem(413, f"expected a body of at most {limit:,} bytes, received more")


def parse_body(body: bytes) -> Any:
    """The value that a body holds.

    Raises:
        Problem: It is no JSON in UTF-8.
    """
    try:
        return parse(body, name="body")
    except DataError as error:
        raise Problem(422, str(error), field="body") from None
