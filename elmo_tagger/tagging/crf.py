"""A linear-chain conditional random field: scores of neighbouring tags, and what follows from them for a sentence.

A tag sequence's score is the sum of its tags' emissions, which a network gives for each token, of the transitions
between neighbouring tags, and of its first tag's start and its last tag's end. Its probability is the exponential of
its score, divided by the sum of those of all tag sequences.

`ConditionalRandomField` below holds the parameters and says what is computed; how, is told by the file of each
algorithm. `chain` has the form in which they take a batch, `forward_backward` the sum over all sequences, `viterbi`
the best one, `n_best` the next ones, `posteriors` the probability of an entity. `tests/reference/crf.py` computes the
same by listing all sequences.

Source: Lafferty et al. 2001, "Conditional random fields"; Lample et al. 2016, "Neural architectures for named entity
recognition", section 2.2, for emissions from an LSTM.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from elmo_tagger.tagging.chain import PADDING_TAG, Chain, Packing
from elmo_tagger.tagging.checks import (
    CrfInputError,
    are_valid,
    check_constraints,
    check_emissions,
    check_label_shapes,
    check_labels,
    check_parameters,
    check_reachable,
    check_shapes,
)
from elmo_tagger.tagging.class_weights import STRATEGIES, lannoy_log_likelihood, weigh_scores
from elmo_tagger.tagging.forward_backward import LogMessages, log_partition, messages_of
from elmo_tagger.tagging.n_best import n_best_paths
from elmo_tagger.tagging.posteriors import SpanRules, span_posteriors
from elmo_tagger.tagging.schemes import Scheme
from elmo_tagger.tagging.viterbi import best_paths
from elmo_tagger.text.sentence import Span

__all__ = ["PADDING_TAG", "ConditionalRandomField"]


class ConditionalRandomField(nn.Module):
    """The parameters of a CRF, its likelihood and its decoding.

    The parameters have AllenNLP's names and meanings, so a state dict of its `ConditionalRandomField` loads; its
    constraint mask then replaces the one given here.

    Emissions may have any floating dtype, whatever autocast says: those below float32 are computed, and their results
    given, in float32. They may be any numbers from -1e4 to 1e4. Masks may have gaps: what is masked is skipped, its
    neighbours count as adjacent. A sentence without tokens has log-likelihood 0 and an empty best path of score 0.

    `log_likelihood` and `decode` wait for a device once. Errors name the sentence of the batch, the token and the
    value.

    Attributes:
        transitions: (K, K), score of going from a tag, first axis, to the next.
        start_transitions: (K,), score of a first tag; absent without `include_start_end_transitions`.
        end_transitions: (K,), score of a last tag; likewise.
        temperature: (), divides all scores wherever a probability is told: in `log_probability`, `decode_n_best`,
            `marginals` and the posteriors. 1 until `temperature.fit_temperature` finds another; no best path depends
            on it, nor does the likelihood of training.
    """

    temperature: Tensor
    label_weights: Tensor
    _constraint_mask: Tensor

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
        self.include_start_end_transitions = include_start_end_transitions
        self.weight_strategy = weight_strategy if label_weights is not None else None
        self.transitions = nn.Parameter(torch.empty(num_tags, num_tags))
        self.register_buffer("_constraint_mask", _constraint_mask(num_tags, constraints))
        self.register_buffer("temperature", torch.tensor(1.0))
        if include_start_end_transitions:
            self.start_transitions = nn.Parameter(torch.empty(num_tags))
            self.end_transitions = nn.Parameter(torch.empty(num_tags))
        if label_weights is not None:
            self.register_buffer("label_weights", torch.tensor(label_weights, dtype=torch.float32))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new scores, in AllenNLP's order and from its distributions."""
        nn.init.xavier_normal_(self.transitions)
        if self.include_start_end_transitions:
            nn.init.normal_(self.start_transitions)
            nn.init.normal_(self.end_transitions)

    def log_likelihood(self, emissions: Tensor, tags: Tensor, mask: Tensor | None = None) -> Tensor:
        """How probable the true tags are.

        Args:
            emissions: (B, T, K); without meaning where masked.
            tags: (B, T) int64, the true tags; or (B, T, K) bool, the tags that each token may have, for sentences
                whose annotation leaves tags open: their probabilities are summed.
            mask: (B, T) bool; None means that every token is real.

        Returns:
            (B,), logarithm of the probability, in nats; at most 0 unless class weights are used.

        Raises:
            CrfInputError: Bad values or shapes; a mask that is false everywhere; tags that the constraints forbid
                while `constrain_training`.
        """
        mask = self._checked_mask(emissions, mask)
        check_label_shapes(tags, mask, self.num_tags)
        packing = Packing.of(mask)
        chain = self._chain(emissions, packing, training=True)
        if tags.dtype == torch.bool:
            if self.weight_strategy == "lannoy":
                raise CrfInputError('weight_strategy "lannoy" needs one tag a token, received sets of allowed tags')
            allowed = chain.restricted(packing.pack(tags, True))
            likelihood = log_partition(allowed) + (allowed.offset - chain.offset) - log_partition(chain)
            valid = chain.valid
        else:
            labels = packing.pack(tags, 0)
            path = labels.clamp(0, self.num_tags - 1)
            if self.weight_strategy == "lannoy":
                likelihood = lannoy_log_likelihood(chain, path, self.label_weights.to(chain.emissions.dtype))
            else:
                likelihood = chain.path_score(path) - log_partition(chain)
            valid = chain.valid & (path == labels).all()
        if mask.numel():
            valid = valid & mask.any()
        if not (valid & likelihood.isfinite().all()):
            self._check_scores(emissions, mask)
            check_labels(tags, mask, self.num_tags)
            check_reachable(likelihood, packing.lengths, "the tags break the constraints")
        return likelihood.to(computed_in(emissions))

    @torch.no_grad()
    def log_probability(self, emissions: Tensor, tags: Tensor, mask: Tensor | None = None) -> Tensor:
        """How probable given tags are, as confidences are told: with the temperature, and without class weights.

        Args:
            emissions: (B, T, K)
            tags: (B, T) int64; or (B, T, K) bool, the tags that each token may have, whose probabilities are summed.
            mask: (B, T) bool.

        Returns:
            (B,) float64, nats; minus infinity for tags that the constraints forbid.

        Raises:
            CrfInputError: Bad values or shapes; constraints that allow a sentence no sequence.
        """
        mask = self._checked_mask(emissions, mask)
        check_label_shapes(tags, mask, self.num_tags)
        check_labels(tags, mask, self.num_tags)
        packing, chain = self._calibrated_chain(emissions, mask)
        total = messages_of(chain).log_partition()
        self._check_possible(chain, total, emissions, mask)
        if tags.dtype == torch.bool:
            allowed = chain.restricted(packing.pack(tags, True))
            score = messages_of(allowed).log_partition() + (allowed.offset - chain.offset)
        else:
            score = chain.path_score(packing.pack(tags, 0).clamp(0, self.num_tags - 1))
        return (score - total).clamp(max=0.0)

    @torch.no_grad()
    def decode(self, emissions: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The most probable tags.

        Args:
            emissions: (B, T, K)
            mask: (B, T) bool.

        Returns:
            (B, T) int64, tag ids, `PADDING_TAG` where masked; ties go to the lowest id, from the last token back.
            And (B,), the sequences' scores.

        Raises:
            CrfInputError: Bad values or shapes; constraints that allow a sentence no sequence.
        """
        packing = Packing.of(self._checked_mask(emissions, mask))
        chain = self._chain(emissions, packing)
        path = best_paths(chain)
        score = chain.path_score(path) + chain.offset
        self._check_possible(chain, score, emissions, mask)
        return packing.unpack(path, PADDING_TAG), score.to(computed_in(emissions))

    @torch.no_grad()
    def decode_n_best(self, emissions: Tensor, mask: Tensor | None = None, n: int = 1) -> tuple[Tensor, Tensor]:
        """The n most probable tag sequences, best first.

        Args:
            emissions: (B, T, K)
            mask: (B, T) bool.
            n: N, at least 1.

        Returns:
            (B, N, T) int64, tag ids, `PADDING_TAG` where masked and all along paths that do not exist; sequences of
            one score come in the same order on every device. And (B, N), logarithms of the sequences' probabilities,
            in nats; minus infinity for those that do not exist.

        Raises:
            CrfInputError: As `decode`; n below 1.
        """
        if n < 1:
            raise CrfInputError(f"expected n of at least 1, received {n}")
        packing, calibrated = self._calibrated_chain(emissions, mask)
        total = messages_of(calibrated).log_partition()
        self._check_possible(calibrated, total, emissions, mask)
        # In the precision of `decode`, so that both break near ties alike; calibration changes no best path.
        paths, exists = n_best_paths(self._chain(emissions, packing), n)
        scores = torch.stack([calibrated.path_score(path) - total for path in paths])
        scores = scores.clamp(max=0.0).masked_fill(~exists, -torch.inf)
        unpacked = torch.stack([packing.unpack(path, PADDING_TAG) for path in paths])
        unpacked = unpacked.masked_fill(~exists.unsqueeze(2), PADDING_TAG)
        return unpacked.transpose(0, 1), scores.t().to(computed_in(emissions))

    @torch.no_grad()
    def marginals(self, emissions: Tensor, mask: Tensor | None = None) -> Tensor:
        """How probable each tag is for each token.

        Args:
            emissions: (B, T, K)
            mask: (B, T) bool.

        Returns:
            (B, T, K), probability in [0, 1], summing to 1 over K; 0 where masked. Without gradient.

        Raises:
            CrfInputError: As `decode`.
        """
        packing, chain = self._calibrated_chain(emissions, mask)
        messages = messages_of(chain)
        self._check_possible(chain, messages.log_partition(), emissions, mask)
        marginals, _ = messages.expected(torch.ones_like(chain.offset))
        return packing.unpack(marginals.transpose(1, 2), 0.0).to(computed_in(emissions))

    @torch.no_grad()
    def span_posteriors(
        self, emissions: Tensor, mask: Tensor | None = None, *, queries: Tensor, rules: SpanRules
    ) -> Tensor:
        """How probable entities are: exactly this span with exactly this type.

        Args:
            emissions: (B, T, K)
            mask: (B, T) bool.
            queries: (S, 4) int64: sentence, first token, end (exclusive), number of the type in `rules.types`.
            rules: How the tags are read as entities.

        Returns:
            (S,) float32, probability in [0, 1]: of all tag sequences that, read leniently, contain the entity.

        Raises:
            CrfInputError: As `decode`; a query outside its sentence.
        """
        packing, chain = self._calibrated_chain(emissions, mask)
        messages = LogMessages.of(chain)
        self._check_possible(chain, messages.log_partition(), emissions, mask)
        queries = packing.locate(queries.to(emissions.device))
        return span_posteriors(messages, queries, rules.to(emissions.device)).float()

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
            emissions: (B, T, K)
            mask: (B, T) bool.
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
        rules = SpanRules.of(tags, scheme)
        found = iter(self.span_posteriors(emissions, mask, queries=rules.queries(spans), rules=rules).tolist())
        return [[next(found) for _ in sentence] for sentence in spans]

    def _checked_mask(self, emissions: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T) bool, all ones for None."""
        if mask is None:
            mask = torch.ones(emissions.shape[:2], dtype=torch.bool, device=emissions.device)
        check_shapes(emissions, mask, self.num_tags)
        return mask

    def _chain(self, emissions: Tensor, packing: Packing, *, training: bool = False) -> Chain:
        """The chain of emissions (B, T, K); for `training`, with class weights, and constraints as they hold there."""
        packed = packing.pack(emissions.to(computed_in(emissions)), 0.0)
        valid = are_valid(packed.detach(), (values.detach() for values in self.parameters()))
        size, forbidden = self.num_tags, ~self._constraint_mask
        transitions: Tensor = self.transitions
        start: Tensor = self.start_transitions if self.include_start_end_transitions else transitions.new_zeros(size)
        end: Tensor = self.end_transitions if self.include_start_end_transitions else transitions.new_zeros(size)
        if training and self.weight_strategy is not None:
            weights = self.label_weights.to(packed.dtype)
            packed, transitions = weigh_scores(packed, transitions, weights, self.weight_strategy)
        if self.constrain_training or not training:
            transitions = transitions.masked_fill(forbidden[:size, :size], -torch.inf)
            start = start.masked_fill(forbidden[size, :size], -torch.inf)
            end = end.masked_fill(forbidden[:size, size + 1], -torch.inf)
        return Chain.build(
            emissions=packed, transitions=transitions, start=start, end=end, lengths=packing.lengths, valid=valid
        )

    def _calibrated_chain(self, emissions: Tensor, mask: Tensor | None) -> tuple[Packing, Chain]:
        """The chain for probabilities: in float64, where also small differences of large scores count."""
        packing = Packing.of(self._checked_mask(emissions, mask))
        return packing, self._chain(emissions.double(), packing).scaled(1 / self.temperature.double())

    def _check_possible(self, chain: Chain, score: Tensor, emissions: Tensor, mask: Tensor | None) -> None:
        """Refuses bad emissions and parameters, and sentences that have no tag sequence."""
        if not (chain.valid & score.isfinite().all()):
            self._check_scores(emissions, mask)
            check_reachable(score, chain.lengths, "the constraints allow no tag sequence")

    def _check_scores(self, emissions: Tensor, mask: Tensor | None) -> None:
        check_parameters(self.named_parameters())
        check_emissions(emissions.detach(), self._checked_mask(emissions, mask))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        temperature = state_dict.setdefault(f"{prefix}temperature", torch.tensor(1.0))  # AllenNLP's have none
        if not (temperature.isfinite() & (temperature > 0)).all():
            raise CrfInputError(f"{prefix}temperature is {temperature.tolist()}, expected a number above 0")
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._constraint_mask = self._constraint_mask.bool()  # AllenNLP stores it as numbers

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.temperature == 1:
            del destination[f"{prefix}temperature"]  # so that AllenNLP's can load it


def computed_in(emissions: Tensor) -> torch.dtype:
    """The dtype in which emissions are computed, and their results given: at least float32."""
    return torch.promote_types(emissions.dtype, torch.float32)


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
