"""A linear-chain conditional random field: likelihood, decoding and exact posteriors, a whole batch at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from elmo_tagger.tagging.chain import Chain
from elmo_tagger.tagging.checks import (
    CrfInputError,
    check_constraints,
    check_emissions,
    check_label_shapes,
    check_labels,
    check_parameters,
    check_reachable,
    check_shapes,
)
from elmo_tagger.tagging.class_weights import STRATEGIES, weigh_scores
from elmo_tagger.tagging.devices import on_host, to_host
from elmo_tagger.tagging.exact_posteriors import LARGE, exact_span_posteriors
from elmo_tagger.tagging.likelihood import Likelihood
from elmo_tagger.tagging.n_best import n_best_paths
from elmo_tagger.tagging.packing import Packing
from elmo_tagger.tagging.partition import log_partition
from elmo_tagger.tagging.posteriors import Reading, span_posteriors
from elmo_tagger.tagging.schemes import Scheme
from elmo_tagger.tagging.viterbi import best_paths
from elmo_tagger.text.sentence import Span

PADDING_TAG = -1
"""Fills decoded paths where there is no token, and paths that do not exist."""

WIDE = 1e18
"""Emissions beyond it are computed in float64: their squares, and their sums over a sentence, leave float32."""


class ConditionalRandomField(nn.Module):
    """Scores of neighbouring tags, and what follows from them for a sentence's emissions.

    Everything is computed in float32 (in float64 for float64 emissions) whatever the emissions' dtype and autocast
    say. Masks may have gaps: what is masked is skipped, its neighbours count as adjacent. A sentence without tokens
    has log-likelihood 0 and an empty best path of score 0; a mask that is false everywhere has no likelihood, an error.

    Emissions may be any finite numbers: where float32 is too narrow, float64 is used, and results that float32 cannot
    hold become the largest that it can, such that their sum over the batch is finite too. (Float64 emissions should
    stay below 1e300.) What an error must say and what needs a slow way is not looked for first. Results come with one
    flag that says whether all went as usual, and only if not, everything is looked at and done again: `log_likelihood`,
    `decode` and `evaluate` each wait for a device once.

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
            _, likelihood, unusual = self._try_likelihood(emissions, tags, mask)
            flags = to_host(torch.stack([unusual, likelihood.doubtful])).tolist()
            return self._settled(likelihood, flags, emissions, tags, mask)

    def evaluate(
        self, emissions: Tensor, tags: Tensor, mask: Tensor | None = None, *, gold: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`log_likelihood` and `decode` with one copy from the device for both.

        Args:
            emissions: (B, T, K), any floating dtype.
            tags: As for `log_likelihood`.
            mask: (B, T) bool; None means that every token is real.
            gold: (B, T) int64, to bring along.

        Returns:
            (B,), logarithm of the tags' probability, in nats. And (2, B, T) int64 in the host's memory, the gold and
            the most probable tags, `PADDING_TAG` where masked.

        Raises:
            CrfInputError: As both.
        """
        with _full_precision(emissions):
            packing, likelihood, unusual = self._try_likelihood(emissions, tags, mask)
            with torch.no_grad():
                chain = self._chain(packing.pack(emissions), self.transitions, packing)
                path, score = best_paths(chain)
                pair = torch.stack([gold.masked_fill(~packing.mask, PADDING_TAG), packing.unpack(path, PADDING_TAG)])
                unusual = unusual | ~score.sum().isfinite()
                signs = torch.stack([unusual, likelihood.doubtful]).long()
                copied = to_host(torch.cat([signs, pair.flatten()]))
            flags = copied[:2].tolist()
            value = self._settled(likelihood, flags, emissions, tags, mask)
            pair = copied[2:].view_as(pair)
            if flags[0]:
                pair[1] = self.decode(emissions, mask)[0].to(pair.device)
            return value, pair

    def _try_likelihood(
        self, emissions: Tensor, tags: Tensor, mask: Tensor | None, *, careful: bool = False
    ) -> tuple[Packing, Likelihood, Tensor]:
        """The likelihood, and () bool, whether it must be done again, `careful`ly."""
        packing, packed = self._packed(emissions, mask, careful=careful)
        check_label_shapes(tags, packing.mask, self.num_tags)
        if careful:
            check_labels(tags, packing.mask, self.num_tags)
        transitions: Tensor = self.transitions
        lannoy = None
        if self.weight_strategy is not None:
            weights = self.label_weights.to(packed.dtype)
            packed, transitions = weigh_scores(packed, transitions, weights, self.weight_strategy)
            lannoy = weights if self.weight_strategy == "lannoy" else None
        chain = self._chain(packed, transitions, packing, constrained=self.constrain_training)
        likelihood = Likelihood.of(chain, packing.pack(tags), lannoy)
        unusual = _unusual(chain, packing, likelihood.proof) | likelihood.bad
        return packing, likelihood, unusual if packing.full else unusual | ~packing.mask.any()

    def _settled(
        self, likelihood: Likelihood, flags: list[int], emissions: Tensor, tags: Tensor, mask: Tensor | None
    ) -> Tensor:
        """(B,), given whether the likelihood was unusual and whether it is doubtful."""
        dtype = torch.promote_types(emissions.dtype, torch.float32)
        unusual, doubtful = flags
        if not (unusual or doubtful):
            return likelihood.value().to(dtype)
        check_parameters(self.named_parameters())
        if unusual:
            _, likelihood, _ = self._try_likelihood(emissions, tags, mask, careful=True)
        return _narrowed(likelihood.rescued(), dtype)

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
        packing, packed = self._packed(emissions, mask)
        chain = self._chain(packed, self.transitions, packing)
        path, score = best_paths(chain)
        if _decoded_unusually(chain, packing, score):
            packing, chain = self._careful(emissions, mask)
            path, score = best_paths(chain)
            check_reachable(score, chain.lengths, "the constraints allow no tag sequence")
        dtype = torch.promote_types(emissions.dtype, torch.float32)
        limit = _limit(len(score), dtype)
        return packing.unpack(path, PADDING_TAG), (score + chain.offset).clamp_(-limit, limit).to(dtype)

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
            packing, chain = self._careful(emissions, mask)
            total = log_partition(chain)
            check_reachable(total, chain.lengths, "the constraints allow no tag sequence")
            paths, exists = n_best_paths(chain, n)
            exists &= (chain.lengths > 0).unsqueeze(1) | (torch.arange(n, device=exists.device) == 0)
            scores = torch.stack([chain.path_score(path) for path in paths.unbind(2)], 1)
            scores = (scores - total.unsqueeze(1)).clamp(max=0.0).masked_fill(~exists, -torch.inf)
            unpacked = [packing.unpack(path, PADDING_TAG) for path in paths.unbind(2)]
            filled = torch.stack(unpacked, 1).masked_fill(~exists.unsqueeze(2), PADDING_TAG)
            return filled, scores.to(torch.promote_types(emissions.dtype, torch.float32))

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
            packing, chain = self._careful(emissions.detach(), mask, leaf=True)
            total = log_partition(chain)
            check_reachable(total, chain.lengths, "the constraints allow no tag sequence")
            # The partition function's gradient is the expectation of its scores.
            (marginals,) = torch.autograd.grad(total.sum(), chain.emissions)
            return packing.unpack(marginals, 0.0).to(torch.promote_types(emissions.dtype, torch.float32))

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
            packing, packed = self._packed(emissions, mask, careful=True)
            packed = packed.double()  # numerator and denominator are rounded apart, and their ratio is what counts
            chain = self._chain(packed, self.transitions, packing)
            check_reachable(log_partition(chain), chain.lengths, "the constraints allow no tag sequence")
            queries, reading = packing.locate(queries.to(emissions.device)), reading.to(emissions.device)
            found = span_posteriors(chain, queries, reading)
            size = packed.abs().amax(2).masked_fill(~chain.real, 0.0).amax(0)
            large = (size > LARGE)[queries[:, 0]].nonzero().squeeze(1)
            if not len(large):
                return found
            return found.index_copy(0, large, exact_span_posteriors(chain, packed, queries[large], reading))

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

    def _packed(self, emissions: Tensor, mask: Tensor | None, *, careful: bool = False) -> tuple[Packing, Tensor]:
        """The packing, and emissions (T, B, K); `careful`ly checked, and in float64 where they need its range."""
        size = emissions.shape[:2]
        checked = torch.ones(size, dtype=torch.bool, device=emissions.device) if mask is None else mask
        check_shapes(emissions, checked, self.num_tags)
        packing = Packing.of(checked, careful=careful, full=mask is None)
        packed = packing.pack(emissions)
        if careful:
            check_parameters(self.named_parameters())
            check_emissions(emissions.detach(), packing.mask)
            real = emissions.detach().masked_fill(~packing.mask.unsqueeze(2), 0.0)
            if real.numel() and real.abs().max() > WIDE:
                packed = packed.double()
        return packing, packed

    def _careful(self, emissions: Tensor, mask: Tensor | None, *, leaf: bool = False) -> tuple[Packing, Chain]:
        """The packing and the chain of checked emissions; with `leaf`, a chain to differentiate by its emissions."""
        packing, packed = self._packed(emissions, mask, careful=True)
        return packing, self._chain(packed.clone().requires_grad_() if leaf else packed, self.transitions, packing)

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


def _unusual(chain: Chain, packing: Packing, *numbers: Tensor) -> Tensor:
    """() bool, whether a batch needs a closer look: its emissions, some numbers or its mask."""
    # One pass over memory, finite unless an emission is not, or so large that float32 may be too narrow.
    flat = chain.emissions.detach().flatten()
    proof = torch.dot(flat, flat)
    for number in numbers:
        proof = proof + number
    unusual = ~proof.isfinite()
    return unusual if packing.gaps is None else unusual | packing.gaps


@np.errstate(over="ignore", invalid="ignore")  # which is what is looked for
def _decoded_unusually(chain: Chain, packing: Packing, score: Tensor) -> bool:
    """`_unusual`, looked at."""
    if not on_host(score):
        return bool(to_host(_unusual(chain, packing, score.sum())).item())
    flat = chain.emissions.numpy().ravel()  # NumPy's calls cost a third of PyTorch's, which one short sentence feels
    return not math.isfinite(float(flat @ flat) + float(score.numpy().sum()))


def _limit(size: int, dtype: torch.dtype) -> float:
    return torch.finfo(dtype).max / max(size, 1)


def _narrowed(values: Tensor, dtype: torch.dtype) -> Tensor:
    """(B,) float64 to a dtype; what is too large for it becomes the largest number whose B-fold it can hold."""
    limit = _limit(len(values), dtype)
    # The gradient is that of the values: a loss that went off the scale must still lead back.
    return (values + (values.clamp(-limit, limit) - values).detach()).to(dtype)


def _full_precision(emissions: Tensor) -> torch.autocast:
    return torch.autocast(emissions.device.type, enabled=False)
