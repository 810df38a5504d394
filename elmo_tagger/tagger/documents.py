"""From what a caller gives to sentences of tokens, and from the predictions of sentences to entities in the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeAlias

from elmo_tagger.tagger.predictions import Prediction, Tagging
from elmo_tagger.text.files import DataError
from elmo_tagger.text.tokenize import TokenizedSentence, Tokenizer

Input: TypeAlias = str | Sequence[str] | Mapping[str, Any]
"""A text; the tokens of one sentence; or an object with one of `INPUTS`, whose other keys are passed on."""

INPUTS = ("text", "sentence", "tokens")

MAX_PADDED_TOKENS = 4096
"""Tokens, padding included, that a model is given at once; a longer sentence goes alone."""


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity and its place in the document.

    Attributes:
        type: Such as "PER".
        text: As the document's text has it: `text[start:end]`.
        start: Its first character in the document's text.
        end: The character after its last.
        token_start: Its first token in the document.
        token_end: The token after its last.
        confidence: Posterior probability, in [0, 1], of exactly these tokens with exactly this type.
    """

    type: str
    text: str
    start: int
    end: int
    token_start: int
    token_end: int
    confidence: float


_ENTITY_FIELDS = [each.name for each in fields(Entity)]


@dataclass(frozen=True, slots=True)
class Document:
    """A tagged document.

    Attributes:
        text: As it was given; tokens that were given are joined by spaces.
        tokens: Of all sentences.
        tags: One a token, in the tagger's scheme. That of `en`, and of most trained here, is BIOUL: `B-`, `I-` and `L-`
            are the first, inner and last tokens of an entity of several, `U-` is the only token of one, `O` is outside.
        sentences: First token, and token after the last, of each sentence.
        entities: In the order of the text.
        n_best: For each sentence its most probable taggings, if several were asked for.
        extra: What else the input carried.
    """

    text: str
    tokens: list[str]
    tags: list[str]
    sentences: list[tuple[int, int]]
    entities: list[Entity]
    n_best: list[list[Tagging]] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """An object for `json.dumps`: what `allennlp predict` prints, the input's other keys first."""
        written = {
            **self.extra,
            "text": self.text,
            "tokens": self.tokens,
            "tags": self.tags,
            "sentences": [list(bounds) for bounds in self.sentences],
            # what `asdict` gives, which copies each value and takes ten times as long
            "entities": [{name: getattr(entity, name) for name in _ENTITY_FIELDS} for entity in self.entities],
        }
        if self.n_best:
            written["n_best"] = [[asdict(tagging) for tagging in sentence] for sentence in self.n_best]
        return written


@dataclass(frozen=True, slots=True)
class Untagged:
    """An input, read.

    Attributes:
        text: Of the document.
        sentences: Their tokens, with offsets into the text.
        extra: What else the input carried.
    """

    text: str
    sentences: list[TokenizedSentence]
    extra: dict[str, Any] = field(default_factory=dict)

    def assemble(self, predictions: Iterable[Prediction], *, min_confidence: float = 0.0) -> Document:
        """The document, tagged.

        Args:
            predictions: One a sentence; positions of tokens become those of the document.
            min_confidence: Entities that are less probable are left out; tags stay.
        """
        document = Document(self.text, [], [], [], [], [], self.extra)
        for sentence, prediction in zip(self.sentences, predictions, strict=True):
            first = len(document.tokens)
            document.tokens.extend(sentence.tokens)
            document.tags.extend(prediction.tags)
            document.sentences.append((first, len(document.tokens)))
            document.entities.extend(self._entities(sentence, prediction, first, min_confidence))
            if prediction.n_best:
                document.n_best.append(prediction.n_best)
        return document

    def _entities(
        self, sentence: TokenizedSentence, prediction: Prediction, first: int, min_confidence: float
    ) -> Iterator[Entity]:
        for entity in prediction.entities:
            if entity.confidence >= min_confidence:
                start, end = sentence.starts[entity.start], sentence.ends[entity.end - 1]
                yield Entity(
                    type=entity.type,
                    text=self.text[start:end],
                    start=start,
                    end=end,
                    token_start=first + entity.start,
                    token_end=first + entity.end,
                    confidence=entity.confidence,
                )


def read_input(given: Input, tokenizer: Tokenizer) -> Untagged:
    """Split an input into sentences of tokens.

    Args:
        given: A text, split into sentences and tokens; the tokens of a sentence, taken as they are; or an object with
            one of `text`, `sentence` (a text split into tokens only) and `tokens`.
        tokenizer: Splits texts.

    Raises:
        DataError: It is something else.
    """
    if isinstance(given, str):
        return Untagged(given, tokenizer(given))
    if not isinstance(given, Mapping):
        if not isinstance(given, Sequence) or isinstance(given, bytes):
            raise DataError(f"expected a text (str) or a list of tokens, received {type(given).__name__}")
        given = {"tokens": given}
    check_input(given)
    extra = {key: value for key, value in given.items() if key not in INPUTS}
    if "tokens" in given:
        return joined(given["tokens"], extra)
    if "text" in given:
        return Untagged(given["text"], tokenizer(given["text"]), extra)
    sentences = tokenizer(given["sentence"])
    if sentences:
        parts = [[row for each in sentences for row in getattr(each, name)] for name in ("tokens", "starts", "ends")]
        sentences = [TokenizedSentence(*parts)]
    return Untagged(given["sentence"], sentences, extra)


def check_input(given: object) -> None:
    """Refuse an object that is no input.

    Raises:
        DataError: It has not exactly one of `INPUTS`, or a value of another type there.
    """
    expected = 'expected {"text": "..."}, {"sentence": "..."} or {"tokens": ["...", ...]}'
    if not isinstance(given, Mapping):
        raise DataError(f"{type(given).__name__}, {expected}")
    names = [key for key in INPUTS if key in given]
    if len(names) != 1:
        raise DataError(f"{' and '.join(names) or 'none of these keys'} given, {expected}")
    value = given[names[0]]
    if names == ["tokens"]:
        listed = isinstance(value, Sequence) and not isinstance(value, str | bytes)
        if not listed or not all(isinstance(token, str) and token for token in value):
            raise DataError(f"tokens must be a list of strings that are not empty, {expected}")
    elif not isinstance(value, str):
        raise DataError(f"{names[0]} is no string, {expected}")


def joined(tokens: Iterable[str], extra: Mapping[str, Any] | None = None) -> Untagged:
    """Tokens as a document of one sentence, joined by spaces."""
    tokens, starts, ends, place = list(tokens), [], [], 0
    for token in tokens:
        starts.append(place)
        ends.append(place + len(token))
        place += len(token) + 1
    sentences = [TokenizedSentence(tokens, starts, ends)] if tokens else []
    return Untagged(" ".join(tokens), sentences, dict(extra or {}))


def batches_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of sentences in order of length, in groups of at most `MAX_PADDED_TOKENS` with padding."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > MAX_PADDED_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
