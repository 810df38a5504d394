"""What a CRF learns, scores of neighbouring tags under constraints, and the chain that they make of a batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from elmo_tagger.tagging.chain import Chain
from elmo_tagger.tagging.checks import CrfInputError, check_constraints, check_emissions, check_parameters, check_shapes
from elmo_tagger.tagging.extremes import beyond_float32
from elmo_tagger.tagging.packing import Packing


class Transitions(nn.Module):
    """Scores of going from tag to tag, of the first tag and of the last.

    They have AllenNLP's names and meanings, so a state dict of its `ConditionalRandomField` loads; its constraint mask
    then replaces the one given here.

    Attributes:
        transitions: (K, K), score of going from a tag, first axis, to the next.
        start_transitions: (K,), score of a first tag; absent without `include_start_end_transitions`.
        end_transitions: (K,), score of a last tag; likewise.
    """

    _constraint_mask: Tensor
    _forbidden: Tensor
    _forbidden_start: Tensor
    _forbidden_end: Tensor

    def __init__(
        self,
        *,
        num_tags: int,
        constraints: Iterable[tuple[int, int]] | None = None,
        include_start_end_transitions: bool = True,
    ) -> None:
        """Make random scores.

        Args:
            num_tags: K.
            constraints: The allowed pairs (from, to) of tag ids, K for the start and K + 1 for the end, as
                `schemes.allowed_transitions` gives them; None allows everything.
            include_start_end_transitions: Whether first and last tags have scores of their own.

        Raises:
            CrfInputError: A number of tags or a constraint that cannot be.
        """
        super().__init__()
        if num_tags < 1:
            raise CrfInputError(f"a CRF needs at least one tag, received num_tags={num_tags}")
        self.num_tags = num_tags
        self.transitions = nn.Parameter(torch.empty(num_tags, num_tags))
        self.register_buffer("_constraint_mask", _constraint_mask(num_tags, constraints))
        self._split_constraints()
        self.include_start_end_transitions = include_start_end_transitions
        if include_start_end_transitions:
            self.start_transitions = nn.Parameter(torch.empty(num_tags))
            self.end_transitions = nn.Parameter(torch.empty(num_tags))
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
        """Draw new scores, in AllenNLP's order and from its distributions."""
        nn.init.xavier_normal_(self.transitions)
        if self.include_start_end_transitions:
            nn.init.normal_(self.start_transitions)
            nn.init.normal_(self.end_transitions)

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
            if beyond_float32(emissions.detach().masked_fill(~packing.mask.unsqueeze(2), 0.0)):
                packed = packed.double()
        return packing, packed

    def _chain(
        self, emissions: Tensor, packing: Packing, *, transitions: Tensor | None = None, constrained: bool = True
    ) -> Chain:
        """The chain of packed emissions (T, B, K), forbidden scores replaced by minus infinity if `constrained`.

        Args:
            emissions: (T, B, K)
            packing: Theirs.
            transitions: (K, K), to be used for those of the module.
            constrained: Whether constraints hold.
        """
        size = self.num_tags
        transitions = self.transitions if transitions is None else transitions
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
