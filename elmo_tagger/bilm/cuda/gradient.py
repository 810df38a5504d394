"""The LSTM's steps with a backward of their own, for training on a CUDA GPU.

As `lstm_gradient`, with a few launches a step: three products, and one kernel for all that lies between two of them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from elmo_tagger.bilm.backward.lstm_steps import gradients_of_arguments, step_slices, words_before
from elmo_tagger.bilm.cuda.ops import training_steps
from elmo_tagger.bilm.device import to_device


class FusedSteps(torch.autograd.Function):
    """What `LstmSteps` computes, with the same arguments and results."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor,
        projection: Tensor,
        output: Tensor,
        cell: Tensor,
        sizes: list[int],
        clips: tuple[float | None, float | None],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `LstmSteps.forward`."""
        device = inputs.device.type
        narrow = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else inputs.dtype
        with torch.cuda.device_of(inputs), torch.autocast(device, enabled=False):  # type: ignore[no-untyped-call]
            results = _forward(
                inputs.to(narrow), weight.to(narrow), bias, projection.to(narrow), output, cell, sizes, clips
            )
        outputs, last_output, last_cell, gates, cells = results
        ctx.save_for_backward(inputs, weight, projection, output, cell, gates, cells, outputs)
        ctx.sizes, ctx.clips = sizes, clips
        return outputs, last_output.to(output.dtype), last_cell

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_outputs: Tensor, of_last_output: Tensor, of_last_cell: Tensor) -> Any:
        """Gradients of the tensors among forward's arguments."""
        inputs, weight, projection, _, cell, gates, cells, outputs = ctx.saved_tensors
        narrow, width = gates.dtype, projection.shape[2]
        to_output, to_hidden = weight[:, width:].to(narrow).transpose(1, 2), projection.to(narrow).transpose(1, 2)
        steps = training_steps(inputs.device, cell.dtype)
        of_projected = of_outputs.to(narrow, copy=True, memory_format=torch.contiguous_format)
        of_gates = torch.empty_like(gates)
        later_output = of_last_output.to(narrow, copy=True, memory_format=torch.contiguous_format)
        later_cell = of_last_cell.clone(memory_format=torch.contiguous_format)
        slices = list(step_slices(ctx.sizes))
        for words, before in zip(reversed(slices), [*reversed(slices[:-1]), None], strict=True):
            size = words.stop - words.start
            previous = cell if before is None else cells[:, before]
            own = of_projected[:, words]
            steps.add_to_outputs(own, later_output[:, :size], outputs[:, words], ctx.clips[1])
            of_hidden = torch.bmm(own, to_hidden)
            steps.close_gates(
                gates[:, words],
                cells[:, words],
                previous[:, :size],
                of_hidden,
                later_cell[:, :size],
                of_gates[:, words],
                ctx.clips[0],
            )
            torch.bmm(of_gates[:, words], to_output, out=later_output[:, :size])
        places = to_device(words_before(ctx.sizes), inputs.device)
        return gradients_of_arguments(ctx, places, cells.tanh(), of_gates, of_projected, later_output, later_cell)


def _forward(
    inputs: Tensor,
    weight: Tensor,
    bias: Tensor,
    projection: Tensor,
    output: Tensor,
    cell: Tensor,
    sizes: list[int],
    clips: tuple[float | None, float | None],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What `FusedSteps.forward` returns, and gates (2, N, 4H), after their activation, and cells (2, N, H)."""
    width = projection.shape[2]
    steps, bias = training_steps(inputs.device, cell.dtype), bias.squeeze(1).contiguous()
    gates = torch.bmm(inputs, weight[:, :width])
    cells = cell.new_empty(2, inputs.shape[1], projection.shape[1])
    outputs = gates.new_empty(inputs.shape)
    last_output, last_cell = output.to(gates.dtype, copy=True), cell.clone()
    before_output, before_cell = last_output.clone(), cell.contiguous()
    for words, following in zip(step_slices(sizes), [*sizes[1:], 0], strict=True):
        size = words.stop - words.start
        own, now, projected = gates[:, words], cells[:, words], outputs[:, words]
        own.baddbmm_(before_output[:, :size], weight[:, width:])
        hidden = steps.open_gates(own, bias, before_cell[:, :size], now, clips[0])
        torch.bmm(hidden, projection, out=projected)
        if clips[1] is not None:
            projected.clamp_(-clips[1], clips[1])
        if following < size:
            last_output[:, following:size] = projected[:, following:]
            last_cell[:, following:size] = now[:, following:]
        before_output, before_cell = projected, now
    return outputs, last_output, last_cell, gates, cells
