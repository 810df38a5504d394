"""A linear-chain conditional random field: how probable labels are, on top of all that it says without them.

From the bottom up: `transitions` holds what is learned; `inference` asks for tags and for probabilities; here are the
likelihood of labels, which training follows, and its evaluation. A batch is brought into the form of `packing` and
`chain`, on which the algorithms work: `partition`, `viterbi`, `n_best`, `posteriors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from elmo_tagger.tagging.checks import CrfInputError, check_label_shapes, check_labels, check_parameters
from elmo_tagger.tagging.class_weights import STRATEGIES, weigh_scores
from elmo_tagger.tagging.devices import to_host
from elmo_tagger.tagging.extremes import computed_in, full_precision, is_unusual, narrowed
from elmo_tagger.tagging.inference import TagInference
from elmo_tagger.tagging.likelihood import Likelihood
from elmo_tagger.tagging.packing import PADDING_TAG, Packing
from elmo_tagger.tagging.viterbi import best_paths

__all__ = ["PADDING_TAG", "ConditionalRandomField"]


class ConditionalRandomField(TagInference):
    """Scores of neighbouring tags, and what follows from them for a sentence's emissions.

    Everything is computed in float32 (in float64 for float64 emissions) whatever the emissions' dtype and autocast
    say. Masks may have gaps: what is masked is skipped, its neighbours count as adjacent; None means that every token
    is real. A sentence without tokens has log-likelihood 0 and an empty best path of score 0; a mask that is false
    everywhere has no likelihood, an error.

    Emissions may be any finite numbers: where float32 is too narrow, float64 is used, and results that float32 cannot
    hold become the largest that it can, such that their sum over the batch is finite too. (Float64 emissions should
    stay below 1e300.) What an error must say and what needs a slow way is not looked for first (see `extremes`):
    `log_likelihood`, `decode` and `evaluate` each wait for a device once.
    """

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
            num_tags: As for `Transitions`.
            constraints: Likewise.
            constrain_training: Whether forbidden sequences are left out of the likelihood's denominator too.
                Decoding, marginals and posteriors always leave them out.
            include_start_end_transitions: As for `Transitions`.
            label_weights: K weights of the tags, for `log_likelihood` alone.
            weight_strategy: How they act, one of `class_weights.STRATEGIES`.

        Raises:
            CrfInputError: A number of tags, weights, strategy or constraint that cannot be.
        """
        super().__init__(
            num_tags=num_tags,
            constraints=constraints,
            include_start_end_transitions=include_start_end_transitions,
        )
        if weight_strategy not in STRATEGIES:
            raise CrfInputError(f"unknown weight_strategy {weight_strategy!r}, expected one of {', '.join(STRATEGIES)}")
        if label_weights is not None and len(label_weights) != num_tags:
            raise CrfInputError(f"expected {num_tags} label_weights, one a tag, received {len(label_weights)}")
        self.constrain_training = constrain_training
        self.weight_strategy = weight_strategy if label_weights is not None else None
        if label_weights is not None:
            self.register_buffer("label_weights", torch.tensor(label_weights, dtype=torch.float32))

    def log_likelihood(self, emissions: Tensor, tags: Tensor, mask: Tensor | None = None) -> Tensor:
        """How probable the true tags are.

        Args:
            emissions: (B, T, K), any floating dtype; without meaning where masked.
            tags: (B, T) int64, the true tags; or (B, T, K) bool, the tags that each token may have, for sentences
                whose annotation leaves tags open: their probabilities are summed.
            mask: (B, T) bool.

        Returns:
            (B,), logarithm of the probability, in nats; at most 0 unless class weights are used.

        Raises:
            CrfInputError: Bad values or shapes; tags that the constraints forbid while `constrain_training`.
        """
        with full_precision(emissions):
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
            mask: (B, T) bool.
            gold: (B, T) int64, to bring along.

        Returns:
            (B,), logarithm of the tags' probability, in nats. And (2, B, T) int64 in the host's memory, the gold and
            the most probable tags, `PADDING_TAG` where masked.

        Raises:
            CrfInputError: As both.
        """
        with full_precision(emissions):
            packing, likelihood, unusual = self._try_likelihood(emissions, tags, mask)
            with torch.no_grad():
                path, score = best_paths(self._chain(packing.pack(emissions), packing))
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
        chain = self._chain(packed, packing, transitions=transitions, constrained=self.constrain_training)
        likelihood = Likelihood.of(chain, packing.pack(tags), lannoy)
        unusual = is_unusual(chain, packing, likelihood.proof) | likelihood.bad
        return packing, likelihood, unusual if packing.full else unusual | ~packing.mask.any()

    def _settled(
        self, likelihood: Likelihood, flags: list[int], emissions: Tensor, tags: Tensor, mask: Tensor | None
    ) -> Tensor:
        """(B,), given whether the likelihood was unusual and whether it is doubtful."""
        unusual, doubtful = flags
        if not (unusual or doubtful):
            return likelihood.value().to(computed_in(emissions.dtype))
        check_parameters(self.named_parameters())
        if unusual:
            _, likelihood, _ = self._try_likelihood(emissions, tags, mask, careful=True)
        return narrowed(likelihood.rescued(), computed_in(emissions.dtype))
