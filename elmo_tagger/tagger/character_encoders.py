"""A vector for each word from its characters: a convolution or a recurrent network over them."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from elmo_tagger.bilm.parameter_cache import ParameterCache
from elmo_tagger.tagger.config import CharacterEncodingConfig, CnnConfig, RnnConfig
from elmo_tagger.tagger.embedding import Embedding
from elmo_tagger.tagger.encoders import build_rnn
from elmo_tagger.tagger.feedforward import build_activation
from elmo_tagger.tagger.linear import Linear, RowProduct, is_row_wise
from elmo_tagger.tagger.vocabulary import PADDING


class PerToken(nn.Module):
    """A module under the name `_module`, which AllenNLP's wrapper `TimeDistributed` gives it in an archive."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._module = module

    def forward(self, inputs: Tensor) -> Tensor:
        """What the module makes of the inputs."""
        outputs: Tensor = self._module(inputs)
        return outputs


class CharacterEncoding(nn.Module):
    """Characters -> their vectors -> a vector for each word.

    Args:
        config: Of the embedding and of the encoder.
        characters: How many different ones there are.
        min_length: Characters to which the indexer pads at least.
    """

    def __init__(self, config: CharacterEncodingConfig, characters: int, *, min_length: int = 0) -> None:
        super().__init__()
        embedding = Embedding(config.embedding, characters)
        encoder: CnnEncoder | LastStateEncoder
        if isinstance(config.encoder, CnnConfig):
            encoder = CnnEncoder(config.encoder, min_length=min_length)
        else:
            encoder = LastStateEncoder(config.encoder, embedding.output_dim)
        self._embedding = PerToken(embedding)
        self._encoder = PerToken(encoder)
        self.output_dim = encoder.output_dim

    def forward(self, token_characters: Tensor) -> Tensor:
        """(B, T, characters of the longest word) ids, 0 at padding, to vectors (B, T, D)."""
        sentences, tokens, characters = token_characters.shape
        lengths = (token_characters != PADDING).sum(dim=2)
        # before AllenNLP 1.2.1 a window counted if it lay within the longest word of the batch; here, of the sentence
        widest = lengths.amax(dim=1, keepdim=True).expand_as(lengths)
        words = token_characters.view(-1, characters)
        vectors: Tensor = self._encoder._module(self._embedding(words), lengths.flatten(), widest.flatten())
        return vectors.view(sentences, tokens, -1)


class Convolution(nn.Conv1d):
    """PyTorch's `nn.Conv1d`; without gradients on a CPU each window is computed as if it were alone."""

    @cached_property
    def _product(self) -> ParameterCache[RowProduct]:
        return ParameterCache()

    def forward(self, input: Tensor) -> Tensor:
        """(W, D, C) vectors of characters to (W, filters, windows)."""
        if not is_row_wise(input) or not input.numel():
            return super().forward(input)
        bias = self.bias
        parameters = [self.weight] if bias is None else [self.weight, bias]
        product = self._product.of(parameters, lambda: RowProduct(self.weight.flatten(1), bias))
        windows = input.unfold(2, self.kernel_size[0], 1).transpose(1, 2)  # (W, windows, D, size)
        scores = product(windows.flatten(0, 1).flatten(1)).view(*windows.shape[:2], -1)
        return scores[..., : self.out_channels].transpose(1, 2)


class CnnEncoder(nn.Module):
    """Convolutions of several widths; of each filter the maximum over a word's windows."""

    def __init__(self, config: CnnConfig, *, min_length: int) -> None:
        super().__init__()
        self._sizes = config.ngram_filter_sizes
        self._masks_padding = config.masks_padding
        self._min_length = max(min_length, *self._sizes)
        where = "model.text_field_embedder: conv_layer_activation"
        self._activation = build_activation(config.conv_layer_activation or "relu", where)
        for number, size in enumerate(self._sizes):
            self.add_module(f"conv_layer_{number}", Convolution(config.embedding_dim, config.num_filters, size))
        self.output_dim = config.num_filters * len(self._sizes)
        self.projection_layer = Linear(self.output_dim, config.output_dim) if config.output_dim else None
        self.output_dim = config.output_dim or self.output_dim

    def forward(self, characters: Tensor, lengths: Tensor, widest: Tensor) -> Tensor:
        """Vectors of words.

        Args:
            characters: (W, C, D), the characters' vectors.
            lengths: (W,), how many characters each word has.
            widest: (W,), how many the longest word of its sentence has.

        Returns:
            (W, `output_dim`); zeros of a filter for which a word is too short.
        """
        places = torch.arange(characters.shape[1], device=characters.device)
        real = characters * (places < lengths.unsqueeze(1)).unsqueeze(-1)
        if characters.shape[1] < self._min_length:
            real = nn.functional.pad(real, (0, 0, 0, self._min_length - characters.shape[1]))
        ends = lengths if self._masks_padding else widest.clamp(min=self._min_length)
        pooled = [self._pool(number, real.transpose(1, 2), ends) for number in range(len(self._sizes))]
        vectors = torch.cat(pooled, dim=1)
        return vectors if self.projection_layer is None else self.projection_layer(vectors)

    def _pool(self, number: int, characters: Tensor, ends: Tensor) -> Tensor:
        """(W, filters), the maxima over the windows that lie before the end, 0 where there is none."""
        scores = self._activation(self.get_submodule(f"conv_layer_{number}")(characters))
        windows = ends - self._sizes[number] + 1
        counts = torch.arange(scores.shape[2], device=scores.device) < windows.unsqueeze(1)
        best: Tensor = scores.masked_fill(~counts.unsqueeze(1), -torch.inf).amax(dim=2)
        return best.masked_fill((windows < 1).unsqueeze(1), 0.0)


class LastStateEncoder(nn.Module):
    """A recurrent network's state after a word's last character, and if bidirectional after its first one read back."""

    def __init__(self, config: RnnConfig, input_dim: int) -> None:
        super().__init__()
        self._module = build_rnn(config, input_dim)
        self.output_dim = config.hidden_size * (2 if config.bidirectional else 1)

    def forward(self, characters: Tensor, lengths: Tensor, widest: Tensor) -> Tensor:
        """(W, C, D) vectors of characters and (W,) lengths to (W, `output_dim`), zeros for a word of length 0."""
        present = lengths > 0
        vectors = characters.new_zeros(len(characters), self.output_dim)
        packed = pack_padded_sequence(
            characters[present], lengths[present].cpu(), batch_first=True, enforce_sorted=False
        )
        _, state = self._module(packed)
        last = state[0] if isinstance(state, tuple) else state  # an LSTM has a memory too
        vectors[present] = last[-2 if self._module.bidirectional else -1 :].transpose(0, 1).flatten(1)
        return vectors
