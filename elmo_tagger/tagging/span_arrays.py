"""Entities of a whole batch of tag ids by array operations: what a metric does after every batch of an evaluation.

`schemes.conlleval_spans` and `strict.strict_spans` are the readable definitions; this is the fast equal of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from elmo_tagger.tagging.schemes import BEGINS, ENDS, OUTSIDE, Scheme, get_scheme, may_follow, split_tag
from elmo_tagger.tagging.strict import strict_spans

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PADDING = -1
"""The tag id at positions that are no token."""


class SpanArrays(NamedTuple):
    """Entities of a batch, each array `(S,)` and sorted by sentence and start; `end` is exclusive."""

    sentence: Ints
    start: Ints
    end: Ints
    type: Ints


class TagTable:
    """The tags of a vocabulary by id, prepared for reading arrays of ids.

    Args:
        tags: The K tags.
        scheme: Their scheme; None reads them as conlleval does in both countings.
    """

    def __init__(self, tags: Sequence[str], scheme: str | Scheme | None = None) -> None:
        self.tags = list(tags)
        self.scheme = None if scheme is None else get_scheme(scheme)
        letters, types = zip(*map(split_tag, self.tags), strict=True) if self.tags else ((), ())
        self.types = sorted({t for letter, t in zip(letters, types, strict=True) if letter != OUTSIDE})
        numbers = {entity_type: number for number, entity_type in enumerate(self.types)}
        # One row more: the last stands for padding, id -1, and reads as O.
        self._outside: Bools = np.array([letter == OUTSIDE for letter in letters] + [True])
        self._begins: Bools = np.array([letter in BEGINS for letter in letters] + [False])
        self._ends: Bools = np.array([letter in ENDS for letter in letters] + [False])
        self._type: Ints = np.array([numbers.get(t, -1) for t in types] + [-1], dtype=np.int64)
        with_padding = [*self.tags, OUTSIDE]
        self._legal: Bools | None = None
        if self.scheme is not None:
            chosen = self.scheme
            self._legal = np.array([[may_follow(a, b, chosen) for b in with_padding] for a in with_padding])

    def conlleval_spans(self, ids: Ints) -> SpanArrays:
        """The chunks that conlleval sees.

        Args:
            ids: `(B, T)` tag ids, `PADDING` after the end of each sentence.
        """
        left, flat, width = _framed(ids)
        outside, continues = self._outside[flat], self._continues(left, flat)
        starts = np.flatnonzero(~outside & ~continues)
        continued = np.append(continues[1:], False)
        ends = np.flatnonzero(~outside & ~continued)
        sentence, start = np.divmod(starts, width)
        return SpanArrays(sentence, start, ends - sentence * width + 1, self._type[flat[starts]])

    def strict_spans(self, ids: Ints) -> SpanArrays:
        """The entities that seqeval's strict mode sees; for well-formed tags these are conlleval's.

        Args:
            ids: `(B, T)` tag ids, `PADDING` after the end of each sentence.
        """
        spans = self.conlleval_spans(ids)
        ill_formed = self._ill_formed(ids)
        if not ill_formed.any():
            return spans
        kept = ~ill_formed[spans.sentence]
        rows = [(*column[kept].tolist(),) for column in spans]
        reread = [span for index in np.flatnonzero(ill_formed).tolist() for span in self._reread(index, ids[index])]
        merged = sorted([*zip(*rows, strict=True), *reread])
        columns = np.array(merged, dtype=np.int64).reshape(len(merged), 4).T
        return SpanArrays(*columns)

    def _continues(self, left: Ints, flat: Ints) -> Bools:
        """Whether each tag goes on with the chunk of its left neighbour."""
        open_before = ~self._outside[left] & ~self._ends[left]
        same_type = self._type[left] == self._type[flat]
        continues: Bools = open_before & ~self._outside[flat] & ~self._begins[flat] & same_type
        return continues

    def _ill_formed(self, ids: Ints) -> Bools:
        """`(B,)` which sentences break the scheme."""
        if self._legal is None:
            return np.zeros(len(ids), dtype=bool)
        left, flat, width = _framed(ids)
        illegal: Bools = np.logical_not(self._legal[left, flat]).reshape(len(ids), width)
        return np.asarray(illegal.any(axis=1))

    def _reread(self, index: int, row: Ints) -> list[tuple[int, int, int, int]]:
        assert self.scheme is not None
        tags = [self.tags[tag] for tag in row[row != PADDING].tolist()]
        spans = strict_spans(tags, self.scheme)
        return [(index, span.start, span.end, self.types.index(span.type)) for span in spans]


def count_matches(gold: SpanArrays, predicted: SpanArrays, types: int) -> Ints:
    """Counts of gold, predicted and correct entities, `(types, 3)`; correct means equal start, end and type."""
    counts = np.zeros((types, 3), dtype=np.int64)
    counts[:, 0] = np.bincount(gold.type, minlength=types)
    counts[:, 1] = np.bincount(predicted.type, minlength=types)
    length = max((int(spans.end.max()) for spans in (gold, predicted) if spans.end.size), default=0) + 1
    keys = [((s.sentence * length + s.start) * length + s.end) * types + s.type for s in (gold, predicted)]
    shared = np.intersect1d(keys[0], keys[1], assume_unique=True)
    if shared.size:
        counts[:, 2] = np.bincount(shared % types, minlength=types)
    return counts


def _framed(ids: Ints) -> tuple[Ints, Ints, int]:
    """Each tag's left neighbour, each tag, both flat, with one padding after every sentence; and the row's width."""
    framed = np.pad(ids, ((0, 0), (0, 1)), constant_values=PADDING)
    flat = framed.reshape(-1)
    return np.concatenate((np.full(1, PADDING), flat[:-1])), flat, framed.shape[1]
