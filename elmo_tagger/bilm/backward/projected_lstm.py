"""A layer of the biLM in training: its steps with a backward of their own.

Under autocast, gates, outputs and the factors of products have its type; states keep theirs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from elmo_tagger.bilm.backward.lstm_steps import Clips, Kept, gradients_of_steps, run_steps


class LstmSteps(torch.autograd.Function):
    """A chunk of steps of one layer, both directions: what `ProjectedLstm` computes."""

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
        clips: Clips,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run the steps.

        Args:
            ctx: Where autograd keeps what backward needs.
            inputs: (2, N, P).
            weight: (2, 2P, 4H), `W_0`.
            bias: (2, 1, 4H), with what TensorFlow adds.
            projection: (2, H, P), `W_P_0`.
            output: (2, R, P), before the first step.
            cell: (2, R, H), before the first step.
            sizes: Sentences of each step, never increasing; their sum is N.
            clips: Of cells and of outputs.

        Returns:
            Outputs (2, N, P), and the last output (2, R, P) and cell (2, R, H) of each sentence.
        """
        device, width = inputs.device.type, projection.shape[2]
        narrow = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else inputs.dtype
        with torch.autocast(device, enabled=False):
            products = weight.to(narrow)
            kept, last_output, last_cell = run_steps(
                inputs.to(narrow),
                (products[:, :width], products[:, width:], projection.to(narrow)),
                bias.to(narrow),
                (output, cell),
                sizes=sizes,
                clips=clips,
            )
        ctx.save_for_backward(inputs, weight, projection, cell, *kept)
        ctx.sizes, ctx.clips = sizes, clips
        ctx.output_dtype = output.dtype
        return kept.outputs, last_output.to(output.dtype), last_cell

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *of_results: Tensor) -> Any:
        """Gradients of the tensors among forward's arguments: one product for each weight."""
        inputs, weight, projection, cell, *saved = ctx.saved_tensors
        kept, width = Kept(*saved), projection.shape[2]
        narrow = kept.gates.dtype
        weights = weight[:, width:].to(narrow), projection.to(narrow)
        found = gradients_of_steps(kept, of_results, weights, cell, sizes=ctx.sizes, clips=ctx.clips)
        assert found.hidden is not None  # there is a projection
        # transposed ahead of the product, because oneDNN multiplies a transposed bfloat16 factor at half the speed
        factors = torch.cat([inputs.to(narrow).transpose(1, 2), kept.previous.transpose(1, 2)], dim=1)
        of_inputs = None
        if ctx.needs_input_grad[0]:
            of_inputs = torch.bmm(found.gates, weight[:, :width].to(narrow).transpose(1, 2)).to(inputs.dtype)
        return (
            of_inputs,
            torch.bmm(factors, found.gates).to(weight.dtype),
            found.gates.sum(dim=1, keepdim=True).to(weight.dtype),
            torch.bmm(found.projected.transpose(1, 2).contiguous(), found.hidden).transpose(1, 2).to(projection.dtype),
            found.output.to(ctx.output_dtype),
            found.cell,
            None,
            None,
        )
