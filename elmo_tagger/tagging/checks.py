"""What a CRF refuses, with a message that names the sentence of the batch, the place and the value."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from elmo_tagger.errors import ElmoTaggerError

LARGEST = 1e4
"""The largest score that may be computed with: results are finite, and right to float32's precision, up to it."""


class CrfInputError(ElmoTaggerError):
    """Emissions, labels, masks or constraints that define no probability."""


def check_shapes(emissions: Tensor, mask: Tensor, tags: int) -> None:
    """Emissions must be (B, T, K) for K tags, the mask (B, T) and bool.

    Raises:
        CrfInputError: They are not.
    """
    if emissions.dim() != 3 or emissions.shape[2] != tags or not emissions.is_floating_point():
        raise CrfInputError(
            f"expected floating-point emissions of shape (B, T, {tags}), "
            f"received {tuple(emissions.shape)} of {emissions.dtype}"
        )
    if mask.shape != emissions.shape[:2] or mask.dtype != torch.bool:
        raise CrfInputError(
            f"expected a bool mask of shape {tuple(emissions.shape[:2])}, received {tuple(mask.shape)} of {mask.dtype}"
        )


def are_valid(emissions: Tensor, parameters: Iterable[Tensor]) -> Tensor:
    """() bool, whether `check_parameters` and `check_emissions` pass; nobody waits for a device.

    Args:
        emissions: Packed, 0 on padding.
        parameters: Those of the CRF.
    """
    valid = torch.ones((), dtype=torch.bool, device=emissions.device)
    if emissions.numel():
        lowest, highest = emissions.aminmax()  # NaN if there is one, which compares false
        valid = (lowest >= -LARGEST) & (highest <= LARGEST)
    for values in parameters:
        valid = valid & (values.amax() <= LARGEST)
    return valid


def check_parameters(parameters: Iterable[tuple[str, Tensor]]) -> None:
    """Parameters may be low, down to minus infinity, which forbids, but neither NaN nor above `LARGEST`.

    Raises:
        CrfInputError: One is, as after a training that diverged.
    """
    for name, values in parameters:
        bad = ~(values <= LARGEST)
        if bad.any():
            place = bad.nonzero()[0].tolist()
            value = values[tuple(place)].item()
            raise CrfInputError(
                f"the parameter {name}{place} is {value:g}, expected a number up to {LARGEST:g}; did training diverge?"
            )


def check_emissions(emissions: Tensor, mask: Tensor) -> None:
    """Emissions of real tokens must be numbers of a size up to `LARGEST`.

    Raises:
        CrfInputError: One is not.
    """
    bad = ~(emissions.abs() <= LARGEST) & mask.unsqueeze(2)
    if bad.any():
        sentence, token, tag = bad.nonzero()[0].tolist()
        value = emissions[sentence, token, tag].item()
        raise CrfInputError(
            f"sentence {sentence} of the batch: the emission of token {token}, tag {tag} is {value:g}, expected a "
            f"number from {-LARGEST:g} to {LARGEST:g}; did training diverge?"
        )


def check_label_shapes(labels: Tensor, mask: Tensor, tags: int) -> None:
    """Labels must be (B, T) int64, ids of K tags, or (B, T, K) bool, sets of them.

    Raises:
        CrfInputError: They are not.
    """
    partial = labels.dtype == torch.bool
    shape = (*mask.shape, tags) if partial else tuple(mask.shape)
    if labels.shape != shape or not (partial or labels.dtype == torch.int64):
        raise CrfInputError(
            f"expected tags of shape {tuple(mask.shape)} and int64, or allowed tags of shape {(*mask.shape, tags)} "
            f"and bool, received {tuple(labels.shape)} of {labels.dtype}"
        )


def check_labels(labels: Tensor, mask: Tensor, tags: int) -> None:
    """Labels must be ids below K or leave a tag to every real token, and a mask must leave a token.

    Raises:
        CrfInputError: They are not.
    """
    if mask.numel() and not mask.any():
        raise CrfInputError(f"the mask is false everywhere: none of the {len(mask)} sentences has a token to label")
    partial = labels.dtype == torch.bool
    bad = (~labels.any(2) if partial else (labels < 0) | (labels >= tags)) & mask
    if bad.any():
        sentence, token = bad.nonzero()[0].tolist()
        what = "no tag is allowed" if partial else f"tag id {labels[sentence, token].item()}, expected 0 to {tags - 1}"
        raise CrfInputError(f"sentence {sentence} of the batch, token {token}: {what}")


def check_reachable(scores: Tensor, lengths: Tensor, why: str) -> None:
    """Every sentence must have a sequence of finite score.

    Args:
        scores: (B,), minus infinity where there is none.
        lengths: (B,) tokens.
        why: What forbids the sequences, for the message.

    Raises:
        CrfInputError: A sentence has none.
    """
    finite = scores.isfinite()
    if not finite.all():
        sentence = int((~finite).nonzero()[0])
        raise CrfInputError(
            f"sentence {sentence} of the batch ({int(lengths[sentence])} tokens): {why} (score {scores[sentence]:g})"
        )


def check_constraints(constraints: list[tuple[int, int]], tags: int) -> None:
    """Pairs (from, to) of K tags, K as the start, K + 1 as the end.

    Raises:
        CrfInputError: An id is out of range, or a pair leads into the start or out of the end.
    """
    for source, target in constraints:
        if not (0 <= source <= tags and 0 <= target <= tags + 1 and target != tags):
            raise CrfInputError(
                f"constraint ({source}, {target}): expected from 0 to {tags} ({tags} is the start) "
                f"and to 0 to {tags - 1} or {tags + 1} (the end)"
            )
