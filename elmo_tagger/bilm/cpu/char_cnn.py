"""The character CNN of weights that stay as they are, on a CPU: what `CharacterCnn` computes, faster."""

from __future__ import annotations

import torch
from torch import Tensor

from elmo_tagger.bilm.char_cnn import CharacterCnn
from elmo_tagger.bilm.cpu.prepacked_linear import PrepackedLinear


class FrozenCnn:
    """Characters of words -> vectors, in place where it can be.

    Where weights are packed and multiplied as float32 (`PrepackedLinear`), a word's vector is the same to the last bit
    whatever words are beside it: it is stored and used in other batches, and a sentence must not depend on which one
    had its words first.

    Args:
        cnn: The character CNN.
        dtype: Of the products' factors; all else has the parameters' type.
    """

    def __init__(self, cnn: CharacterCnn, *, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self.char_embed = cnn.char_embed
        self._activate = torch.relu_ if cnn.options.activation == "relu" else torch.tanh_
        self._widths = [width for width, _ in cnn.options.filters]
        weights = dict(cnn.named_parameters())

        def product(weight: str, bias: str) -> PrepackedLinear:
            return PrepackedLinear(weights[weight], weights[bias], dtype=dtype)

        convolutions = [f"convolutions.{i}" for i in range(len(self._widths))]
        self._filters = [PrepackedLinear(weights[f"{name}.W_cnn"].flatten(0, 2), dtype=dtype) for name in convolutions]
        self._filter_bias = torch.cat([weights[f"{name}.b_cnn"].detach() for name in convolutions])
        self._highways = [
            (product(f"{name}.W_carry", f"{name}.b_carry"), product(f"{name}.W_transform", f"{name}.b_transform"))
            for name in (f"highways.{i}" for i in range(cnn.options.n_highway))
        ]
        self._projection = product("W_proj", "b_proj")

    def pool(self, characters: Tensor) -> Tensor:
        """As `CharacterCnn.pool`."""
        narrow = characters.to(self._dtype)
        pooled = [
            _largest(narrow, width, filters).to(characters.dtype)
            for width, filters in zip(self._widths, self._filters, strict=True)
        ]
        return self._activate(torch.cat(pooled, dim=-1).add_(self._filter_bias))

    def transform(self, vectors: Tensor) -> Tensor:
        """As `CharacterCnn.transform`; overwrites `vectors`."""
        for carry, transform in self._highways:
            vectors.lerp_(transform(vectors).relu_(), _sigmoid(carry(vectors)))
        return self._projection(vectors)


def _sigmoid(values: Tensor) -> Tensor:
    """The logistic function, in place.

    PyTorch's own computes the last few numbers of a tensor otherwise than those before them, so that a word's vector
    would depend on its place.
    """
    return values.neg_().exp_().add_(1.0).reciprocal_()


def _largest(characters: Tensor, width: int, filters: PrepackedLinear) -> Tensor:
    """The largest value (W, count) of each filter of one width over the word."""
    windows = characters.shape[1] - width + 1
    unfolded = characters.unfold(1, width, 1).transpose(2, 3).reshape(len(characters) * windows, -1)
    return filters(unfolded).view(len(characters), windows, -1).amax(dim=1)
