"""The n best tag sequences of each sentence of a batch of chains.

As `viterbi`, each tag keeps a list of the n best ways to reach it. A step merges K sorted lists into one: n times over,
the best of the K heads is taken and its list moves on. Among equals the lowest tag id goes first, on every device.
"""

from __future__ import annotations

import torch
from torch import Tensor

from elmo_tagger.tagging.chain import Chain
from elmo_tagger.tagging.viterbi import RESCALE_EVERY


def n_best_paths(chain: Chain, n: int) -> tuple[Tensor, Tensor]:
    """The n best tag sequences of each sentence, best first.

    Returns:
        (T, B, N) int64, ids without meaning on padding and in missing paths; (B, N) bool, false where a sentence has
        fewer sequences.
    """
    steps, size, tags = chain.emissions.shape
    emissions = chain.emissions.transpose(1, 2).contiguous()  # (T, K, B): sentences innermost fill whole vectors
    scores = emissions.new_full((n, tags, size), -torch.inf)
    scores[0] = emissions[0] + chain.start.unsqueeze(1)
    final = scores
    pointers = []
    for step in range(1, steps):
        scores, pointer = _merged(scores, chain.transitions)
        scores += emissions[step]
        if step % RESCALE_EVERY == 0:
            largest = scores[0].amax(0)
            scores -= largest.masked_fill(largest == -torch.inf, 0.0)
        pointers.append(pointer)
        final = scores if chain.full else torch.where(step <= chain.last, scores, final)
    best, state = _merged(final, chain.end.unsqueeze(1))
    exists = best[:, 0].t() > -torch.inf
    first = torch.arange(n, device=exists.device) == 0  # an empty sentence has one path, the empty one
    return _walk_back(chain, state[:, 0], pointers, n), exists & ((chain.lengths > 0).unsqueeze(1) | first)


def _merged(scores: Tensor, transitions: Tensor) -> tuple[Tensor, Tensor]:
    """The n best ways to go on to each tag.

    Args:
        scores: (N, from K, B), best first.
        transitions: (from K, to K); or (from K, 1), to the end.

    Returns:
        (N, to K, B), best first; and (N, to K, B) int64, where from: tag * N + rank.
    """
    n, tags, size = scores.shape
    targets = transitions.shape[1]
    # One place more, which a list that is used up stands at.
    lists = torch.cat([scores, scores.new_full((1, tags, size), -torch.inf)]).flatten(0, 1)
    moves = transitions.flatten()
    columns = torch.arange(targets, device=scores.device).unsqueeze(1)
    heads = scores[0].unsqueeze(1) + transitions.unsqueeze(2)  # (from K, to K, B)
    taken = torch.zeros(heads.shape, dtype=torch.int64, device=scores.device)  # of each list
    best, pointers = [], []
    for rank in range(n):
        largest, source = heads.max(0, keepdim=True)  # the first of equals, as its documentation promises
        used = taken.gather(0, source)
        best.append(largest)
        pointers.append(torch.add(used, source, alpha=n))
        if rank + 1 < n:
            further = used.add_(1).clamp_(max=n)
            ahead = lists.gather(0, torch.add(source[0], further[0], alpha=tags)).unsqueeze(0)
            ahead += moves.take(torch.add(columns, source, alpha=targets))
            heads.scatter_(0, source, ahead)
            taken.scatter_(0, source, further)
    return torch.cat(best), torch.cat(pointers).clamp_(max=tags * n - 1)


def _walk_back(chain: Chain, final: Tensor, pointers: list[Tensor], n: int) -> Tensor:
    """(T, B, N), tags along the pointers from the final states (N, B) to the first; a state is tag * N + rank."""
    size = final.shape[1]
    tags = chain.transitions.shape[0]
    columns = torch.arange(size, device=final.device)
    state, states = final, [final]
    for step in range(len(pointers) - 1, -1, -1):
        tag = torch.div(state, n, rounding_mode="floor")
        at = ((state - tag * n) * tags + tag) * size + columns  # in a pointer's order: rank, tag, sentence
        back = pointers[step].flatten().take(at)
        state = back if chain.full else torch.where(step >= chain.last, final, back)
        states.append(state)
    return torch.div(torch.stack(states[::-1]), n, rounding_mode="floor").transpose(1, 2)
