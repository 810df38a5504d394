"""The LSTM of a biLM: cells clipped, outputs projected and clipped again, both directions at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from elmo_tagger.bilm.factors import Factors
from elmo_tagger.bilm.options import LstmOptions

State = tuple[Tensor, Tensor]
"""Output (2, R, P) and cell (2, R, H) of R sentences after a step."""

_FORGET_BIAS = 1.0  # TensorFlow's LSTMCell adds it at run time; the weight files do not hold it


class ProjectedLstm(Factors):
    """One layer, both directions side by side on the first axis (0 forward, 1 backward).

    Parameters keep bilm-tf's layout, one matrix a direction for input and recurrent weights, gates in the order
    input, candidate, forget, output.

    Source: Sak et al. 2014 (arXiv:1402.1128), equations 1-7 without peepholes, as in TensorFlow 1's LSTMCell.
    """

    def __init__(self, options: LstmOptions) -> None:
        super().__init__()
        self.options = options
        width, cell = options.projection_dim, options.dim
        self.W_0 = nn.Parameter(torch.empty(2, 2 * width, 4 * cell))
        self.B = nn.Parameter(torch.empty(2, 4 * cell))
        self.W_P_0 = nn.Parameter(torch.empty(2, cell, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the start of a training."""
        for weight in (self.W_0, self.W_P_0):
            bound = math.sqrt(6.0 / (weight.shape[1] + weight.shape[2]))  # Glorot, TensorFlow's default
            nn.init.uniform_(weight, -bound, bound)
        nn.init.zeros_(self.B)

    def forward(self, inputs: Tensor, sizes: list[int], state: State) -> tuple[Tensor, State]:
        """Run a chunk of steps.

        Weights may have a narrower type than the rest: products then have theirs, cells keep that of the state.

        Args:
            inputs: (2, N, P), the words of the chunk step by step; see `packing`.
            sizes: Sentences of each step, never increasing; their sum is N.
            state: State of R sentences before the chunk, R at least `sizes[0]`, in the packing's order.

        Returns:
            Outputs (2, N, P), without skip connection, and the state of all R sentences afterwards: a sentence that
            ended keeps the state of its last step.
        """
        width, narrow = self.options.projection_dim, self.W_0.dtype
        recurrent = self.W_0[:, width:]
        # what does not depend on the step before is one large product ahead of the loop
        from_input = torch.baddbmm(self.gate_bias(), inputs.to(narrow), self.W_0[:, :width])
        output, cell = state
        ended: list[State] = []
        outputs: list[Tensor] = []
        for size, gates in zip(sizes, torch.split(from_input, sizes, dim=1), strict=True):
            if size < output.shape[1]:
                ended.append((output[:, size:], cell[:, size:]))
                output, cell = output[:, :size], cell[:, :size]
            output, cell = self._step(torch.baddbmm(gates, output.to(narrow), recurrent), cell)
            outputs.append(output)
        ended.append((output, cell))
        last_output, last_cell = (torch.cat(parts, dim=1) for parts in zip(*reversed(ended), strict=True))
        return torch.cat(outputs, dim=1), (last_output, last_cell)

    def gate_bias(self) -> Tensor:
        """The gates' bias (2, 1, 4H), with what TensorFlow adds to it."""
        forget = torch.zeros_like(self.B)
        forget[:, 2 * self.options.dim : 3 * self.options.dim] = _FORGET_BIAS
        return (self.B + forget).unsqueeze(1)

    def _step(self, gates: Tensor, cell: Tensor) -> State:
        # gates: (2, R, 4H), cell: (2, R, H)
        input_gate, candidate, forget_gate, output_gate = gates.chunk(4, dim=-1)
        cell = forget_gate.sigmoid() * cell + input_gate.sigmoid() * candidate.tanh()
        cell = _clip(cell, self.options.cell_clip)
        output = torch.bmm((output_gate.sigmoid() * cell.tanh()).to(self.W_P_0.dtype), self.W_P_0)
        return _clip(output, self.options.proj_clip), cell


def initial_state(options: LstmOptions, sentences: int, *, like: Tensor) -> State:
    """A state of zeros for R = `sentences`, of the type and on the device of `like`."""
    return like.new_zeros(2, sentences, options.projection_dim), like.new_zeros(2, sentences, options.dim)


def _clip(values: Tensor, bound: float | None) -> Tensor:
    return values if bound is None else values.clamp(-bound, bound)
