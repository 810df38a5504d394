"""The n best tag sequences of each sentence of a batch of chains: the best one, then ever costlier deviations.

Walked from its last token back, every sequence follows the best one for a while, deviates from it at one token to
another tag, and so on from there. Viterbi's running scores tell at once what a deviation costs if all before it is as
good as it can be. So the second best sequence is the cheapest deviation from the best; the third, the cheapest that is
left or the cheapest from the second, among the tokens before the place where that one deviated itself; and so on. No
sequence is met twice, because there is one way to reach it.

Source: Lawler 1972, "A procedure for computing the K best solutions", on a trellis.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from elmo_tagger.tagging.chain import Chain
from elmo_tagger.tagging.viterbi import Trellis

Array = npt.NDArray[Any]


def n_best_paths(chain: Chain, n: int) -> tuple[Tensor, Tensor]:
    """The n best tag sequences of each sentence, best first; equals come in the same order on every device.

    Returns:
        (N, T, B) int64, ids without meaning on padding and in missing sequences; and (N, B) bool, false where a
        sentence has fewer sequences. An empty sentence has one.
    """
    trellis = Trellis.of(chain)
    steps, size, tags = trellis.scores.shape
    sentences, positions = np.arange(size), np.arange(steps)[:, None]
    paths, exists = np.empty((n, steps, size), dtype=np.int64), np.ones((n, size), dtype=bool)
    paths[0] = trellis.best_paths()
    # The total cost of every deviation from every path found so far: (B, rank of the path, T, K).
    costs = np.full((size, n - 1, steps, tags), np.inf)
    cost, free = np.zeros(size), trellis.lengths
    for rank in range(1, n):
        costs[:, rank - 1] = deviation_costs(trellis, paths[rank - 1], free) + cost[:, None, None]
        known = costs[:, :rank].reshape(size, rank * steps * tags)
        place = known.argmin(1)
        cost = known[sentences, place]
        origin, token, tag = np.unravel_index(place, (rank, steps, tags))
        costs[sentences, origin, token, tag] = np.inf
        paths[rank] = np.where(positions > token, paths[origin, :, sentences].T, trellis.walk_back(tag, token))
        exists[rank] = cost < np.inf
        free = np.where(exists[rank], token, 0)
    device = chain.lengths.device
    return torch.from_numpy(paths).to(device), torch.from_numpy(exists).to(device)


def deviation_costs(trellis: Trellis, path: Array, free: Array) -> Array:
    """What it costs to leave a path at each of its tokens for each other tag, all before it being as good as possible.

    Args:
        trellis: Of the batch.
        path: (T, B) int64.
        free: (B,) int64, number of tokens, from the first, at which the path may be left.

    Returns:
        (B, T, K), infinite where there is no such deviation.
    """
    steps, sentences = np.arange(len(path))[:, None], np.arange(path.shape[1])
    ahead = np.zeros_like(trellis.scores)  # whose rows of padding would hold whatever was in memory
    ahead[:-1] = trellis.incoming[path[1:]]
    ahead[trellis.last, sentences] = trellis.end
    through = trellis.scores + ahead
    own = through[steps, sentences, path]
    with np.errstate(invalid="ignore"):  # on padding
        costs: Array = own[:, :, None] - through
    costs[steps, sentences, path] = np.inf
    costs[steps[:, 0, None] >= free] = np.inf
    return costs.transpose(1, 0, 2)
