"""The biLM on a CPU while gradients are recorded."""

from __future__ import annotations

import torch
from torch import Tensor

from elmo_tagger.bilm.backward.char_cnn import TrainedCnn
from elmo_tagger.bilm.backward.projected_lstm import LstmSteps
from elmo_tagger.bilm.lstm import ProjectedLstm, State
from elmo_tagger.bilm.reference import Reference


class CpuTraining(Reference):
    """A backward of its own: fewer and larger products for the LSTM, one comparison for the CNN's largest values."""

    name = "backward"

    @staticmethod
    def suits(device: torch.device, *, gradients: bool) -> bool:
        """On a CPU, with gradients."""
        return device.type == "cpu" and gradients

    def embed_words(self, character_ids: Tensor, *, max_words: int | None) -> Tensor:
        """See `Reference.embed_words`."""
        cnn = self.parts.char_cnn
        vectors: Tensor = cnn(character_ids, max_words=max_words, stages=TrainedCnn(cnn))
        return vectors

    def run_layer(self, layer: ProjectedLstm, inputs: Tensor, sizes: list[int], state: State) -> tuple[Tensor, State]:
        """See `Reference.run_layer`."""
        clips = layer.options.cell_clip, layer.options.proj_clip
        outputs, output, cell = LstmSteps.apply(  # type: ignore[no-untyped-call]
            inputs, layer.W_0, layer.gate_bias(), layer.W_P_0, *state, sizes, clips
        )
        return outputs, (output, cell)
