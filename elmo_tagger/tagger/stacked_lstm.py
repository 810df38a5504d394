"""AllenNLP's `stacked_bidirectional_lstm`: LSTM layers, each with a highway from its input to its output."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from elmo_tagger.bilm.parameter_cache import ParameterCache
from elmo_tagger.tagger.linear import is_row_wise
from elmo_tagger.tagger.recurrence import Layers, LstmCell, run


class StackedBidirectionalLstm(nn.Module):
    """Layers of a forward and a backward LSTM, each reading both of the layer below.

    Args:
        input_dim: Width of a vector.
        hidden: H, of each direction.
        layers: How many.
        highway: Whether each direction adds its input, projected, to its output; a gate weighs the two.

    Source: He et al. 2017 (https://aclanthology.org/P17-1044), section 2; the names are those of AllenNLP's
    `StackedBidirectionalLstm` since 1.0.
    """

    def __init__(self, input_dim: int, hidden: int, *, layers: int, highway: bool) -> None:
        super().__init__()
        self.layers = layers
        self._cells: ParameterCache[Layers] = ParameterCache()
        for layer in range(layers):
            for direction in ("forward", "backward"):
                self.add_module(f"{direction}_layer_{layer}", _Direction(input_dim, hidden, highway=highway))
            input_dim = 2 * hidden

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) vectors, (B, T) mask, true up to each sentence's end, to (B, T, 2H), 0 at padding."""
        if is_row_wise(inputs):
            packed = pack_padded_sequence(inputs, mask.sum(1), batch_first=True, enforce_sorted=False)
            outputs, _ = run(self._cells.of(self.parameters(), lambda: cells_of_stack(self, self.layers)), packed)
            return pad_packed_sequence(outputs, batch_first=True, total_length=mask.shape[1])[0]
        backwards = _reversal(mask).unsqueeze(-1)
        for layer in range(self.layers):
            forward, backward = (self.get_submodule(f"{name}_layer_{layer}") for name in ("forward", "backward"))
            turned = backward(inputs.gather(1, backwards.expand_as(inputs)))
            turned = turned.gather(1, backwards.expand_as(turned))
            inputs = torch.cat([forward(inputs), turned], dim=-1) * mask.unsqueeze(-1)
        return inputs


class _Direction(nn.Module):
    """One LSTM, from left to right."""

    def __init__(self, input_dim: int, hidden: int, *, highway: bool) -> None:
        super().__init__()
        self.hidden = hidden
        self.highway = highway
        self.cell = _Projections(input_dim, hidden, highway=highway)

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, T, D) to (B, T, H)."""
        from_inputs = self.cell.input_linearity(inputs).unbind(dim=1)  # T of (B, 4H, or 6H with highways)
        state = cell = inputs.new_zeros(len(inputs), self.hidden)
        states = []
        for from_input in from_inputs:
            state, cell = self._step(from_input, state, cell)
            states.append(state)
        return torch.stack(states, dim=1)

    def _step(self, from_input: Tensor, state: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        from_state = self.cell.state_linearity(state)
        gates = from_input[:, : from_state.shape[1]] + from_state
        enter, forget, candidate, leave, *carry = gates.split(self.hidden, dim=1)
        cell = enter.sigmoid() * candidate.tanh() + forget.sigmoid() * cell
        state = leave.sigmoid() * cell.tanh()
        if self.highway:
            gate = carry[0].sigmoid()
            state = gate * state + (1 - gate) * from_input[:, from_state.shape[1] :]
        return state, cell


class _Projections(nn.Module):
    """The weights of a direction, under AllenNLP's name `cell`: gates i, f, g, o, highway, and the highway's input."""

    def __init__(self, input_dim: int, hidden: int, *, highway: bool) -> None:
        super().__init__()
        self.input_linearity = nn.Linear(input_dim, (6 if highway else 4) * hidden, bias=False)
        self.state_linearity = nn.Linear(hidden, (5 if highway else 4) * hidden)


def cells_of_stack(stack: nn.Module, layers: int) -> Layers:
    """The units of a `StackedBidirectionalLstm`, this one or AllenNLP's, for weights that stay as they are."""
    projections = [
        [stack.get_submodule(f"{name}_layer_{layer}.cell") for name in ("forward", "backward")]
        for layer in range(layers)
    ]
    return [
        [LstmCell(cell.input_linearity.weight, cell.state_linearity.weight, cell.state_linearity.bias) for cell in both]  # type: ignore[union-attr, arg-type]
        for both in projections
    ]


def _reversal(mask: Tensor) -> Tensor:
    """(B, T) int64, for each place the place that stands there when each sentence is read from its end."""
    places = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    turned = mask.sum(dim=1, keepdim=True) - 1 - places
    return torch.where(mask, turned, places)
