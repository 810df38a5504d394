"""A batch of a language model: what it reads and what it has to predict, in the LSTM's own order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from elmo_tagger.bilm.characters import encode_words
from elmo_tagger.bilm.training.corpus import BEGIN_TYPE, END_TYPE, Corpus, Spans
from elmo_tagger.bilm.training.vocabulary import LmVocabulary

Numbers = npt.NDArray[np.int64]
FORWARD, BACKWARD = range(2)


@dataclass(frozen=True)
class LmBatch:
    """Steps of both directions; the two may read different sentences.

    Attributes:
        character_ids: (W, C) int16, of the distinct words.
        rows: (2, N) int64, rows of `character_ids`: the words read by the forward and by the backward direction,
            step by step, and within a step stream by stream.
        targets: (2, N) int64, numbers in the vocabulary: the words to predict.
        sizes: Streams of each step, never increasing; their sum is N.
        carried: Whether the streams go on where those of the batch before stopped.
    """

    character_ids: Tensor
    rows: Tensor
    targets: Tensor
    sizes: list[int]
    carried: bool

    @property
    def words(self) -> int:
        """Words to predict, of each direction."""
        return self.targets.shape[1]


class Encoder:
    """Makes batches of places in a corpus.

    Args:
        corpus: The text.
        vocabulary: The words to predict.
        max_characters: C, from the biLM's options.
    """

    def __init__(self, corpus: Corpus, vocabulary: LmVocabulary, *, max_characters: int) -> None:
        self._tokens = corpus.tokens
        self._words = corpus.words
        # each word's characters once it was met; what was not takes no memory
        self._characters = np.zeros((len(corpus.words), max_characters), dtype=np.int16)
        self._counts = corpus.counts
        self._predicted = vocabulary.numbers(corpus.words)

    def counts(self, words: int) -> Numbers:
        """How often the text has each of the vocabulary's words, (words,)."""
        return np.bincount(self._predicted, weights=self._counts, minlength=words).astype(np.int64)

    def batch(
        self, spans: tuple[Spans, Spans], steps: tuple[Numbers, Numbers], *, sizes: list[int], carried: bool
    ) -> LmBatch:
        """Batch of steps within sentences.

        Args:
            spans: For each direction the sentence of each of its N steps.
            steps: For each direction (N,), which step within the sentence it is, from 0: a sentence of n words has
                n + 1 steps, since the boundary before it is read and the one after it predicted.
            sizes: See `LmBatch`.
            carried: See `LmBatch`.
        """
        pairs = [
            self._read(own, step, direction) for direction, (own, step) in enumerate(zip(spans, steps, strict=True))
        ]
        words, rows = np.unique(np.stack([read for read, _ in pairs]), return_inverse=True)
        predicted = self._predicted[np.stack([target for _, target in pairs])]
        return LmBatch(
            character_ids=torch.from_numpy(self._characters_of(words)),
            rows=torch.from_numpy(rows.reshape(predicted.shape)),
            targets=torch.from_numpy(predicted),
            sizes=sizes,
            carried=carried,
        )

    def _characters_of(self, words: Numbers) -> npt.NDArray[np.int16]:
        """Character ids (W, C) of words of the corpus."""
        new = words[self._characters[words, 0] == 0]  # no word begins with 0
        if len(new):
            own = [self._words[word] for word in new]
            self._characters[new] = encode_words(own, max_characters=self._characters.shape[1])
        return self._characters[words]

    def _read(self, spans: Spans, step: Numbers, direction: int) -> tuple[Numbers, Numbers]:
        """Words read and words to predict, (N,) each, as numbers of the corpus.

        The backward direction reads a sentence from its end: `</S>` first, and `<S>` is its last word to predict.
        """
        first, last = (BEGIN_TYPE, END_TYPE) if direction == FORWARD else (END_TYPE, BEGIN_TYPE)
        sign = 1 if direction == FORWARD else -1
        origin = spans.starts if direction == FORWARD else spans.starts + spans.lengths - 1
        target = np.where(step == spans.lengths, last, self._token(origin + sign * step))
        read = np.where(step == 0, first, self._token(origin + sign * (step - 1)))
        return read, target

    def _token(self, places: Numbers) -> Numbers:
        # places beside the sentence, which a boundary replaces, may lie beside the text
        return self._tokens[np.clip(places, 0, len(self._tokens) - 1)].astype(np.int64)
