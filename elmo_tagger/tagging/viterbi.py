"""The best tag sequences of a batch of chains, all sentences at once.

Ties go to the lowest tag id, looked at from the last token backwards, on every device: scores are sums taken in a
fixed order, `argmax` and stable sorting return the first of equals. Minus infinity marks what is forbidden, so a
finite score, however low, always beats it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from elmo_tagger.tagging.chain import Chain

RESCALE_EVERY = 16  # steps; keeps running scores near 0, where float32 is dense, at a small part of a step's cost
SLAB = 1 << 17  # numbers of a (B, K, K) table kept at a time, half a MiB: a core's second-level cache holds it
SMALL = 1 << 11  # numbers of such a table up to which NumPy's shorter calls win over PyTorch's faster loops
SMALL_ALONE = 1 << 13  # the same for one sentence

Array = npt.NDArray[Any]


def best_paths(chain: Chain) -> tuple[Tensor, Tensor]:
    """The best tag sequence of each sentence.

    Returns:
        (T, B) int64, ids without meaning on padding and where no sequence is possible; and (B,) float64, the
        sequences' scores without the chain's offset, minus infinity where there is none.

    Source: Viterbi 1967; back pointers are found again on the way back, for the tags of the path alone.
    """
    if chain.full or len(chain.lengths) < 2:
        return _in_slabs(chain)
    # Longest first, so that each step can stop at the last sentence that goes on.
    order = chain.lengths.argsort(descending=True)
    path, score = _in_slabs(chain.rows(order))
    back = order.argsort()
    return path.index_select(1, back), score.index_select(0, back)


def _in_slabs(chain: Chain) -> tuple[Tensor, Tensor]:
    _, size, tags = chain.emissions.shape
    if chain.emissions.device.type == "cpu" and size * tags * tags > 2 * SLAB:
        slabs = torch.split(torch.arange(size), max(1, SLAB // (tags * tags)))
        parts = [_best_paths(chain.rows(rows)) for rows in slabs]
        return torch.cat([path for path, _ in parts], 1), torch.cat([score for _, score in parts])
    return _best_paths(chain)


def _best_paths(chain: Chain) -> tuple[Tensor, Tensor]:
    if chain.emissions.device.type == "cpu":
        return _best_paths_on_cpu(chain)
    scores, taken = _running_scores(chain)
    totals = chain.at_last(scores) + chain.end
    final = totals.argmax(1)  # `max` promises no order among equals, `argmax` does
    score = totals.gather(1, final.unsqueeze(1)).squeeze(1) + taken
    return _walk(chain, scores, final), score.masked_fill(chain.lengths == 0, 0.0)


def _running_scores(chain: Chain) -> tuple[Tensor, Tensor]:
    """Score of the best sequence up to each token and tag, (T, B, K); and (B,) float64, what was taken from it.

    The longest sentence comes first, then ever shorter ones; what is padding is left unset.
    """
    steps, size, tags = chain.emissions.shape
    active = [size] * steps if chain.full else chain.real.sum(1).tolist()
    incoming = chain.transitions.t().contiguous()  # (K, K), to a tag from the one before
    scores = torch.empty_like(chain.emissions)
    torch.add(chain.emissions[0], chain.start, out=scores[0])
    taken = torch.zeros(size, dtype=torch.float64, device=scores.device)
    table = scores.new_empty(size, tags, tags)
    rows = scores.unsqueeze(2).unbind()
    for step, (score, emission) in enumerate(zip(scores.unbind()[1:], chain.emissions.unbind()[1:], strict=True), 1):
        count, row = active[step], rows[step - 1]
        if count == 0:
            break
        if count < size:
            table, row, score, emission = table[:count], row[:count], score[:count], emission[:count]
        torch.add(row, incoming, out=table)
        torch.amax(table, 2, out=score)
        score.add_(emission)
        if step % RESCALE_EVERY == 0:
            shift = _finite(score.amax(1, keepdim=True))
            score.sub_(shift)
            taken[:count] += shift.squeeze(1)
    return scores, taken


def _finite(scores: Tensor) -> Tensor:
    return scores.masked_fill(scores == -torch.inf, 0.0)


def _walk(chain: Chain, scores: Tensor, final: Tensor) -> Tensor:
    """(T, B) int64, the path from each sentence's final tag back to its first."""
    steps, incoming = len(scores), chain.transitions.t().contiguous()
    path = final.new_empty(steps, len(final))
    path[-1] = final
    is_last = (torch.arange(steps, device=final.device).unsqueeze(1) >= chain.last).unbind()
    for step in range(steps - 2, -1, -1):
        back = incoming.index_select(0, path[step + 1]).add_(scores[step]).argmax(1)
        torch.where(is_last[step], final, back, out=path[step])
    return path


def _best_paths_on_cpu(chain: Chain) -> tuple[Tensor, Tensor]:
    """As `_best_paths`, with NumPy on the same memory where arrays are small: its calls cost a third of PyTorch's."""
    _, size, tags = chain.emissions.shape
    if size * tags * tags <= (SMALL_ALONE if size == 1 else SMALL):
        rows, taken = _small_running_scores(chain)
    else:
        scores, shifts = _running_scores(chain)
        rows, taken = scores.numpy(), shifts.numpy()
    last = None if chain.full else chain.last.numpy()
    totals = (rows[-1] if last is None else rows[last, np.arange(size)]) + chain.end.numpy()
    path = _walk_on_cpu(rows, chain.transitions.numpy(), totals.argmax(1), last)
    score = torch.from_numpy(totals.max(1) + taken)
    return torch.from_numpy(path), score if chain.full else score.masked_fill(chain.lengths == 0, 0.0)


def _small_running_scores(chain: Chain) -> tuple[Array, Array]:
    """As `_running_scores`."""
    emissions, transitions = chain.emissions.numpy(), chain.transitions.numpy()
    steps, size, tags = emissions.shape
    scores = np.empty_like(emissions)
    np.add(emissions[0], chain.start.numpy(), out=scores[0])
    taken = np.zeros(size)
    table = np.empty((size, tags, tags), dtype=emissions.dtype)
    for step in range(1, steps):
        score = scores[step]
        np.add(scores[step - 1, :, :, None], transitions, out=table)
        np.maximum.reduce(table, axis=1, out=score)
        np.add(score, emissions[step], out=score)
        if step % RESCALE_EVERY == 0:
            shift = score.max(1, keepdims=True)
            shift[shift == -np.inf] = 0.0
            score -= shift
            taken += shift[:, 0] * (step <= chain.last.numpy())
    return scores, taken


def _walk_on_cpu(scores: Array, transitions: Array, final: Array, last: Array | None) -> Array:
    """As `_walk`; `last` is None where every sentence ends with the batch."""
    steps, incoming = len(scores), np.ascontiguousarray(transitions.T)
    path = np.empty((steps, len(final)), dtype=np.int64)
    path[-1] = final
    back = np.empty_like(scores[0])
    is_last = None if last is None else np.arange(steps)[:, None] >= last
    for step in range(steps - 2, -1, -1):
        # "clip" changes no id; it spares NumPy a copy of the output.
        np.take(incoming, path[step + 1], 0, out=back, mode="clip")
        np.add(back, scores[step], out=back)
        back.argmax(1, out=path[step])
        if is_last is not None:
            np.copyto(path[step], final, where=is_last[step])
    return path


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
    final = chain.at_last(torch.stack(ends).flatten(2)).view(size, tags, n) + chain.end.unsqueeze(1)
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
