"""Entity counts of tagged sentences, one sentence after the other, by either reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from elmo_tagger.tagging.schemes import Scheme, conlleval_spans
from elmo_tagger.tagging.scoring import EntityCounts
from elmo_tagger.tagging.strict import strict_spans
from elmo_tagger.text.sentence import Span

Tags = Iterable[Sequence[str]]


def count_strict(gold: Tags, predicted: Tags, scheme: str | Scheme) -> EntityCounts:
    """Counts of the entities that `strict_spans` reads."""
    return _count(gold, predicted, lambda tags: strict_spans(tags, scheme))


def count_conlleval(gold: Tags, predicted: Tags) -> EntityCounts:
    """Counts of the entities that `conlleval_spans` reads."""
    return _count(gold, predicted, conlleval_spans)


def _count(gold: Tags, predicted: Tags, read: Callable[[Sequence[str]], list[Span]]) -> EntityCounts:
    counts = EntityCounts()
    for gold_tags, predicted_tags in zip(gold, predicted, strict=True):
        assert len(gold_tags) == len(predicted_tags)
        counts.add(read(gold_tags), read(predicted_tags))
    return counts
