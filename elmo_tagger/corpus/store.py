"""A whole annotated file in 8 bytes a token, so that questions across sentences need no second reading."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elmo_tagger.tagging.schemes import OUTSIDE, is_tag, may_follow
from elmo_tagger.text.sentence import Sentence, Span


class Ids(dict[str, int]):
    """Numbers strings in the order in which they are first asked for."""

    def __missing__(self, text: str) -> int:
        self[text] = number = len(self)
        return number


@dataclass(frozen=True, kw_only=True)
class Store:
    """Tokens and tags of one file as numbers.

    Before every sentence, and after the last, stands one boundary: token -1 with tag `O`. So a neighbour of a position
    is the position next to it, and no phrase runs from one sentence into the next.

    Attributes:
        words: The distinct tokens by number, shared by the files that are compared.
        tag_names: The distinct tags by number; `O` is 0.
        tokens: `(positions,)` int32 token numbers.
        tags: `(positions,)` int32 tag numbers.
        starts: `(sentences + 1,)` int64 position of each sentence's first token, then that after the last boundary.
        first_lines: `(sentences,)` int64 line of each sentence's first token; 0 where the source has no lines.
        scattered: Lines of all tokens of the sentences that do not stand on successive lines.
        types: The distinct entity types by number, shared like `words`.
        entities: `(entities, 3)` int32 position of the first token, length, and number of the type.
    """

    words: Ids
    tag_names: list[str]
    tokens: NDArray[np.int32]
    tags: NDArray[np.int32]
    starts: NDArray[np.int64]
    first_lines: NDArray[np.int64]
    scattered: dict[int, list[int]]
    types: Ids
    entities: NDArray[np.int32]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """`(sentences,)` tokens of each sentence."""
        return np.diff(self.starts) - 1

    def tags_of(self, sentence: int) -> list[str]:
        """The tags of a sentence."""
        return [self.tag_names[number] for number in self.tags[self._positions(sentence)]]

    def token_ids_of(self, sentence: int) -> tuple[int, ...]:
        """The numbers of a sentence's tokens."""
        return tuple(self.tokens[self._positions(sentence)].tolist())

    def sentence_of(self, position: int) -> int:
        """Index of the sentence that holds a position."""
        return int(np.searchsorted(self.starts, position, side="right")) - 1

    def line_of(self, sentence: int, token: int = 0) -> int:
        """Line of a sentence's token, counted from 1; 0 where the source has no lines."""
        if sentence in self.scattered:
            return self.scattered[sentence][token]
        line = int(self.first_lines[sentence])
        return line + token if line else 0

    def broken_sentences(self, scheme: str) -> list[int]:
        """The sentences that are ill-formed in a scheme; every rule of a scheme looks at two neighbouring tags."""
        size = len(self.tag_names)
        pairs = self.tags[:-1].astype(np.int64) * size + self.tags[1:]
        names = self.tag_names
        bad = [code for code in np.unique(pairs) if not _fits(names[code // size], names[code % size], scheme)]
        # The right one of two positions lies in the sentence, or on the boundary that follows it.
        right = np.flatnonzero(np.isin(pairs, bad)) + 1
        return sorted({self.sentence_of(int(position)) for position in right - (self.tokens[right] == -1)})

    def _positions(self, sentence: int) -> slice:
        return slice(int(self.starts[sentence]), int(self.starts[sentence + 1]) - 1)


class StoreBuilder:
    """Takes sentences one by one and becomes a `Store`."""

    def __init__(self, words: Ids, types: Ids) -> None:
        self._words = words
        self._types = types
        self._entities = array("i")
        self._tag_ids = Ids({OUTSIDE: 0})
        self._tokens = array("i", [-1])
        self._tags = array("i", [0])
        self._starts = array("q", [1])
        self._lines = array("q")
        self._scattered: dict[int, list[int]] = {}

    def add(self, sentence: Sentence, spans: Sequence[Span]) -> None:
        """Append a sentence and its entities; without tags it counts as all `O`."""
        begin = len(self._tokens)
        for span in spans:
            self._entities.extend((begin + span.start, span.end - span.start, self._types[span.type]))
        lines = sentence.lines
        if lines and lines[-1] - lines[0] != len(lines) - 1:
            self._scattered[len(self._lines)] = lines
        self._lines.append(lines[0] if lines else 0)
        self._tokens.extend(map(self._words.__getitem__, sentence.tokens))
        self._tokens.append(-1)
        self._tags.extend(map(self._tag_ids.__getitem__, sentence.tags or [OUTSIDE] * len(sentence.tokens)))
        self._tags.append(0)
        self._starts.append(len(self._tokens))

    def build(self) -> Store:
        """Everything taken so far."""
        return Store(
            words=self._words,
            tag_names=list(self._tag_ids),
            tokens=np.frombuffer(self._tokens, dtype=np.int32),
            tags=np.frombuffer(self._tags, dtype=np.int32),
            starts=np.frombuffer(self._starts, dtype=np.int64),
            first_lines=np.frombuffer(self._lines, dtype=np.int64),
            scattered=self._scattered,
            types=self._types,
            entities=np.frombuffer(self._entities, dtype=np.int32).reshape(-1, 3),
        )


def _fits(previous: str, tag: str, scheme: str) -> bool:
    return is_tag(previous, scheme) and is_tag(tag, scheme) and may_follow(previous, tag, scheme)
