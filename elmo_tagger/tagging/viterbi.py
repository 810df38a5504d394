"""The best tag sequences of a batch of chains, all sentences at once.

Ties go to the lowest tag id, looked at from the last token backwards, on every device: scores are sums taken in a
fixed order, `argmax` and stable sorting return the first of equals. Minus infinity marks what is forbidden, so a
finite score, however low, always beats it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from elmo_tagger.tagging.chain import Chain

RESCALE_EVERY = 16  # steps; keeps running scores near 0, where float32 is dense, at a small part of a step's cost
SLAB = 1 << 17  # numbers of a (B, K, K) table kept at a time, half a MiB: a core's second-level cache holds it


def best_paths(chain: Chain) -> Tensor:
    """The best tag sequence of each sentence.

    Returns:
        (T, B) int64; ids without meaning on padding and where no sequence is possible.

    Source: Viterbi 1967; back pointers are found again on the way back, for the tags of the path alone.
    """
    _, size, tags = chain.emissions.shape
    if chain.emissions.device.type == "cpu" and size * tags * tags > 2 * SLAB:
        slabs = torch.split(torch.arange(size), max(1, SLAB // (tags * tags)))
        return torch.cat([_best_paths(chain.rows(rows)) for rows in slabs], 1)
    return _best_paths(chain)


def _best_paths(chain: Chain) -> Tensor:
    steps, size, tags = chain.emissions.shape
    incoming = chain.transitions.t().contiguous()  # (K, K), to a tag from the one before
    scores = torch.empty_like(chain.emissions)
    torch.add(chain.emissions[0], chain.start, out=scores[0])
    table = scores.new_empty(size, tags, tags)
    by_step = scores.unbind()
    for step, emission in enumerate(chain.emissions.unbind()[1:], 1):
        torch.add(by_step[step - 1].unsqueeze(1), incoming, out=table)
        torch.amax(table, 2, out=by_step[step])
        by_step[step].add_(emission)
        if step % RESCALE_EVERY == 0:
            by_step[step].sub_(_finite(by_step[step].amax(1, keepdim=True)))
    final = (scores.gather(0, chain.last.view(1, -1, 1).expand_as(scores[:1])).squeeze(0) + chain.end).argmax(1)
    path = final.new_empty(steps, size)
    path[steps - 1] = final
    is_last = (torch.arange(steps, device=final.device).unsqueeze(1) >= chain.last).unbind()
    tag = final
    for step in range(steps - 2, -1, -1):
        back = incoming.index_select(0, tag).add_(by_step[step]).argmax(1)
        tag = torch.where(is_last[step], final, back)
        path[step] = tag
    return path


def _finite(scores: Tensor) -> Tensor:
    return scores.masked_fill(scores == -torch.inf, 0.0)


def n_best_paths(chain: Chain, n: int) -> tuple[Tensor, Tensor]:
    """The n best tag sequences of each sentence, best first.

    Returns:
        (T, B, N) int64, ids without meaning on padding and in missing paths; (B, N) bool, false where a sentence has
        fewer sequences.
    """
    steps, size, tags = chain.emissions.shape
    scores = torch.full((size, tags, n), -torch.inf, dtype=chain.emissions.dtype, device=chain.emissions.device)
    scores[:, :, 0] = chain.emissions[0] + chain.start
    ends, pointers = [scores], []
    for step in range(1, steps):
        # (B, to K, from K * N): flattened tag first, so that equals are taken in the order of tag ids.
        table = (scores.unsqueeze(1) + chain.transitions.t().unsqueeze(2)).flatten(2)
        best, pointer = _first_largest(table, n)
        scores = best + chain.emissions[step].unsqueeze(2)
        if step % RESCALE_EVERY == 0:
            scores = scores - _finite(scores.amax((1, 2), keepdim=True))
        ends.append(scores)
        pointers.append(pointer)
    last = chain.last.view(1, -1, 1, 1).expand(1, size, tags, n)
    final = torch.stack(ends).gather(0, last).squeeze(0) + chain.end.unsqueeze(1)
    best, state = _first_largest(final.flatten(1), n)
    return torch.stack(list(_walk_back(chain, state, pointers))[::-1]), best > -torch.inf


def _first_largest(table: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The n largest along the last axis and their places; unlike `topk`, equals come in order."""
    values, places = table.sort(dim=-1, descending=True, stable=True)
    values, places = values[..., :n], places[..., :n]
    missing = n - values.shape[-1]
    if missing:
        values = torch.nn.functional.pad(values, (0, missing), value=-torch.inf)
        places = torch.nn.functional.pad(places, (0, missing))
    return values, places


def _walk_back(chain: Chain, final: Tensor, pointers: list[Tensor]) -> Iterator[Tensor]:
    """Tags (B, N) from the last step to the first; a state is tag * N + rank."""
    n = final.shape[1]
    state = final
    yield state // n
    for step in range(len(pointers) - 1, -1, -1):
        back = pointers[step].flatten(1).gather(1, state)
        state = torch.where((step >= chain.last).unsqueeze(1), final, back)
        yield state // n
