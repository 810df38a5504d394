"""A vector for each id."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from elmo_tagger.tagger.config import EmbeddingConfig
from elmo_tagger.tagger.linear import Linear
from elmo_tagger.tagger.vocabulary import PADDING


class Embedding(nn.Module):
    """Rows of a matrix, projected if the config says so.

    Args:
        config: Widths.
        size: How many ids there are.
    """

    def __init__(self, config: EmbeddingConfig, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size, config.embedding_dim))
        self.output_dim = config.projection_dim or config.embedding_dim
        self._projection = Linear(config.embedding_dim, self.output_dim) if config.projection_dim else None

    def forward(self, tokens: Tensor) -> Tensor:
        """Ids (...) to vectors (..., `output_dim`)."""
        vectors = nn.functional.embedding(tokens, self.weight)
        return vectors if self._projection is None else self._projection(vectors)


class StaticEmbedding(nn.Module):
    """Static word vectors: row 0, padding, is 0; row 1 is that of words without a vector.

    Args:
        rows: (words, D).
        trainable: Whether training changes them.
        dropout: On the vectors.
    """

    def __init__(self, rows: Tensor, *, trainable: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(rows, requires_grad=trainable)
        self.dropout = nn.Dropout(dropout)

    @property
    def dim(self) -> int:
        """D, the width of a vector."""
        return self.weight.shape[1]

    def forward(self, ids: Tensor) -> Tensor:
        """Word ids (B, T) to vectors (B, T, D)."""
        vectors: Tensor = self.dropout(nn.functional.embedding(ids, self.weight, padding_idx=PADDING))
        return vectors
