"""Equal words of a batch found on the device, and all that the host must know about the batch fetched at once.

Each question to a GPU (how many words are distinct? how long is the longest?) waits until all its work is done. So
everything here has a shape that depends on the batch's shape alone, until the one answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from elmo_tagger.bilm.char_cnn import CharacterCnn, character_counts
from elmo_tagger.bilm.distinct import row_hashes


@dataclass(frozen=True)
class DistinctWords:
    """What is in a batch.

    Attributes:
        ids: (W, C), the distinct words, boundaries among them, those of most characters first.
        characters: Characters of each, padding not counted.
        indices: (2 + B * T,) int64, the row in `ids` of begin, of end, and of each position; any row where there is no
            word.
        lengths: Words of each sentence, without boundaries.
    """

    ids: Tensor
    characters: list[int]
    indices: Tensor
    lengths: list[int]


def deduplicate_words(cnn: CharacterCnn, boundaries: Tensor, character_ids: Tensor, present: Tensor) -> DistinctWords:
    """Find the distinct words of a batch.

    Args:
        cnn: What will read the ids.
        boundaries: (2, C), begin and end of a sentence.
        character_ids: (B, T, C).
        present: (B, T) bool, true where there is a word.

    Raises:
        ValueError: An id is out of range.
    """
    # what is no word is taken for a boundary, which is there anyhow
    words = torch.where(present.unsqueeze(-1), character_ids, boundaries[0].to(character_ids))
    rows = torch.cat([boundaries.to(character_ids), words.flatten(0, 1)])
    indices, representatives, count = _groups(row_hashes(rows))
    equal = (rows[representatives[indices]] == rows).all()
    found = rows[representatives]
    counts = character_counts(found)
    # of the distinct ones alone: `representatives` is as long as `rows`
    real = torch.arange(len(rows), device=rows.device) < count
    histogram = torch.zeros(rows.shape[1] + 1, dtype=torch.int64, device=rows.device)
    histogram.scatter_add_(0, counts, real.long())
    summary = torch.cat([torch.stack([*torch.aminmax(rows), equal, count]).long(), histogram, present.sum(dim=1)])
    low, high, exact, distinct, *rest = summary.tolist()
    cnn.check_range(low, high)
    lengths = rest[len(histogram) :]
    if not exact:  # two different words met in one hash
        found, indices = torch.unique(rows, dim=0, return_inverse=True)
        counts = character_counts(found)
        characters = sorted(counts.tolist(), reverse=True)
    else:
        found, counts = found[:distinct], counts[:distinct]
        characters = [length for length in reversed(range(len(histogram))) for _ in range(rest[length])]
    order = counts.argsort(descending=True)
    return DistinctWords(ids=found[order], characters=characters, indices=order.argsort()[indices], lengths=lengths)


def _groups(keys: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Equal keys of (N,).

    Returns:
        The number of each key's group (N,); for group 0, 1, ... a member, in the first indices of (N,); and the number
        of groups, a scalar on the device.
    """
    ascending, order = keys.sort()
    begins = torch.ones_like(order)
    begins[1:] = ascending[1:] != ascending[:-1]
    numbers = begins.cumsum(0) - 1
    indices = torch.empty_like(order).scatter_(0, order, numbers)
    # any member of a group may stand for it, if all are equal
    members = torch.zeros_like(order).scatter_(0, indices, torch.arange(len(keys), device=keys.device))
    return indices, members, numbers[-1] + 1
