"""The same phrase annotated in different ways: the commonest sign of a labelling error, or of real ambiguity."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from elmo_tagger.corpus.store import Store
from elmo_tagger.tagging.schemes import OUTSIDE
from elmo_tagger.text.sentence import Span

Phrase = tuple[int, ...]


@dataclass(frozen=True)
class Inconsistency:
    """A phrase with more than one annotation.

    Attributes:
        phrase: Its tokens.
        readings: How often it is each type, and `O` where it stands outside every entity; commonest first.
        places: `path:line` of the first occurrence of each reading.
    """

    phrase: tuple[str, ...]
    readings: dict[str, int]
    places: dict[str, str]

    @property
    def minority(self) -> int:
        """Occurrences that are not annotated as most are: at most so many would have to be changed."""
        return sum(self.readings.values()) - max(self.readings.values())


class PhraseCounter:
    """Collects the annotations of every entity phrase, then looks for the same phrases outside entities."""

    def __init__(self) -> None:
        self._types: defaultdict[Phrase, Counter[str]] = defaultdict(Counter)
        self._places: dict[tuple[Phrase, str], tuple[str, int, int]] = {}

    def add(self, path: str, index: int, token_ids: Phrase, spans: Iterable[Span]) -> None:
        """Take the entities of a file's sentence number `index`."""
        for span in spans:
            phrase = token_ids[span.start : span.end]
            self._types[phrase][span.type] += 1
            self._places.setdefault((phrase, span.type), (path, index, span.start))

    def inconsistencies(self, stores: dict[str, Store]) -> list[Inconsistency]:
        """Phrases with two readings or more, those first in which the most occurrences disagree."""
        for path, store in stores.items():
            self._count_outside(path, store)
        words = list(next(iter(stores.values())).words) if stores else []
        found = [
            Inconsistency(
                phrase=tuple(words[number] for number in phrase),
                readings=dict(types.most_common()),
                places={name: self._place(phrase, name, stores) for name, _ in types.most_common()},
            )
            for phrase, types in self._types.items()
            if len(types) > 1
        ]
        return sorted(found, key=lambda item: (-item.minority, -sum(item.readings.values()), item.phrase))

    def _count_outside(self, path: str, store: Store) -> None:
        lengths: defaultdict[int, set[int]] = defaultdict(set)
        for phrase in self._types:
            lengths[phrase[0]].add(len(phrase))
        begins_phrase = np.zeros(len(store.words) + 1, dtype=bool)  # the last is the boundary's, token -1
        begins_phrase[list(lengths)] = True
        outside = store.tags == 0
        for position in np.flatnonzero(begins_phrase[store.tokens] & outside).tolist():
            for length in lengths[int(store.tokens[position])]:
                end = position + length
                phrase = tuple(store.tokens[position:end].tolist())
                if phrase in self._types and outside[position:end].all():
                    self._types[phrase][OUTSIDE] += 1
                    if (phrase, OUTSIDE) not in self._places:
                        sentence = store.sentence_of(position)
                        start = position - int(store.starts[sentence])
                        self._places[phrase, OUTSIDE] = (path, sentence, start)

    def _place(self, phrase: Phrase, name: str, stores: dict[str, Store]) -> str:
        path, sentence, token = self._places[phrase, name]
        line = stores[path].line_of(sentence, token)
        return f"{path}:{line}" if line else f"{path}, sentence {sentence + 1}"
