"""How probable an entity is under the model: the summed probability of all tag sequences that contain it.

A tag sequence contains an entity if lenient reading (`schemes.tags_to_spans`) finds exactly that span with that type.
Reading depends on neighbouring tags alone - does a tag continue the entity of the one before? - so the sum over all
such sequences is a walk back through the entity in which each step may take only some of a tag's predecessors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elmo_tagger.tagging.forward_backward import LogMessages
from elmo_tagger.tagging.schemes import BEGINS, ENDS, OUTSIDE, Scheme, TagSchemeError, get_scheme, is_tag, split_tag
from elmo_tagger.text.sentence import Span


@dataclass(frozen=True, kw_only=True)
class SpanRules:
    """How tags, as ids, are read as entities.

    Attributes:
        types: Entity types by number.
        type_of: (K,) int64, number of each tag's type; -1 for `O`.
        continues: (K, K) bool, whether a tag, second axis, continues the entity of the tag before it, first axis.
    """

    types: list[str]
    type_of: Tensor
    continues: Tensor

    @classmethod
    def of(cls, tags: Sequence[str] | Mapping[int, str], scheme: str | Scheme) -> SpanRules:
        """The rules for a tag vocabulary.

        Args:
            tags: The K tags by id.
            scheme: Their scheme.

        Raises:
            TagSchemeError: A tag does not belong to the scheme.
        """
        names = [tags[index] for index in range(len(tags))]
        for index, tag in enumerate(names):
            if not is_tag(tag, scheme):
                raise TagSchemeError(f"tag {index} of the vocabulary, {tag!r}, is no {get_scheme(scheme).name} tag")
        split = [split_tag(name) for name in names]
        types = sorted({entity_type for letter, entity_type in split if letter != OUTSIDE})
        type_of = [-1 if letter == OUTSIDE else types.index(entity_type) for letter, entity_type in split]
        continues = [
            [
                OUTSIDE not in (left, right) and left not in ENDS and right not in BEGINS and left_type == right_type
                for right, right_type in split
            ]
            for left, left_type in split
        ]
        return cls(types=types, type_of=torch.tensor(type_of), continues=torch.tensor(continues, dtype=torch.bool))

    def number(self, entity_type: str) -> int:
        """The type's number; one that no tag has, of probability 0, for an unknown type."""
        return self.types.index(entity_type) if entity_type in self.types else len(self.types)

    def queries(self, spans: Sequence[Sequence[Span]]) -> Tensor:
        """(S, 4) int64: sentence, first token, end (exclusive) and number of the type of each sentence's spans."""
        flat = [
            (row, span.start, span.end, self.number(span.type)) for row, found in enumerate(spans) for span in found
        ]
        return torch.tensor(flat, dtype=torch.int64).view(-1, 4)

    def to(self, device: torch.device) -> SpanRules:
        """The same on a device."""
        return replace(self, type_of=self.type_of.to(device), continues=self.continues.to(device))


def span_posteriors(messages: LogMessages, queries: Tensor, rules: SpanRules) -> Tensor:
    """Probability of each queried entity.

    Args:
        messages: Of the batch.
        queries: (S, 4) int64: sentence, first token, end (exclusive), number of the type; within the sentences.
        rules: How tags are read.

    Returns:
        (S,), probability in [0, 1].
    """
    if not len(queries):
        return messages.alpha.new_zeros(0)
    order = (queries[:, 1] - queries[:, 2]).argsort()  # longest first, so that those still to walk through come first
    sentence, start, end, kind = queries[order].unbind(1)
    lengths = (end - start).tolist()
    continues = rules.continues.unsqueeze(2)
    inside = _last_tags(messages, ~continues, sentence=sentence, end=end)
    inside = inside.masked_fill(rules.type_of.unsqueeze(1) != kind, 0.0)
    longer = len(lengths)
    for offset in range(1, lengths[0]):
        while lengths[longer - 1] <= offset:
            longer -= 1
        step = end[:longer] - offset
        inside[:, :longer] = _step_back(messages, inside[:, :longer], continues, sentence=sentence[:longer], step=step)
    entered = _step_back(messages, inside, ~continues, sentence=sentence, step=start.clamp(min=1))
    found = torch.where(start > 0, entered, inside).sum(0).clamp(max=1.0)
    return torch.empty_like(found).index_copy_(0, order, found)


def _last_tags(messages: LogMessages, breaks: Tensor, *, sentence: Tensor, end: Tensor) -> Tensor:
    """(K, S), probability of each tag at the token before `end`, together with a break after it."""
    marginals, _ = messages.expected(messages.lengths.double().clamp(max=1.0))
    at_end = end == messages.lengths[sentence]
    following = end.clamp(max=len(marginals) - 1)
    tags = marginals[following, :, sentence].t()
    final = messages.final_tags()[:, sentence]
    return torch.where(
        at_end, final, _step_back(messages, tags, breaks, sentence=sentence, step=following.clamp(min=1))
    )


def _step_back(messages: LogMessages, tags: Tensor, allowed: Tensor, *, sentence: Tensor, step: Tensor) -> Tensor:
    """From probabilities of tags at a token to those at the token before, through some transitions alone.

    Args:
        messages: Of the batch.
        tags: (K, S)
        allowed: (K, K, 1) bool, from a tag to the next.
        sentence: (S,) int64.
        step: (S,) int64, the token, at least 1.

    Returns:
        (K, S)
    """
    if len(messages.alpha) == 1:
        return tags  # no token has one before it
    return (messages.predecessors(step, sentence) * allowed * tags).sum(1)
