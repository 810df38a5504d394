"""The character CNN of weights that stay as they are, on a CPU: what `CharacterCnn` computes, faster."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from elmo_tagger.bilm.char_cnn import CharacterCnn
from elmo_tagger.bilm.cpu.prepacked_linear import PrepackedLinear
from elmo_tagger.bilm.factors import Factor, Factors
from elmo_tagger.bilm.precision import product_dtype


class FrozenCnn:
    """Characters of words -> vectors, in place where it can be.

    Where weights are packed and multiplied as float32 (`PrepackedLinear`), a word's vector is the same to the last bit
    whatever words are beside it: it is stored and used in other batches, and a sentence must not depend on which one
    had its words first.

    Args:
        cnn: The character CNN.
        precision: One of `PRECISIONS` but `auto`; what is between products has the parameters' type.
    """

    def __init__(self, cnn: CharacterCnn, *, precision: str) -> None:
        self._dtype = dtype = product_dtype(precision, cnn.b_proj.dtype, "cpu")
        self.char_embed = cnn.char_embed
        self._activate = torch.relu_ if cnn.options.activation == "relu" else torch.tanh_
        self._widths = [width for width, _ in cnn.options.filters]

        def product(part: Factors, weight: str, bias: str | None = None) -> PrepackedLinear:
            factor = part.rounded(weight, precision)
            if weight == "W_cnn":
                factor = Factor(factor.values.flatten(0, 2))
            return PrepackedLinear(factor, None if bias is None else getattr(part, bias), dtype=dtype)

        convolutions, highways = cast("list[Factors]", [*cnn.convolutions]), cast("list[Factors]", [*cnn.highways])
        self._filters = [product(convolution, "W_cnn") for convolution in convolutions]
        self._filter_bias = torch.cat(
            [part.detach() for name, part in cnn.named_parameters() if name.endswith(".b_cnn")]
        )
        self._highways = [
            (product(highway, "W_carry", "b_carry"), product(highway, "W_transform", "b_transform"))
            for highway in highways
        ]
        self._projection = product(cnn, "W_proj", "b_proj")

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
