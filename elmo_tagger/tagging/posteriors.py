"""How probable an entity is under the model: the summed probability of all tag sequences that contain it.

A tag sequence contains an entity if lenient reading (`schemes.tags_to_spans`) finds exactly that span with that type.
Reading depends on neighbouring tags alone - does a tag continue the entity of the one before? - so the sum over all
such sequences is a forward-backward pass in which the steps at, inside and after the span may take only some
transitions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elmo_tagger.tagging.chain import Chain
from elmo_tagger.tagging.log_space import backward_messages, forward_messages
from elmo_tagger.tagging.scaled import scaled_messages
from elmo_tagger.tagging.schemes import BEGINS, ENDS, OUTSIDE, Scheme, TagSchemeError, get_scheme, is_tag, split_tag
from elmo_tagger.text.sentence import Span


@dataclass(frozen=True, kw_only=True)
class Reading:
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
    def of(cls, tags: Sequence[str] | Mapping[int, str], scheme: str | Scheme) -> Reading:
        """The reading of a tag vocabulary.

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

    def to(self, device: torch.device) -> Reading:
        """The same on a device."""
        return replace(self, type_of=self.type_of.to(device), continues=self.continues.to(device))


@dataclass(frozen=True, kw_only=True)
class Messages:
    """Logarithms of the forward and backward messages, each known up to a constant per token.

    Attributes:
        alpha: (T, B, K), after the tokens up to this one.
        gamma: (T, B, K), from this token's emission on.
        growth: (T, B), what was taken from alpha in each step.
    """

    alpha: Tensor
    gamma: Tensor
    growth: Tensor

    @classmethod
    def of(cls, chain: Chain) -> Messages:
        """The messages of a batch, with the fast passes where they can be trusted for every sentence."""
        fast = scaled_messages(chain)
        if (fast.trusted | (chain.lengths == 0)).all():
            return cls(alpha=fast.alpha.log(), gamma=fast.gamma.log(), growth=fast.growth(chain))
        alpha, growth = forward_messages(chain)
        return cls(alpha=alpha, gamma=backward_messages(chain) + chain.emissions, growth=growth)


def span_posteriors(chain: Chain, queries: Tensor, reading: Reading) -> Tensor:
    """Probability of each queried entity.

    Args:
        chain: The batch, in float64.
        queries: (S, 4) int64: sentence, first token, end (exclusive), number of the type; within the sentences.
        reading: How tags are read.

    Returns:
        (S,) float32, probability in [0, 1].
    """
    messages = Messages.of(chain)
    sentence, start, end, kind = queries.unbind(1)
    continues = torch.zeros_like(chain.transitions).masked_fill(~reading.continues, -torch.inf)
    breaks = torch.zeros_like(chain.transitions).masked_fill(reading.continues, -torch.inf)
    typed = torch.zeros_like(chain.start).masked_fill(reading.type_of != kind.unsqueeze(1), -torch.inf)  # (S, K)

    before = messages.alpha[(start - 1).clamp(min=0), sentence]
    entered = _advance(before, chain.transitions + breaks)
    entered = torch.where((start == 0).unsqueeze(1), chain.start, entered)
    inside = entered + typed + _step(chain, messages, start, sentence)
    longest = int((end - start).max()) if len(queries) else 0
    for offset in range(1, longest):
        position = start + offset
        further = (position < end).unsqueeze(1)
        moved = _advance(inside, chain.transitions + continues)
        inside = torch.where(
            further, moved + _step(chain, messages, position.clamp(max=len(chain.emissions) - 1), sentence), inside
        )
    return _close(chain, messages, inside, breaks, sentence=sentence, end=end)


def _advance(scores: Tensor, transitions: Tensor) -> Tensor:
    return (scores.unsqueeze(2) + transitions).logsumexp(1)


def _step(chain: Chain, messages: Messages, position: Tensor, sentence: Tensor) -> Tensor:
    """(S, K), the emission and what alpha was divided by at this token."""
    growth = messages.growth[position, sentence].to(chain.emissions.dtype)
    return chain.emissions[position, sentence] - growth.unsqueeze(1)


def _close(
    chain: Chain, messages: Messages, inside: Tensor, breaks: Tensor, *, sentence: Tensor, end: Tensor
) -> Tensor:
    """(S,), the restricted sequences' share of all, both cut at the entity's last token."""
    at_end = (end == chain.lengths[sentence]).unsqueeze(1)
    ahead = messages.gamma[end.clamp(max=len(chain.emissions) - 1), sentence].unsqueeze(1) + chain.transitions
    after_break = torch.where(at_end, chain.end, (ahead + breaks).logsumexp(2))
    after = torch.where(at_end, chain.end, ahead.logsumexp(2))
    share = (inside + after_break).logsumexp(1) - (messages.alpha[end - 1, sentence] + after).logsumexp(1)
    return share.exp().clamp(max=1.0).float()
