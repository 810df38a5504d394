"""Encoders: vectors of words to vectors of words in their context."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from elmo_tagger.tagger.config import (
    ComposeConfig,
    EncoderConfig,
    PassThroughEncoderConfig,
    RnnConfig,
    StackedLstmConfig,
)
from elmo_tagger.tagger.lstm import Lstm
from elmo_tagger.tagger.recurrence import Gru
from elmo_tagger.tagger.stacked_lstm import StackedBidirectionalLstm


def build_encoder(config: EncoderConfig, input_dim: int) -> Encoder:
    """The encoder of a config, for vectors of a width."""
    if isinstance(config, RnnConfig):
        return RnnEncoder(config, input_dim)
    if isinstance(config, PassThroughEncoderConfig):
        return PassThroughEncoder(input_dim)
    if isinstance(config, ComposeConfig):
        return ComposedEncoder(config, input_dim)
    return StackedLstmEncoder(config, input_dim)


class RnnEncoder(nn.Module):
    """PyTorch's LSTM or GRU. Its parameters are those of `_module`, as in AllenNLP."""

    def __init__(self, config: RnnConfig, input_dim: int) -> None:
        super().__init__()
        self._module = build_rnn(config, input_dim)
        self.output_dim = config.hidden_size * (2 if config.bidirectional else 1)

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) vectors and (B, T) mask to vectors (B, T, `output_dim`), 0 at padding."""
        lengths = mask.sum(dim=1).cpu()
        packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = self._module(packed)
        encoded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=mask.shape[1])
        return encoded


class StackedLstmEncoder(nn.Module):
    """LSTM layers with highways; see `stacked_lstm`."""

    def __init__(self, config: StackedLstmConfig, input_dim: int) -> None:
        super().__init__()
        self._module = StackedBidirectionalLstm(
            input_dim, config.hidden_size, layers=config.num_layers, highway=config.use_highway
        )
        self.output_dim = 2 * config.hidden_size

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) vectors and (B, T) mask to vectors (B, T, `output_dim`), 0 at padding."""
        encoded: Tensor = self._module(inputs, mask)
        return encoded


class PassThroughEncoder(nn.Module):
    """No context."""

    def __init__(self, input_dim: int) -> None:
        super().__init__()
        self.output_dim = input_dim

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) vectors, 0 at padding."""
        return inputs * mask.unsqueeze(-1)


class ComposedEncoder(nn.Module):
    """Encoders one after the other, called `encoder0`, `encoder1`, ... as in AllenNLP."""

    def __init__(self, config: ComposeConfig, input_dim: int) -> None:
        super().__init__()
        self._encoders: list[Encoder] = []
        for number, part in enumerate(config.encoders):
            encoder = build_encoder(part, input_dim)
            self.add_module(f"encoder{number}", encoder)
            self._encoders.append(encoder)
            input_dim = encoder.output_dim
        self.output_dim: int = input_dim

    def forward(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) vectors and (B, T) mask to vectors (B, T, `output_dim`)."""
        for encoder in self._encoders:
            inputs = encoder(inputs, mask)
        return inputs


Encoder = RnnEncoder | StackedLstmEncoder | PassThroughEncoder | ComposedEncoder


def build_rnn(config: RnnConfig, input_dim: int) -> Lstm | Gru:
    """The network of a config."""
    kind = Lstm if config.type == "lstm" else Gru
    return kind(
        input_dim,
        config.hidden_size,
        num_layers=config.num_layers,
        bias=config.bias,
        batch_first=True,
        bidirectional=config.bidirectional,
    )
