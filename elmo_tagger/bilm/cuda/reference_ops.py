"""What a step of the LSTM does beside its two matrix products, on tensors of fixed shape.

Rows of a chunk whose sentence has ended keep their state. State is changed in place, so that a CUDA graph can record
it. These are the readable twins of `kernels`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def update_cells(gates: Tensor, bias: Tensor, cell: Tensor, left: Tensor, step: int, clip: float | None) -> Tensor:
    """Open the gates.

    Args:
        gates: (2, R, 4H), products of input and output with their weights: input, candidate, forget, output.
        bias: (2, 4H), with what TensorFlow adds, of the cell's type.
        cell: (2, R, H); updated where a row's sentence goes on.
        left: (R,) int32, steps that a row's sentence had left when the chunk began.
        step: Of the chunk.
        clip: Of cells.

    Returns:
        Hidden values (2, R, H) of the gates' type, ready to be projected; without meaning where a sentence has ended.
    """
    input_gate, candidate, forget_gate, output_gate = (gates + bias.unsqueeze(1)).chunk(4, dim=-1)
    new = forget_gate.sigmoid() * cell + input_gate.sigmoid() * candidate.tanh()
    if clip is not None:
        new = new.clamp(-clip, clip)
    cell.copy_(torch.where((left > step).unsqueeze(1), new, cell))
    return (output_gate.sigmoid() * new.tanh()).to(gates.dtype)


def update_outputs(projected: Tensor, output: Tensor, left: Tensor, step: int, clip: float | None) -> None:
    """Clip a step's outputs and keep them for the next step.

    Args:
        projected: (2, R, P), clipped in place.
        output: (2, R, P), of the step before; updated where a row's sentence goes on.
        left: As above.
        step: As above.
        clip: Of outputs.
    """
    if clip is not None:
        projected.clamp_(-clip, clip)
    output.copy_(torch.where((left > step).unsqueeze(1), projected, output))
