"""The biLM on a CPU while gradients are recorded."""

from __future__ import annotations

import torch
from torch import Tensor

from elmo_tagger.bilm.backward.lstm_steps import LstmSteps
from elmo_tagger.bilm.lstm import ProjectedLstm, State
from elmo_tagger.bilm.reference import Reference


class CpuTraining(Reference):
    """The LSTM with a backward of its own, which needs fewer and larger products than what autograd would do."""

    name = "backward"

    @staticmethod
    def suits(device: torch.device, *, gradients: bool) -> bool:
        """On a CPU, with gradients."""
        return device.type == "cpu" and gradients

    def run_layer(self, layer: ProjectedLstm, inputs: Tensor, sizes: list[int], state: State) -> tuple[Tensor, State]:
        """See `Reference.run_layer`."""
        clips = layer.options.cell_clip, layer.options.proj_clip
        outputs, output, cell = LstmSteps.apply(  # type: ignore[no-untyped-call]
            inputs, layer.W_0, layer.gate_bias(), layer.W_P_0, *state, sizes, clips
        )
        return outputs, (output, cell)
