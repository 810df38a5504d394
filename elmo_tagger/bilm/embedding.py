"""What TF-Hub's ELMo module took and gave: strings or lists of words, and five outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from elmo_tagger.bilm.pooling import pool
from elmo_tagger.text import split_at_spaces


@dataclass(frozen=True)
class Embedding:
    """The outputs of TF-Hub's module; 0 at padding.

    Attributes:
        word_emb: (B, T, P), the character CNN's vectors, which know no context.
        lstm_outputs: For each LSTM layer (B, T, 2P), the lowest first.
        elmo: (B, T, D), the layers' combination: D is 2P for a mix of them.
        default: (B, D), the mean of `elmo` over a sentence's words.
        mask: (B, T) bool, true where there is a word.

    Source: https://tfhub.dev/google/elmo/3, "Outputs".
    """

    word_emb: Tensor
    lstm_outputs: tuple[Tensor, ...]
    elmo: Tensor
    default: Tensor
    mask: Tensor

    @classmethod
    def of(cls, layers: Sequence[Tensor], mask: Tensor, *, elmo: Tensor) -> Embedding:
        """The outputs from a biLM's layers.

        Args:
            layers: L tensors (B, T, 2P), the character CNN's first, which holds its values twice.
            mask: (B, T) bool.
            elmo: (B, T, D), their combination.
        """
        elmo = elmo * mask.unsqueeze(-1)
        return cls(
            word_emb=layers[0][..., : layers[0].shape[-1] // 2],
            lstm_outputs=tuple(layers[1:]),
            elmo=elmo,
            default=pool(elmo, mask, "mean"),
            mask=mask,
        )

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


def words_of(sentences: Sequence[str] | Sequence[Sequence[str]], lengths: Sequence[int] | None) -> list[list[str]]:
    """The words of sentences given as for `Bilm.embed`.

    Raises:
        ValueError: `lengths` do not fit, or `sentences` is a string.
    """
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
