"""How a tagger learns from tagged sentences how sure it may be: their true tags, and the temperature they ask for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elmo_tagger.errors import shown
from elmo_tagger.tagger.predictions import Decoder
from elmo_tagger.tagging.crf import ConditionalRandomField
from elmo_tagger.tagging.detection import detect_scheme
from elmo_tagger.tagging.partial import convert, read_entities
from elmo_tagger.tagging.schemes import UNKNOWN, alternatives
from elmo_tagger.tagging.temperature import Fit, TemperatureError, fit_temperature
from elmo_tagger.text.files import DataError
from elmo_tagger.text.sentence import Sentence, Span

_SHOWN_TAGS = 5

Judged = list[tuple[float, bool]]
"""Of predicted entities, the confidence in [0, 1] and whether the entity is right."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a calibration came to.

    Attributes:
        fit: The temperature, and how probable the true tags are without and with it.
        unknown_tags: The tags of sentences that were left out because the model does not know them; sorted.
        left_out: How many sentences that were.
        before, after: The predicted entities with temperature 1 and with the one found.
    """

    fit: Fit
    unknown_tags: tuple[str, ...]
    left_out: int
    before: Judged
    after: Judged


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Tagged sentences as a tagger takes them.

    Attributes:
        sentences: Those of which it knows the tags.
        labels: Their tags or partial labels in the tagger's scheme.
        allowed: (T, K) bool of each sentence, the tags that each token may have.
        scheme: The tagger's scheme; None if its tags have none.
        unknown_tags: As in `Calibration`.
        left_out: As there.
    """

    sentences: list[Sentence]
    labels: list[list[str]]
    allowed: list[Tensor]
    scheme: str | None
    unknown_tags: tuple[str, ...]
    left_out: int

    @classmethod
    def of(cls, sentences: Iterable[Sentence], tags: Sequence[str], *, source: str | None, target: str | None) -> Truth:
        """Reads the tags of sentences.

        Args:
            sentences: With tags.
            tags: The K tags of the tagger.
            source: The scheme of the sentences; found by default.
            target: That of the tagger; None if it has none.

        Raises:
            TagSchemeError: Ill-formed tags; names the place.
            DataError: A sentence without tags.
        """
        given = [sentence for sentence in sentences if sentence.tokens]
        for sentence in given:
            if sentence.tags is None:
                raise DataError(f"{sentence.where()}: no tags: a temperature is found by true tags")
        source = source or (detect_scheme(given) if target else None)
        numbers = {tag: number for number, tag in enumerate(tags)}
        truth = cls(sentences=[], labels=[], allowed=[], scheme=target, unknown_tags=(), left_out=0)
        unknown: set[str] = set()
        for sentence in given:
            labels = convert(sentence, source, target) if source and target else list(sentence.tags or ())
            options = [_options(label, numbers) for label in labels]
            foreign = {label for label, ids in zip(labels, options, strict=True) if not ids}
            unknown |= foreign
            if not foreign:
                truth.sentences.append(sentence)
                truth.labels.append(labels)
                truth.allowed.append(_mask_of(options, len(tags)))
        left_out = len(given) - len(truth.sentences)
        return cls(**{**vars(truth), "unknown_tags": tuple(sorted(unknown)), "left_out": left_out})

    def judge(self, index: int, entities: Iterable[tuple[Span, float]]) -> Judged:
        """The predicted entities of a sentence that are right or wrong for certain."""
        if self.scheme is None:
            return []
        reading = read_entities(self.labels[index], self.scheme)
        found = dict(entities)
        return [(found[span], span in reading.certain) for span in reading.counted(found)]


Scored = tuple[Sequence[int], Tensor, Tensor]
"""Sentences of a batch by their numbers, their scores (B, T, K) and mask (B, T)."""


def find_temperature(
    decoder: Decoder, crf: ConditionalRandomField, truth: Truth, scored: Sequence[Scored]
) -> Calibration:
    """Fits a temperature and sets it.

    Args:
        decoder: Reads scores.
        crf: The field of the decoder.
        truth: The true tags.
        scored: All sentences of `truth`.

    Raises:
        TemperatureError: There is no sentence by which one could be found.
    """
    if truth.unknown_tags and not truth.sentences:
        unknown = ", ".join(shown(tag, quoted=False) for tag in truth.unknown_tags[:_SHOWN_TAGS])
        more = ", ..." if len(truth.unknown_tags) > _SHOWN_TAGS else ""
        raise TemperatureError(
            f"no sentence to find a temperature by: all {truth.left_out} have tags that the model does not know "
            f"({unknown}{more}), expected some of {', '.join(decoder.tags[: 2 * _SHOWN_TAGS])}"
        )
    fit = fit_temperature(crf, [_batch(truth, *each) for each in scored])
    after = _judged(decoder, truth, scored)
    crf.temperature.fill_(1.0)
    before = _judged(decoder, truth, scored)
    crf.temperature.fill_(fit.temperature)
    return Calibration(
        fit=fit, unknown_tags=truth.unknown_tags, left_out=truth.left_out + fit.left_out, before=before, after=after
    )


def _options(label: str, numbers: dict[str, int]) -> list[int]:
    """The ids of the tags that a label allows; none if the tagger knows none of them."""
    tags = alternatives(label) or (label,)
    return list(numbers.values()) if tags == (UNKNOWN,) else [numbers[tag] for tag in tags if tag in numbers]


def _mask_of(options: Sequence[Sequence[int]], tags: int) -> Tensor:
    allowed = torch.zeros(len(options), tags, dtype=torch.bool)
    for row, ids in zip(allowed, options, strict=True):
        row[list(ids)] = True
    return allowed


def _batch(truth: Truth, batch: Sequence[int], emissions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, true tags and mask of a batch."""
    allowed = torch.nn.utils.rnn.pad_sequence([truth.allowed[index] for index in batch], batch_first=True)
    single = bool((allowed.sum(2) <= 1).all())
    tags = allowed.int().argmax(2) if single else allowed
    return emissions, tags.to(emissions.device), mask


def _judged(decoder: Decoder, truth: Truth, scored: Sequence[Scored]) -> Judged:
    return [
        each
        for batch, emissions, mask in scored
        for index, found in zip(batch, decoder.predict(emissions, mask), strict=True)
        for each in truth.judge(index, ((Span(e.start, e.end, e.type), e.confidence) for e in found.entities))
    ]
