"""What a field says of a batch without labels: its best tags, its n best, and how sure it is of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from elmo_tagger.tagging.checks import CrfInputError, check_reachable
from elmo_tagger.tagging.exact_posteriors import exact_where_large
from elmo_tagger.tagging.extremes import clamped, computed_in, decoded_unusually, full_precision
from elmo_tagger.tagging.n_best import n_best_paths
from elmo_tagger.tagging.packing import PADDING_TAG
from elmo_tagger.tagging.partition import log_partition
from elmo_tagger.tagging.posteriors import Reading, span_posteriors
from elmo_tagger.tagging.schemes import Scheme
from elmo_tagger.tagging.transitions import Transitions
from elmo_tagger.tagging.viterbi import best_paths
from elmo_tagger.text.sentence import Span

UNREACHABLE = "the constraints allow no tag sequence"


class TagInference(Transitions):
    """Scores of neighbouring tags, and what they make of a sentence's emissions; see `crf.ConditionalRandomField`."""

    @torch.no_grad()
    def decode(self, emissions: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The most probable tags.

        Args:
            emissions: (B, T, K), any floating dtype.
            mask: (B, T) bool.

        Returns:
            (B, T) int64, tag ids, `PADDING_TAG` where masked; ties go to the lowest id, from the last token back.
            And (B,), the sequences' scores: the sums of their emissions and transitions.

        Raises:
            CrfInputError: Bad values or shapes; constraints that allow a sentence no sequence.
        """
        packing, packed = self._packed(emissions, mask)
        chain = self._chain(packed, packing)
        path, score = best_paths(chain)
        if decoded_unusually(chain, packing, score):
            packing, packed = self._packed(emissions, mask, careful=True)
            chain = self._chain(packed, packing)
            path, score = best_paths(chain)
            check_reachable(score, chain.lengths, UNREACHABLE)
        return packing.unpack(path, PADDING_TAG), clamped(score + chain.offset, computed_in(emissions.dtype))

    @torch.no_grad()
    def decode_n_best(self, emissions: Tensor, mask: Tensor | None = None, n: int = 1) -> tuple[Tensor, Tensor]:
        """The n most probable tag sequences, best first.

        Args:
            emissions: (B, T, K), any floating dtype.
            mask: (B, T) bool.
            n: N, at least 1.

        Returns:
            (B, N, T) int64, tag ids, `PADDING_TAG` where masked and all along paths that do not exist.
            And (B, N), logarithms of the sequences' probabilities, in nats; minus infinity for those.

        Raises:
            CrfInputError: As `decode`; n below 1.
        """
        if n < 1:
            raise CrfInputError(f"expected n of at least 1, received {n}")
        with full_precision(emissions):
            packing, packed = self._packed(emissions, mask, careful=True)
            chain = self._chain(packed, packing)
            total = log_partition(chain)
            check_reachable(total, chain.lengths, UNREACHABLE)
            paths, exists = n_best_paths(chain, n)
            scores = torch.stack([chain.path_score(path) for path in paths.unbind(2)], 1)
            scores = (scores - total.unsqueeze(1)).clamp(max=0.0).masked_fill(~exists, -torch.inf)
            unpacked = torch.stack([packing.unpack(path, PADDING_TAG) for path in paths.unbind(2)], 1)
            return unpacked.masked_fill(~exists.unsqueeze(2), PADDING_TAG), scores.to(computed_in(emissions.dtype))

    def marginals(self, emissions: Tensor, mask: Tensor | None = None) -> Tensor:
        """How probable each tag is for each token.

        Args:
            emissions: (B, T, K), any floating dtype.
            mask: (B, T) bool.

        Returns:
            (B, T, K), probability in [0, 1], summing to 1 over K; 0 where masked. Without gradient.

        Raises:
            CrfInputError: As `decode`.
        """
        with full_precision(emissions), torch.inference_mode(False), torch.enable_grad():
            packing, packed = self._packed(emissions.detach(), mask, careful=True)
            chain = self._chain(packed.clone().requires_grad_(), packing)
            total = log_partition(chain)
            check_reachable(total, chain.lengths, UNREACHABLE)
            # The partition function's gradient is the expectation of its scores.
            (marginals,) = torch.autograd.grad(total.sum(), chain.emissions)
            return packing.unpack(marginals, 0.0).to(computed_in(emissions.dtype))

    @torch.no_grad()
    def span_posteriors(
        self, emissions: Tensor, mask: Tensor | None = None, *, queries: Tensor, reading: Reading
    ) -> Tensor:
        """How probable entities are: exactly this span with exactly this type.

        Args:
            emissions: (B, T, K), any floating dtype.
            mask: (B, T) bool.
            queries: (S, 4) int64: sentence, first token, end (exclusive), number of the type in `reading.types`.
            reading: How the tags are read as entities.

        Returns:
            (S,), probability in [0, 1]: of all tag sequences that, read leniently, contain the entity.

        Raises:
            CrfInputError: As `decode`; a query outside its sentence.
        """
        with full_precision(emissions):
            packing, packed = self._packed(emissions, mask, careful=True)
            packed = packed.double()  # numerator and denominator are rounded apart, and their ratio is what counts
            chain = self._chain(packed, packing)
            check_reachable(log_partition(chain), chain.lengths, UNREACHABLE)
            queries, reading = packing.locate(queries.to(emissions.device)), reading.to(emissions.device)
            found = span_posteriors(chain, queries, reading)
            return exact_where_large(found, chain, packed, queries, reading)

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
        reading = Reading.of(tags, scheme)
        found = iter(self.span_posteriors(emissions, mask, queries=reading.queries(spans), reading=reading).tolist())
        return [[next(found) for _ in sentence] for sentence in spans]
