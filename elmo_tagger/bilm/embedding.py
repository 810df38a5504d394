"""Sentences to the five outputs that TF-Hub's ELMo module names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from elmo_tagger.bilm.characters import encode_sentences
from elmo_tagger.bilm.device import to_device
from elmo_tagger.bilm.mixing import ScalarMix
from elmo_tagger.bilm.pooling import pool
from elmo_tagger.text import split_at_spaces

if TYPE_CHECKING:
    from elmo_tagger.bilm.model import Bilm


@dataclass(frozen=True)
class Embedding:
    """The outputs of TF-Hub's module; 0 at padding.

    Attributes:
        word_emb: (B, T, P), the character CNN's vectors, which know no context.
        lstm_outputs: For each LSTM layer (B, T, 2P), the lowest first.
        elmo: (B, T, 2P), the mix of all layers.
        default: (B, 2P), the mean of `elmo` over a sentence's words.
        mask: (B, T) bool, true where there is a word.

    Source: https://tfhub.dev/google/elmo/3, "Outputs".
    """

    word_emb: Tensor
    lstm_outputs: tuple[Tensor, ...]
    elmo: Tensor
    default: Tensor
    mask: Tensor

    @property
    def lstm_outputs1(self) -> Tensor:
        """(B, T, 2P), the first LSTM layer's vectors."""
        return self._lstm(1)

    @property
    def lstm_outputs2(self) -> Tensor:
        """(B, T, 2P), the second LSTM layer's vectors."""
        return self._lstm(2)

    def _lstm(self, number: int) -> Tensor:
        if number > len(self.lstm_outputs):
            raise ValueError(
                f"lstm_outputs{number}: expected a biLM with that layer, this one has {len(self.lstm_outputs)}"
            )
        return self.lstm_outputs[number - 1]


def embed(
    bilm: Bilm,
    sentences: Sequence[str] | Sequence[Sequence[str]],
    lengths: Sequence[int] | None = None,
    *,
    mix: ScalarMix | None = None,
) -> Embedding:
    """Embed sentences, each independently of the others.

    No gradients are recorded in the biLM, but in a mix that is given.

    Args:
        bilm: A stateless biLM.
        sentences: Strings, split at spaces, or lists of words.
        lengths: For lists of words, how many of each count; all by default. As TF-Hub's `tokens`, whose lists are
            filled to one length.
        mix: Of the layers; an even one by default, as TF-Hub's before training.

    Raises:
        ValueError: The biLM is stateful, or `lengths` do not fit.
    """
    if bilm.stateful:
        raise ValueError("expected a stateless biLM: this one's vectors depend on the sentences before")
    words = _words(sentences, lengths)
    device = bilm.char_cnn.char_embed.device
    limit = bilm.options.char_cnn.max_characters_per_token
    ids = to_device(torch.from_numpy(encode_sentences(words, max_characters=limit)), device)
    with torch.no_grad():
        output = bilm(ids)
    layers = [output.layers[number] for number in range(bilm.num_layers)]
    mix = ScalarMix(bilm.num_layers, trainable=False).to(device) if mix is None else mix
    elmo: Tensor = mix(layers, output.mask) * output.mask.unsqueeze(-1)
    return Embedding(
        word_emb=layers[0][..., : bilm.output_dim // 2],
        lstm_outputs=tuple(layers[1:]),
        elmo=elmo,
        default=pool(elmo, output.mask, "mean"),
        mask=output.mask,
    )


def _words(sentences: Sequence[str] | Sequence[Sequence[str]], lengths: Sequence[int] | None) -> list[list[str]]:
    if isinstance(sentences, str):
        raise ValueError(f"sentences: expected a list of sentences, received the string {sentences[:40]!r}")
    kinds = {isinstance(sentence, str) for sentence in sentences}
    if len(kinds) > 1:
        raise ValueError("sentences: expected all strings or all lists of words, received both")
    if lengths is None:
        return [split_at_spaces(each).tokens if isinstance(each, str) else list(each) for each in sentences]
    if True in kinds:
        raise ValueError("lengths: expected them with lists of words only, received strings")
    if len(lengths) != len(sentences):
        raise ValueError(f"lengths: expected {len(sentences)}, one a sentence, received {len(lengths)}")
    for number, (sentence, length) in enumerate(zip(sentences, lengths, strict=True)):
        if not 0 <= length <= len(sentence):
            raise ValueError(
                f"lengths: expected 0 to {len(sentence)} for sentence {number}, which has {len(sentence)} words, "
                f"received {length}"
            )
    return [list(sentence[:length]) for sentence, length in zip(sentences, lengths, strict=True)]
