"""What a training step of the LSTM does beside its matrix products, forward and backward.

These are the readable twins of `training_kernels`. Gates come in the order input, candidate, forget, output.
"""

from __future__ import annotations

import torch
from torch import Tensor


def open_gates(gates: Tensor, bias: Tensor, previous: Tensor, cell: Tensor, clip: float | None) -> Tensor:
    """From gates before their activation to hidden values.

    Args:
        gates: (2, R, 4H), replaced by what they are after their activation.
        bias: (2, 4H), with what TensorFlow adds, of the cell's type.
        previous: (2, R, H), cells before the step.
        cell: (2, R, H), to be filled.
        clip: Of cells.

    Returns:
        Hidden values (2, R, H) of the gates' type.
    """
    input_gate, candidate, forget_gate, output_gate = (gates + bias.unsqueeze(1)).chunk(4, dim=-1)
    input_gate, candidate, forget_gate, output_gate = (
        input_gate.sigmoid(),
        candidate.tanh(),
        forget_gate.sigmoid(),
        output_gate.sigmoid(),
    )
    gates.copy_(torch.cat([input_gate, candidate, forget_gate, output_gate], dim=-1))
    new = forget_gate * previous + input_gate * candidate
    cell.copy_(new if clip is None else new.clamp(-clip, clip))
    return (output_gate * cell.tanh()).to(gates.dtype)


def add_to_outputs(gradients: Tensor, later: Tensor, outputs: Tensor, clip: float | None) -> None:
    """Gradients of outputs before they were clipped.

    Args:
        gradients: (2, R, P), of outputs by what reads them; replaced by those of outputs before clipping.
        later: (2, R, P), by the next step.
        outputs: (2, R, P), clipped.
        clip: Of outputs; one that was clipped does not move.
    """
    total = gradients + later
    gradients.copy_(total if clip is None else total.masked_fill(outputs.abs() >= clip, 0.0))


def close_gates(
    gates: Tensor,
    cell: Tensor,
    previous: Tensor,
    of_hidden: Tensor,
    of_cell: Tensor,
    of_gates: Tensor,
    clip: float | None,
) -> None:
    """From gradients of hidden values to those of gates before their activation.

    Args:
        gates: (2, R, 4H), after their activation.
        cell: (2, R, H), clipped.
        previous: (2, R, H), cells before the step.
        of_hidden: (2, R, H), gradients.
        of_cell: (2, R, H), gradients by the next step; replaced by those of `previous`.
        of_gates: (2, R, 4H), to be filled.
        clip: Of cells.
    """
    input_gate, candidate, forget_gate, output_gate = gates.to(cell.dtype).chunk(4, dim=-1)
    squashed = cell.tanh()
    own = of_cell + of_hidden * output_gate * (1 - squashed * squashed)
    if clip is not None:
        own = own.masked_fill(cell.abs() >= clip, 0.0)
    slopes = (
        own * candidate * input_gate * (1 - input_gate),
        own * input_gate * (1 - candidate * candidate),
        own * previous * forget_gate * (1 - forget_gate),
        of_hidden * squashed * output_gate * (1 - output_gate),
    )
    of_gates.copy_(torch.cat(slopes, dim=-1))
    of_cell.copy_(own * forget_gate)
