"""The tag schemes of gold and of predictions, where nobody says what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from elmo_tagger.corpus.alignment import Pair
from elmo_tagger.tagging.detection import SchemeDetector
from elmo_tagger.tagging.schemes import OUTSIDE, TagSchemeError, get_scheme, is_tag
from elmo_tagger.tagging.strict import strict_spans
from elmo_tagger.text.sentence import Sentence, Span

_MANY = 10  # sentences from which a scheme that fits all of them is no accident


def find_schemes(
    read: Callable[[], Iterable[Pair]], gold_scheme: str | None = None, predicted_scheme: str | None = None
) -> tuple[str, str, list[str]]:
    """The schemes of gold and of the predictions, and what a reader of the scores should know about the choice.

    Predictions are read in gold's scheme, as their ill-formed tags are mistakes of the tagger, unless they have tags
    that it does not know, or plainly are well-formed in another.

    Raises:
        TagSchemeError: An unknown name, or tags of which no scheme has all.
    """
    if gold_scheme is not None:
        gold_scheme = get_scheme(gold_scheme).name
    if predicted_scheme is not None:
        predicted_scheme = get_scheme(predicted_scheme).name
    if gold_scheme is not None and predicted_scheme is not None:
        return gold_scheme, predicted_scheme, []
    gold, predicted = SchemeDetector(), SchemeDetector()
    tags: set[str] = set()
    entity_sentences = 0
    for pair in read():
        gold.add(pair.sentence)
        predicted.add(replace(pair.sentence, tags=pair.predicted))
        tags.update(pair.predicted)
        entity_sentences += any(tag != OUTSIDE for tag in pair.predicted)
    notes: list[str] = []
    if gold_scheme is None:
        gold_scheme = _found(gold, "gold")
        if gold.broken[gold_scheme]:
            notes.append(f"gold fits no scheme and is read as {gold.account(gold_scheme)}")
    if predicted_scheme is None:
        predicted_scheme, more = _predicted_scheme(predicted, gold_scheme, tags, entity_sentences)
        notes += more
    return gold_scheme, predicted_scheme, notes


def _predicted_scheme(
    predicted: SchemeDetector, gold_scheme: str, tags: set[str], entity_sentences: int
) -> tuple[str, list[str]]:
    """The scheme of the predictions, and what is to be said about it."""
    found = predicted.ranking()[0]
    broken = predicted.broken[gold_scheme]
    if not broken or found == gold_scheme:
        return gold_scheme, []
    numbers = (
        f"{broken:,} of the {entity_sentences:,} sentences with predicted entities are ill-formed in {gold_scheme}"
    )
    if not all(is_tag(tag, gold_scheme) for tag in tags):
        found = _found(predicted, "predicted")
        return found, [f"gold is read as {gold_scheme}, the predictions as {found}"]
    if not predicted.broken[found] and 2 * broken > entity_sentences >= _MANY:
        return found, [f"the predictions are read as {found}: {numbers}, the scheme of gold"]
    return gold_scheme, [f"{numbers}, the scheme of gold, but {predicted.broken[found]:,} in {found}"]


def _found(detector: SchemeDetector, side: str) -> str:
    try:
        return detector.result(strict=False)
    except TagSchemeError as error:
        raise TagSchemeError(f"{side} tags: {error}") from None


def read_strictly(tags: list[str], scheme: str, sentence: Sentence, side: str) -> list[Span]:
    """As `strict_spans`, naming the sentence and "gold" or "predicted" in the message."""
    try:
        return strict_spans(tags, scheme)
    except TagSchemeError as error:
        raise TagSchemeError(f"{sentence.where()}: {side} tags, {error}") from None
