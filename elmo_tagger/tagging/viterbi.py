"""The best tag sequence of each sentence of a batch of chains, all sentences at once.

Ties go to the lowest tag id, looked at from the last token backwards, on every device: scores are sums in a fixed
order, `max` and `argmax` return the first of equals. Minus infinity marks what is forbidden, so a finite score, however
low, always beats it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from elmo_tagger.tagging.chain import Chain
from elmo_tagger.tagging.devices import on_host

RESCALE_EVERY = 16  # steps; keeps running scores near 0, where float32 is dense, at a small part of a step's cost
SLAB = 1 << 17  # numbers of a (B, K, K) table kept at a time, half a MiB: a core's second-level cache holds it
SMALL = 1 << 11  # numbers of such a table up to which NumPy's shorter calls win over PyTorch's faster loops
SMALL_ALONE = 1 << 13  # the same for one sentence
SIDE_BY_SIDE = 16  # sentences that fill a vector register, from which on they lie innermost in the tables

Array = npt.NDArray[Any]


def best_paths(chain: Chain) -> tuple[Tensor, Tensor]:
    """The best tag sequence of each sentence.

    Returns:
        (T, B) int64, ids without meaning on padding and where no sequence is possible; and (B,) float64, the
        sequences' scores without the chain's offset, minus infinity where there is none.

    Source: Viterbi 1967; back pointers are found again on the way back, for the tags of the path alone.
    """
    if not on_host(chain.lengths):
        return _best_paths(chain)
    if chain.full or len(chain.lengths) < 2:
        return _in_slabs(chain)
    # Longest first, so that each step can stop at the last sentence that goes on.
    order = chain.lengths.argsort(descending=True)
    path, score = _in_slabs(chain.rows(order))
    back = order.argsort()
    return path.index_select(1, back), score.index_select(0, back)


@np.errstate(over="ignore", invalid="ignore")  # on padding, and where the caller sees it
def running_scores(chain: Chain) -> Tensor:
    """Score of the best sequence up to each token and tag, (T, B, K), up to a constant for each token.

    Without meaning on padding.
    """
    if not on_host(chain.lengths):
        return _running_scores(chain)[0]
    if chain.full or len(chain.lengths) < 2:
        return torch.from_numpy(_running_scores_on_host(chain)[0])
    order = chain.lengths.argsort(descending=True)
    return torch.from_numpy(_running_scores_on_host(chain.rows(order))[0]).index_select(1, order.argsort())


def walk_back(chain: Chain, scores: Tensor, final: Tensor, last: Tensor) -> Tensor:
    """(T, B) int64, the best way to a tag `final` (B,) at a token `last` (B,); after it, `final` again."""
    if not on_host(scores):
        return _walk(chain, scores, final, last)
    parts = (scores, chain.transitions, final, last)
    return torch.from_numpy(_walk_on_host(*(part.numpy() for part in parts)))


def _in_slabs(chain: Chain) -> tuple[Tensor, Tensor]:
    _, size, tags = chain.emissions.shape
    if size < SIDE_BY_SIDE and size * tags * tags > 2 * SLAB:
        slabs = torch.split(torch.arange(size), max(1, SLAB // (tags * tags)))
        parts = [_best_paths_on_host(chain.rows(rows)) for rows in slabs]
        return torch.cat([path for path, _ in parts], 1), torch.cat([score for _, score in parts])
    return _best_paths_on_host(chain)


def _best_paths(chain: Chain) -> tuple[Tensor, Tensor]:
    """The readable reference of `_best_paths_on_host`, and the way on devices: nothing is copied from there."""
    scores, taken = _running_scores(chain)
    totals = chain.at_last(scores) + chain.end
    best, final = totals.max(1)
    score = best + taken
    return _walk(chain, scores, final, chain.last), score.masked_fill(chain.lengths == 0, 0.0)


def _running_scores(chain: Chain) -> tuple[Tensor, Tensor]:
    """Score of the best sequence up to each token and tag, (T, B, K); and (B,) float64, what was taken from it.

    The readable reference of the two other ways, and the way on devices. Padding counts as tokens of score 0.
    """
    incoming = chain.transitions.t().contiguous()  # (K, K), to a tag from the one before
    scores, taken = (
        torch.empty_like(chain.emissions),
        chain.emissions.new_zeros(len(chain.lengths), dtype=torch.float64),
    )
    # One table for all steps: 5,000 of them, each freed between results that stay, would tear the heap into pieces.
    table = incoming.new_empty(len(taken), *incoming.shape)
    score = torch.add(chain.emissions[0], chain.start, out=scores[0])
    for step, emission in enumerate(chain.emissions.unbind()[1:], 1):
        torch.add(score.unsqueeze(1), incoming, out=table)
        score = torch.amax(table, 2, out=scores[step]).add_(emission)
        if step % RESCALE_EVERY == 0:
            shift = _finite(score.amax(1, keepdim=True))
            score.sub_(shift)
            taken += torch.where(step <= chain.last, shift.squeeze(1), 0.0)
    return scores, taken


def _running_scores_side_by_side(chain: Chain) -> tuple[Tensor, Tensor]:
    """As `_running_scores`, with sentences innermost: sums and maxima then run over whole vectors of them.

    The longest sentence comes first, then ever shorter ones; where those that have ended are dropped, scores are 0.
    """
    size, tags = chain.emissions.shape[1:]
    outgoing = chain.transitions.unsqueeze(2)  # (from K, to K, 1)
    scores, taken = torch.zeros_like(chain.emissions), torch.zeros(size, dtype=torch.float64)
    before = chain.start.unsqueeze(1).expand(tags, size)
    for begin, end, width in _stretches(chain):
        emissions = chain.emissions[begin:end, :width].transpose(1, 2).contiguous()
        part = torch.empty_like(emissions)  # (T, K, B)
        table, row = part.new_empty(tags, tags, width), before[:, :width].unsqueeze(1)
        views = zip(part.unbind(), emissions.unbind(), part.unsqueeze(2).unbind(), strict=True)
        for step, (score, emission, as_row) in enumerate(views, begin):
            if step:
                torch.add(row, outgoing, out=table)
                torch.amax(table, 0, out=score)
                score.add_(emission)
            else:
                torch.add(before, emission, out=score)
            if step and step % RESCALE_EVERY == 0:
                shift = _finite(score.amax(0))
                score.sub_(shift)
                taken[:width] += shift.masked_fill_(step > chain.last[:width], 0.0)
            row = as_row
        scores[begin:end, :width] = part.transpose(1, 2)
        before = part[-1]
    return scores, taken


def _stretches(chain: Chain) -> Iterator[tuple[int, int, int]]:
    """Steps from, to (exclusive), and how many sentences go along: all, or in large tables those not ended."""
    steps, size, tags = chain.emissions.shape
    begin, width = 0, size
    if not chain.full and size * tags * tags > SLAB:
        for step, count in enumerate(chain.real.sum(1).tolist()):
            if count <= 0.75 * width:
                yield begin, step, width
                begin, width = step, count
            if count == 0:
                return
    yield begin, steps, width


def _finite(scores: Tensor) -> Tensor:
    return scores.masked_fill(scores == -torch.inf, 0.0)


def _walk(chain: Chain, scores: Tensor, final: Tensor, last: Tensor) -> Tensor:
    """The readable reference of `_walk_on_host`, and the way on devices; see `walk_back`."""
    steps, incoming = len(scores), chain.transitions.t().contiguous()
    path = final.new_empty(steps, len(final))
    path[-1] = final
    is_last = (torch.arange(steps, device=final.device).unsqueeze(1) >= last).unbind()
    for step in range(steps - 2, -1, -1):
        back = incoming.index_select(0, path[step + 1]).add_(scores[step]).argmax(1)
        torch.where(is_last[step], final, back, out=path[step])
    return path


@np.errstate(over="ignore", invalid="ignore")  # the caller sees what is not finite in the scores
def _best_paths_on_host(chain: Chain) -> tuple[Tensor, Tensor]:
    """As `_best_paths`."""
    rows, taken = _running_scores_on_host(chain)
    last = None if chain.full else chain.last.numpy()
    totals = (rows[-1] if last is None else rows[last, np.arange(rows.shape[1])]) + chain.end.numpy()
    path = _walk_on_host(rows, chain.transitions.numpy(), totals.argmax(1), last)
    score = torch.from_numpy(totals.max(1) + taken)
    return torch.from_numpy(path), score if chain.full else score.masked_fill(chain.lengths == 0, 0.0)


def _running_scores_on_host(chain: Chain) -> tuple[Array, Array]:
    """As `_running_scores`, the fastest way."""
    _, size, tags = chain.emissions.shape
    if size * tags * tags <= (SMALL_ALONE if size == 1 else SMALL):
        return _small_running_scores(chain)
    scores, taken = (_running_scores_side_by_side if size >= SIDE_BY_SIDE else _running_scores)(chain)
    return scores.numpy(), taken.numpy()


def _small_running_scores(chain: Chain) -> tuple[Array, Array]:
    """As `_running_scores`, with NumPy on the same memory, whose calls cost a third of PyTorch's."""
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


def _walk_on_host(scores: Array, transitions: Array, final: Array, last: Array | None) -> Array:
    """As `_walk`; `last` is None where it is the batch's last token in every sentence."""
    steps, incoming = len(scores), np.ascontiguousarray(transitions.T)
    path = np.empty((steps, len(final)), dtype=np.int64)
    path[-1] = final
    back = np.empty_like(scores[0])
    is_last = None if last is None else np.arange(steps)[:, None] >= last
    for step in range(steps - 2, -1, -1):
        # "clip" changes no id; it spares NumPy a copy of the output.
        incoming.take(path[step + 1], 0, out=back, mode="clip")
        np.add(back, scores[step], out=back)
        back.argmax(1, out=path[step])
        if is_last is not None:
            np.copyto(path[step], final, where=is_last[step])
    return path
