"""A linear-chain conditional random field: likelihood, decoding and exact posteriors, a whole batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from elmo_tagger.tagging.chain import Chain
from elmo_tagger.tagging.checks import (
    CrfInputError,
    check_constraints,
    check_emissions,
    check_reachable,
    check_shapes,
    check_tags,
)
from elmo_tagger.tagging.class_weights import STRATEGIES, lannoy_log_likelihood, weigh_scores
from elmo_tagger.tagging.n_best import n_best_paths
from elmo_tagger.tagging.packing import Packing
from elmo_tagger.tagging.partition import log_partition
from elmo_tagger.tagging.posteriors import Reading, span_posteriors
from elmo_tagger.tagging.schemes import Scheme
from elmo_tagger.tagging.viterbi import best_paths
from elmo_tagger.text.sentence import Span

PADDING_TAG = -1
"""Fills decoded paths where there is no token, and paths that do not exist."""


class ConditionalRandomField(nn.Module):
    """Scores of neighbouring tags, and what follows from them for a sentence's emissions.

    Everything is computed in float32 (in float64 for float64 emissions) whatever the emissions' dtype and autocast
    say. Masks may have gaps: what is masked is skipped, its neighbours count as adjacent. A sentence without tokens
    has log-likelihood 0 and an empty best path of score 0.

    The parameters have AllenNLP's names and meanings, so a state dict of its `ConditionalRandomField` loads; its
    constraint mask then replaces the one given here.

    Attributes:
        transitions: (K, K), score of going from a tag, first axis, to the next.
        start_transitions: (K,), score of a first tag; absent without `include_start_end_transitions`.
        end_transitions: (K,), score of a last tag; likewise.
    """

    _constraint_mask: Tensor
    _forbidden: Tensor
    _forbidden_start: Tensor
    _forbidden_end: Tensor
    label_weights: Tensor

    def __init__(
        self,
        *,
        num_tags: int,
        constraints: Iterable[tuple[int, int]] | None = None,
        constrain_training: bool = True,
        include_start_end_transitions: bool = True,
        label_weights: Sequence[float] | None = None,
        weight_strategy: str = "emission",
    ) -> None:
        """Make a field with random transitions.

        Args:
            num_tags: K.
            constraints: The allowed pairs (from, to) of tag ids, K for the start and K + 1 for the end, as
                `schemes.allowed_transitions` gives them; None allows everything.
            constrain_training: Whether forbidden sequences are left out of the likelihood's denominator too.
                Decoding, marginals and posteriors always leave them out.
            include_start_end_transitions: Whether first and last tags have scores of their own.
            label_weights: K weights of the tags, for `log_likelihood` alone.
            weight_strategy: How they act, one of `class_weights.STRATEGIES`.

        Raises:
            CrfInputError: A number of tags, weights, strategy or constraint that cannot be.
        """
        super().__init__()
        if num_tags < 1:
            raise CrfInputError(f"a CRF needs at least one tag, received num_tags={num_tags}")
        if weight_strategy not in STRATEGIES:
            raise CrfInputError(f"unknown weight_strategy {weight_strategy!r}, expected one of {', '.join(STRATEGIES)}")
        if label_weights is not None and len(label_weights) != num_tags:
            raise CrfInputError(f"expected {num_tags} label_weights, one a tag, received {len(label_weights)}")
        self.num_tags = num_tags
        self.constrain_training = constrain_training
        self.weight_strategy = weight_strategy if label_weights is not None else None
        self.transitions = nn.Parameter(torch.empty(num_tags, num_tags))
        self.register_buffer("_constraint_mask", _constraint_mask(num_tags, constraints))
        self._split_constraints()
        self.include_start_end_transitions = include_start_end_transitions
        if include_start_end_transitions:
            self.start_transitions = nn.Parameter(torch.empty(num_tags))
            self.end_transitions = nn.Parameter(torch.empty(num_tags))
        if label_weights is not None:
            self.register_buffer("label_weights", torch.tensor(label_weights, dtype=torch.float32))
        self.reset_parameters()

    def _split_constraints(self) -> None:
        """Keep the mask's parts in the form in which every call needs them."""
        forbidden, size = ~self._constraint_mask, self.num_tags
        self.register_buffer("_forbidden", forbidden[:size, :size].contiguous(), persistent=False)
        self.register_buffer("_forbidden_start", forbidden[size, :size].contiguous(), persistent=False)
        self.register_buffer("_forbidden_end", forbidden[:size, size + 1].contiguous(), persistent=False)
        parts = (self._forbidden, self._forbidden_start, self._forbidden_end)
        self._constrained = any(bool(part.any()) for part in parts)

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        # AllenNLP stores its mask as numbers.
        self._constraint_mask = self._constraint_mask.bool()
        self._split_constraints()

    def reset_parameters(self) -> None:
        """Draw new transitions, in AllenNLP's order and from its distributions."""
        nn.init.xavier_normal_(self.transitions)
        if self.include_start_end_transitions:
            nn.init.normal_(self.start_transitions)
            nn.init.normal_(self.end_transitions)

    def log_likelihood(self, emissions: Tensor, tags: Tensor, mask: Tensor | None = None) -> Tensor:
        """How probable the true tags are.

        Args:
            emissions: (B, T, K), any floating dtype; without meaning where masked.
            tags: (B, T) int64, the true tags; or (B, T, K) bool, the tags that each token may have, for sentences
                whose annotation leaves tags open: their probabilities are summed.
            mask: (B, T) bool; None means that every token is real.

        Returns:
            (B,), logarithm of the probability, in nats; at most 0 unless class weights are used.

        Raises:
            CrfInputError: Bad values or shapes; tags that the constraints forbid while `constrain_training`.
        """
        with _full_precision(emissions):
            packing = self._packing(emissions, mask)
            check_tags(tags, packing.mask, self.num_tags)
            emissions = packing.pack(emissions)
            transitions: Tensor = self.transitions
            if self.weight_strategy is not None:
                weights = self.label_weights.to(emissions.dtype)
                emissions, transitions = weigh_scores(emissions, transitions, weights, self.weight_strategy)
            chain = self._chain(emissions, transitions, packing, constrained=self.constrain_training)
            return self._log_likelihood(chain, packing.pack(tags)).to(emissions.dtype)

    def _log_likelihood(self, chain: Chain, tags: Tensor) -> Tensor:
        """(B,) float64, for packed tags (T, B) or allowed tags (T, B, K)."""
        real = chain.real
        if tags.dtype == torch.bool:
            if self.weight_strategy == "lannoy":
                raise CrfInputError('weight_strategy "lannoy" needs one tag a token, received sets of allowed tags')
            allowed = chain.restricted(tags | ~real.unsqueeze(2))
            score = log_partition(allowed) + (allowed.offset - chain.offset)
        elif self.weight_strategy == "lannoy":
            score = lannoy_log_likelihood(chain, tags.masked_fill(~real, 0), self.label_weights.to(chain.start.dtype))
        else:
            score = chain.path_score(tags.masked_fill(~real, 0))
        check_reachable(score, chain.lengths, "the tags break the constraints")
        return score if self.weight_strategy == "lannoy" else score - log_partition(chain)

    @torch.no_grad()
    def decode(self, emissions: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The most probable tags.

        Args:
            emissions: (B, T, K), any floating dtype.
            mask: (B, T) bool; None means that every token is real.

        Returns:
            (B, T) int64, tag ids, `PADDING_TAG` where masked; ties go to the lowest id, from the last token back.
            And (B,), the sequences' scores: the sums of their emissions and transitions.

        Raises:
            CrfInputError: Bad values or shapes; constraints that allow a sentence no sequence.
        """
        packing = self._packing(emissions, mask)
        chain = self._chain(packing.pack(emissions), self.transitions, packing)
        path, score = best_paths(chain)
        check_reachable(score, chain.lengths, "the constraints allow no tag sequence")
        return packing.unpack(path, PADDING_TAG), (score + chain.offset).to(chain.emissions.dtype)

    @torch.no_grad()
    def decode_n_best(self, emissions: Tensor, mask: Tensor | None = None, n: int = 1) -> tuple[Tensor, Tensor]:
        """The n most probable tag sequences, best first.

        Args:
            emissions: (B, T, K), any floating dtype.
            mask: (B, T) bool; None means that every token is real.
            n: N, at least 1.

        Returns:
            (B, N, T) int64, tag ids, `PADDING_TAG` where masked and all along paths that do not exist.
            And (B, N), logarithms of the sequences' probabilities, in nats; minus infinity for those.

        Raises:
            CrfInputError: As `decode`; n below 1.
        """
        if n < 1:
            raise CrfInputError(f"expected n of at least 1, received {n}")
        with _full_precision(emissions):
            packing = self._packing(emissions, mask)
            chain = self._chain(packing.pack(emissions), self.transitions, packing)
            total = log_partition(chain)
            check_reachable(total, chain.lengths, "the constraints allow no tag sequence")
            paths, exists = n_best_paths(chain, n)
            exists &= (chain.lengths > 0).unsqueeze(1) | (torch.arange(n, device=exists.device) == 0)
            scores = torch.stack([chain.path_score(path) for path in paths.unbind(2)], 1)
            scores = (scores - total.unsqueeze(1)).clamp(max=0.0).masked_fill(~exists, -torch.inf)
            unpacked = [packing.unpack(path, PADDING_TAG) for path in paths.unbind(2)]
            filled = torch.stack(unpacked, 1).masked_fill(~exists.unsqueeze(2), PADDING_TAG)
            return filled, scores.to(chain.emissions.dtype)

    def marginals(self, emissions: Tensor, mask: Tensor | None = None) -> Tensor:
        """How probable each tag is for each token.

        Args:
            emissions: (B, T, K), any floating dtype.
            mask: (B, T) bool; None means that every token is real.

        Returns:
            (B, T, K), probability in [0, 1], summing to 1 over K; 0 where masked. Without gradient.

        Raises:
            CrfInputError: As `decode`.
        """
        with _full_precision(emissions), torch.inference_mode(False), torch.enable_grad():
            packing = self._packing(emissions, mask)
            chain = self._chain(packing.pack(emissions).detach().clone().requires_grad_(), self.transitions, packing)
            total = log_partition(chain)
            check_reachable(total, chain.lengths, "the constraints allow no tag sequence")
            # The partition function's gradient is the expectation of its scores.
            (marginals,) = torch.autograd.grad(total.sum(), chain.emissions)
            return packing.unpack(marginals, 0.0)

    @torch.no_grad()
    def span_posteriors(
        self, emissions: Tensor, mask: Tensor | None = None, *, queries: Tensor, reading: Reading
    ) -> Tensor:
        """How probable entities are: exactly this span with exactly this type.

        Args:
            emissions: (B, T, K), any floating dtype.
            mask: (B, T) bool; None means that every token is real.
            queries: (S, 4) int64: sentence, first token, end (exclusive), number of the type in `reading.types`.
            reading: How the tags are read as entities.

        Returns:
            (S,), probability in [0, 1]: of all tag sequences that, read leniently, contain the entity.

        Raises:
            CrfInputError: As `decode`; a query outside its sentence.
        """
        with _full_precision(emissions):
            packing = self._packing(emissions, mask)
            chain = self._chain(packing.pack(emissions), self.transitions, packing)
            check_reachable(log_partition(chain), chain.lengths, "the constraints allow no tag sequence")
            return span_posteriors(chain, packing.locate(queries.to(emissions.device)), reading.to(emissions.device))

    def entity_posteriors(
        self,
        emissions: Tensor,
        mask: Tensor | None = None,
        *,
        spans: Sequence[Sequence[Span]],
        tags: Sequence[str] | Mapping[int, str],
        scheme: str | Scheme,
    ) -> list[list[float]]:
        """`span_posteriors` for the entities found in a batch.

        Args:
            emissions: (B, T, K), any floating dtype.
            mask: (B, T) bool; None means that every token is real.
            spans: Entities of each sentence, positions as in `emissions`.
            tags: The K tags by id.
            scheme: Their scheme.

        Returns:
            Probability in [0, 1] of each span, in the order of `spans`.

        Raises:
            CrfInputError: As `span_posteriors`; not one list of spans for each sentence.
            TagSchemeError: A tag does not belong to the scheme.
        """
        if len(spans) != len(emissions):
            raise CrfInputError(f"expected spans for {len(emissions)} sentences, received {len(spans)}")
        reading = Reading.of(tags, scheme)
        flat = [
            (row, span.start, span.end, reading.number(span.type)) for row, found in enumerate(spans) for span in found
        ]
        queries = torch.tensor(flat, dtype=torch.int64).view(-1, 4)
        found = iter(self.span_posteriors(emissions, mask, queries=queries, reading=reading).tolist())
        return [[next(found) for _ in sentence] for sentence in spans]

    def _packing(self, emissions: Tensor, mask: Tensor | None) -> Packing:
        if mask is None:
            mask = torch.ones(emissions.shape[:2], dtype=torch.bool, device=emissions.device)
        check_shapes(emissions, mask, self.num_tags)
        check_emissions(emissions.detach(), mask)
        return Packing.of(mask)

    def _chain(self, emissions: Tensor, transitions: Tensor, packing: Packing, *, constrained: bool = True) -> Chain:
        """The chain of packed emissions (T, B, K), forbidden scores replaced by minus infinity if `constrained`."""
        size = self.num_tags
        start: Tensor = self.start_transitions if self.include_start_end_transitions else transitions.new_zeros(size)
        end: Tensor = self.end_transitions if self.include_start_end_transitions else transitions.new_zeros(size)
        if constrained and self._constrained:
            transitions = transitions.masked_fill(self._forbidden, -torch.inf)
            start = start.masked_fill(self._forbidden_start, -torch.inf)
            end = end.masked_fill(self._forbidden_end, -torch.inf)
        if transitions.dtype != emissions.dtype:
            transitions, start, end = (each.to(emissions.dtype) for each in (transitions, start, end))
        return Chain.build(
            emissions=emissions,
            transitions=transitions,
            start=start,
            end=end,
            lengths=packing.lengths,
            full=packing.full,
        )


def _constraint_mask(tags: int, constraints: Iterable[tuple[int, int]] | None) -> Tensor:
    """(K + 2, K + 2) bool, true where a tag, first axis, may be followed by another; K is the start, K + 1 the end."""
    if constraints is None:
        return torch.ones(tags + 2, tags + 2, dtype=torch.bool)
    pairs = list(constraints)
    check_constraints(pairs, tags)
    mask = torch.zeros(tags + 2, tags + 2, dtype=torch.bool)
    for source, target in pairs:
        mask[source, target] = True
    return mask


def _full_precision(emissions: Tensor) -> torch.autocast:
    return torch.autocast(emissions.device.type, enabled=False)
