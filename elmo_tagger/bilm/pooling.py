"""One vector for a sentence from the vectors of its words."""

from __future__ import annotations

import torch
from torch import Tensor

POOLINGS = ("mean", "max", "first-last")


def pool(vectors: Tensor, mask: Tensor, how: str) -> Tensor:
    """Pool words; padding counts for nothing, whatever it holds.

    Args:
        vectors: (..., T, D).
        mask: (..., T) bool, true where there is a word; its leading axes may be left out or be 1.
        how: `mean` (TF-Hub's `default`), `max` a dimension, or `first-last`: the first word's vector, then the last's.

    Returns:
        (..., D), or (..., 2D) for `first-last`; 0 for a sentence without words.

    Raises:
        ValueError: There is no such pooling.
    """
    present = mask.unsqueeze(-1).expand(*vectors.shape[:-1], 1)
    if how == "mean":
        total = vectors.masked_fill(~present, 0.0).sum(dim=-2)
        return total / present.sum(dim=-2).clamp(min=1)
    if vectors.shape[-2] == 0:
        _check(how)
        return vectors.new_zeros(*vectors.shape[:-2], pooled_dim(vectors.shape[-1], how))
    if how == "max":
        largest = vectors.masked_fill(~present, -torch.inf).amax(dim=-2)
        return largest.masked_fill(~present.any(dim=-2), 0.0)
    _check(how)
    places = torch.arange(vectors.shape[-2], device=vectors.device).unsqueeze(-1)
    last = places.masked_fill(~present, -1).amax(dim=-2, keepdim=True)
    first = places.masked_fill(~present, vectors.shape[-2]).amin(dim=-2, keepdim=True)
    ends = [_take(vectors, first), _take(vectors, last)]
    return torch.cat(ends, dim=-1).masked_fill(last.squeeze(-2) < 0, 0.0)


def pooled_dim(dim: int, how: str | None) -> int:
    """Width of a pooled vector, from that of a word's."""
    return 2 * dim if how == "first-last" else dim


def _check(how: str) -> None:
    if how not in POOLINGS:
        raise ValueError(f"pooling: expected one of {', '.join(POOLINGS)}, received {how!r}")


def _take(vectors: Tensor, place: Tensor) -> Tensor:
    # place: (..., 1, 1); outside of the sentence where it has no words
    inside = place.clamp(0, vectors.shape[-2] - 1)
    return vectors.gather(-2, inside.expand(*inside.shape[:-1], vectors.shape[-1])).squeeze(-2)
