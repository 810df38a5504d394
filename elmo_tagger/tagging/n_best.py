"""The n best tag sequences of each sentence of a batch of chains: the best one, then ever dearer departures from it.

Walked from its last token back, every sequence follows the best one for a while, departs from it at one token to
another tag, and so on from there. Viterbi's running scores tell at once what a departure costs, if all before it is as
good as it can be. So the second best sequence is the cheapest departure from the best; the third, the cheapest that is
left or the cheapest from the second, among the tokens before the place where that one departed itself; and so on. No
sequence is met twice, because it has one way to be reached.

Among equals the lowest tag id goes first, looked at from the last token backwards, on every device.

Source: Lawler 1972, "A procedure for computing the K best solutions", on a trellis.
"""

from __future__ import annotations

import torch
from torch import Tensor

from elmo_tagger.tagging.chain import Chain
from elmo_tagger.tagging.devices import on_host
from elmo_tagger.tagging.viterbi import running_scores, walk_back


def n_best_paths(chain: Chain, n: int) -> tuple[Tensor, Tensor]:
    """The n best tag sequences of each sentence, best first.

    Returns:
        (T, B, N) int64, ids without meaning on padding and in missing paths; (B, N) bool, false where a sentence has
        fewer sequences; an empty sentence has one.
    """
    steps, size, tags = chain.emissions.shape
    scores = running_scores(chain)
    path = walk_back(chain, scores, (chain.at_last(scores) + chain.end).argmax(1), chain.last)
    paths, exists = path.expand(n, steps, size).clone(), torch.ones(n, size, dtype=torch.bool, device=path.device)
    search = _Search(departures=scores.new_empty(n - 1, size, 2 * steps * tags), tags=tags)
    cost, free = scores.new_zeros(size, dtype=torch.float64), chain.lengths
    for rank in range(1, n):
        search.add(_departures(chain, scores, path, free), path, cost)
        cost, fixed, token, tag = search.cheapest()
        position = torch.arange(steps, device=path.device).unsqueeze(1)
        path = torch.where(position < token, walk_back(chain, scores, tag, token), fixed)
        exists[rank] = cost < torch.inf
        free = token.masked_fill(~exists[rank], 0)
        paths[rank] = path
    return paths.permute(1, 2, 0), exists.t()


def _departures(chain: Chain, scores: Tensor, path: Tensor, free: Tensor) -> Tensor:
    """What it costs to leave a path, at each of its tokens to each other tag, all before being as good as possible.

    Args:
        chain: The batch.
        scores: (T, B, K), running scores.
        path: (T, B) int64.
        free: (B,) int64, number of tokens, from the first, that may depart.

    Returns:
        (B, 2 * T * K), in the order in which equals are taken: to lower tags, from the last token on; then to higher
        tags, from the first token on, because they come after whatever departs before. Infinite for no departure.
    """
    steps, size, tags = scores.shape
    step, tag = torch.arange(steps, device=path.device), torch.arange(tags, device=path.device)
    ahead = chain.transitions.t().contiguous().index_select(0, path[1:].flatten()).view(steps - 1, size, tags)
    ahead = torch.cat([ahead, chain.end.expand(1, size, tags)])
    if not chain.full:
        ahead = torch.where((step.unsqueeze(1) == chain.last).unsqueeze(2), chain.end, ahead)
    through = scores + ahead
    own = path.unsqueeze(2)
    cost = through.gather(2, own) - through
    cost = cost.masked_fill((step.unsqueeze(1) >= free).unsqueeze(2), torch.inf)
    lower, higher = cost.masked_fill(tag >= own, torch.inf), cost.masked_fill(tag <= own, torch.inf)
    return torch.cat([lower.flip(0), higher]).transpose(0, 1).flatten(1)


class _Search:
    """The departures that are left of every path found so far, and the cheapest of each.

    Args:
        departures: (N - 1, B, 2 * T * K), space for them.
        tags: K.
    """

    def __init__(self, *, departures: Tensor, tags: int) -> None:
        self._left, self._tags = departures, tags
        self._rows = torch.arange(departures.shape[1], device=departures.device)
        self._paths: list[Tensor] = []
        self._costs: list[Tensor] = []  # of the paths, (B,) float64 above the best
        self._heads: list[tuple[Tensor, Tensor]] = []  # of each path: cheapest departure's total cost; where it is

    def add(self, departures: Tensor, path: Tensor, cost: Tensor) -> None:
        """Another path (T, B) of known cost (B,), and its departures (B, 2 * T * K)."""
        self._left[len(self._paths)] = departures
        self._paths.append(path)
        self._costs.append(cost)
        self._heads.append(self._head(departures, cost))

    def cheapest(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Takes each sentence's cheapest departure out.

        Returns:
            (B,) float64, the cost of what it leads to, infinite if there is none; (T, B), its tags from the token of
            the departure on; (B,) int64, that token; (B,) int64, the tag there.
        """
        cost, place = self._heads[0]
        origin = torch.zeros_like(place)
        fixed = self._fixed(0)
        for index in range(1, len(self._paths)):
            other_cost, other_place = self._heads[index]
            other_fixed = self._fixed(index)
            better = (other_cost < cost) | ((other_cost == cost) & _comes_first(other_fixed, fixed))
            cost, place = torch.where(better, other_cost, cost), torch.where(better, other_place, place)
            origin, fixed = origin.masked_fill(better, index), torch.where(better, other_fixed, fixed)
        self._remove(origin, place)
        return cost, fixed, *self._token_and_tag(place)

    def _remove(self, origin: Tensor, place: Tensor) -> None:
        self._left[origin, self._rows, place] = torch.inf
        cost, head = self._head(self._left[origin, self._rows], torch.stack(self._costs)[origin, self._rows])
        for index, (old_cost, old_place) in enumerate(self._heads):
            self._heads[index] = (
                torch.where(origin == index, cost, old_cost),
                torch.where(origin == index, head, old_place),
            )

    def _head(self, departures: Tensor, cost: Tensor) -> tuple[Tensor, Tensor]:
        # The first of equals, as documented for both; NumPy's is several times as fast.
        where = torch.from_numpy(departures.numpy().argmin(1)) if on_host(departures) else departures.argmin(1)
        return cost + departures.gather(1, where.unsqueeze(1)).squeeze(1), where

    def _token_and_tag(self, place: Tensor) -> tuple[Tensor, Tensor]:
        """The (B,) token and tag that places in the order of `_departures` mean."""
        half = self._left.shape[2] // 2
        token = torch.div(place % half, self._tags, rounding_mode="floor")
        mirrored = half // self._tags - 1 - token
        return torch.where(place < half, mirrored, token), place % self._tags

    def _fixed(self, index: int) -> Tensor:
        """(T, B), a path with its cheapest departure; what is before that is not final."""
        token, tag = self._token_and_tag(self._heads[index][1])
        return self._paths[index].scatter(0, token.unsqueeze(0), tag.unsqueeze(0))


def _comes_first(left: Tensor, right: Tensor) -> Tensor:
    """(B,) bool, whether of (T, B) tags the left have the lower id at the last token where both differ.

    Two departures differ at the later one's token at the latest, so the tags before it, which are not final, do not
    matter.
    """
    step = torch.arange(len(left), device=left.device).unsqueeze(1)
    last = torch.where(left != right, step, 0).amax(0, keepdim=True)
    return (left.gather(0, last) < right.gather(0, last)).squeeze(0)
