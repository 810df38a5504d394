"""Equal rows of a table found once, so that a word is embedded once however often it occurs."""

from __future__ import annotations

import torch
from torch import Tensor


def distinct_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Find the distinct rows of a table.

    Args:
        rows: (N, C) integers.

    Returns:
        The distinct rows (W, C), in no promised order, and for each row of `rows` its index among them, (N,) int64.
    """
    # Sorting one number a row is some ten times faster than sorting rows; the check below makes it exact.
    indices = torch.unique(row_hashes(rows), return_inverse=True)[1]
    count = int(indices.max()) + 1 if len(indices) else 0
    # any row of a group may stand for it, if all are equal
    member = torch.zeros(count, dtype=torch.int64, device=rows.device)
    member[indices] = torch.arange(len(rows), device=rows.device)
    distinct = rows[member]
    if not torch.equal(distinct[indices], rows):  # two different rows met in one hash
        distinct, indices = torch.unique(rows, dim=0, return_inverse=True)
    return distinct, indices


def row_hashes(rows: Tensor) -> Tensor:
    """One number (N,) int64 for each row, by a polynomial modulo 2**64."""
    powers = torch.full((rows.shape[1],), 6364136223846793005, device=rows.device)  # Knuth's MMIX multiplier
    return (rows * powers.cumprod(0)).sum(dim=1)
