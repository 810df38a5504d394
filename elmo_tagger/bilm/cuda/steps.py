"""Which implementation of a step's small operations a device takes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from elmo_tagger.bilm.cuda import gates

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Steps:
    """`gates`, or what computes the same."""

    update_cells: Callable[[Tensor, Tensor, Tensor, Tensor, int, float | None], Tensor]
    update_outputs: Callable[[Tensor, Tensor, Tensor, int, float | None], None]


READABLE = Steps(gates.update_cells, gates.update_outputs)


@cache
def best_steps(device: torch.device) -> Steps:
    """Triton's kernels where they work: on CUDA, with Triton and the C compiler that it calls."""
    if device.type != "cuda" or find_spec("triton") is None:
        return READABLE
    try:
        with torch.cuda.device(device):
            return _tried(device)
    except Exception as error:  # Triton has no common kind of error for what may be missing
        logger.warning("Triton does not work here, so the biLM's LSTM is slower: %s: %s", type(error).__name__, error)
        return READABLE


def _tried(device: torch.device) -> Steps:
    from elmo_tagger.bilm.cuda import kernels

    steps = Steps(kernels.update_cells, kernels.update_outputs)
    one = torch.zeros(2, 1, 4, device=device)
    left = torch.ones(1, dtype=torch.int32, device=device)
    hidden = steps.update_cells(one, one[:, 0], one[:, :, :1].clone(), left, 0, None)
    steps.update_outputs(hidden, hidden.clone(), left, 0, None)
    return steps
