"""Which implementation of a step's small operations a device takes: Triton's kernels, or their readable twins."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from elmo_tagger.bilm.cuda import reference_ops

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepOps:
    """`reference_ops`, or what computes the same."""

    update_cells: Callable[[Tensor, Tensor, Tensor, Tensor, int, float | None], Tensor]
    update_outputs: Callable[[Tensor, Tensor, Tensor, int, float | None], None]


REFERENCE_OPS = StepOps(reference_ops.update_cells, reference_ops.update_outputs)

# Of cells, for the kernels: they clip in float32, and Triton's exponential takes nothing narrower.
_EXACT = torch.float32


def best_ops(device: torch.device, dtype: torch.dtype) -> StepOps:
    """For weights that stay as they are, of this type."""
    if dtype != _EXACT or not has_triton(device):
        return REFERENCE_OPS
    from elmo_tagger.bilm.cuda import kernels

    return StepOps(kernels.update_cells, kernels.update_outputs)


@cache
def has_triton(device: torch.device) -> bool:
    """Whether Triton's kernels work: on CUDA, with Triton and the C compiler that it calls."""
    if device.type != "cuda" or torch.version.hip or find_spec("triton") is None:
        return False
    try:
        with torch.cuda.device(device):
            _try(device)
    except Exception as error:  # Triton has no common kind of error for what may be missing
        logger.warning("Triton does not work here, so the biLM's LSTM is slower: %s: %s", type(error).__name__, error)
        return False
    return True


def _try(device: torch.device) -> None:
    from elmo_tagger.bilm.cuda import kernels

    one = torch.zeros(2, 1, 4, device=device)
    left = torch.ones(1, dtype=torch.int32, device=device)
    hidden = kernels.update_cells(one, one[:, 0], one[:, :, :1].clone(), left, 0, None)
    kernels.update_outputs(hidden, hidden.clone(), left, 0, None)
