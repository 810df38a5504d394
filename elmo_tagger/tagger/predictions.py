"""What a tagger says of a sentence: from scores to tags, entities and how sure it is of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from elmo_tagger.tagging.crf import ConditionalRandomField
from elmo_tagger.tagging.posteriors import SpanRules
from elmo_tagger.tagging.schemes import Scheme
from elmo_tagger.tagging.span_arrays import PADDING, Ints, TagTable

DIGITS = 6
"""Digits of a probability: what float32 holds."""


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """An entity of a sentence: tokens `start` to `end`, exclusive.

    Attributes:
        type: Such as "PER".
        start: Its first token.
        end: The token after its last.
        confidence: Posterior probability, in [0, 1], of exactly these tokens with exactly this type.
    """

    type: str
    start: int
    end: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Tagging:
    """One of the n best taggings of a sentence.

    Attributes:
        tags: One a token.
        probability: In [0, 1].
        log_probability: In nats.
    """

    tags: list[str]
    probability: float
    log_probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """Of one sentence.

    Attributes:
        tags: The most probable ones, one a token.
        entities: Those that the tags spell; none if the tags have no scheme.
        n_best: The most probable taggings, best first, if several were asked for.
    """

    tags: list[str]
    entities: list[TokenSpan]
    n_best: list[Tagging] = field(default_factory=list)


class Decoder:
    """Reads scores of tags.

    Args:
        crf: The transitions.
        tags: The K tags by id.
        scheme: Theirs; None if they spell no entities.

    Raises:
        TagSchemeError: A tag does not belong to the scheme, or there is no such scheme.
    """

    def __init__(self, crf: ConditionalRandomField, tags: Sequence[str], scheme: str | Scheme | None) -> None:
        self.tags = list(tags)
        self._crf = crf
        self._table = TagTable(self.tags, scheme)
        self._rules = SpanRules.of(self.tags, scheme) if scheme is not None else None

    @property
    def types(self) -> list[str]:
        """The types of entities, sorted; none if the tags have no scheme."""
        return self._table.types if self._rules is not None else []

    def predict(
        self, emissions: Tensor, mask: Tensor, *, decoded: Tensor | None = None, n: int = 1
    ) -> list[Prediction]:
        """Tags, entities and n-best lists of a batch.

        Args:
            emissions: (B, T, K).
            mask: (B, T) bool.
            decoded: (B, T) ids of the most probable tags, `PADDING` where masked, if they are known.
            n: How many taggings of each sentence to list; 1 for no list.
        """
        if decoded is None:
            decoded, _ = self._crf.decode(emissions, mask)
        ids = decoded.cpu().numpy()
        entities = self._entities(emissions, mask, ids)
        n_best = self._n_best(emissions, mask, n) if n > 1 else [[] for _ in ids]
        return [Prediction(*each) for each in zip(self.names(ids), entities, n_best, strict=True)]

    def names(self, ids: Ints) -> list[list[str]]:
        """The tags of ids (B, T), `PADDING` left out."""
        return [[self.tags[tag] for tag in row[row != PADDING].tolist()] for row in ids]

    def _entities(self, emissions: Tensor, mask: Tensor, ids: Ints) -> list[list[TokenSpan]]:
        entities: list[list[TokenSpan]] = [[] for _ in ids]
        if self._rules is None:
            return entities
        spans = self._table.conlleval_spans(ids)
        if not len(spans.sentence):
            return entities
        queries = torch.from_numpy(np.stack([spans.sentence, spans.start, spans.end, spans.type], axis=1))
        posteriors = self._crf.span_posteriors(emissions, mask, queries=queries, rules=self._rules)
        for (row, start, end, kind), confidence in zip(queries.tolist(), posteriors.tolist(), strict=True):
            entities[row].append(TokenSpan(self._table.types[kind], start, end, round(confidence, DIGITS)))
        return entities

    def _n_best(self, emissions: Tensor, mask: Tensor, n: int) -> list[list[Tagging]]:
        paths, log_probabilities = self._crf.decode_n_best(emissions, mask, n)
        ids = paths.cpu().numpy()
        return [
            [
                Tagging(tags, round(math.exp(score), DIGITS), round(score, DIGITS))
                for tags, score in zip(self.names(rows), scores, strict=True)
                if score > -math.inf  # fewer taggings exist than were asked for
            ]
            for rows, scores in zip(ids, log_probabilities.tolist(), strict=True)
        ]
