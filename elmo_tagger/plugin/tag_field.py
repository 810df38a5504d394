"""AllenNLP's field of tags, without its calls for every single tag."""

from typing import Dict

import numpy as np
import torch
from allennlp.data.fields import SequenceLabelField
from allennlp.data.vocabulary import Vocabulary


class TagField(SequenceLabelField):
    """A `SequenceLabelField` that indexes and makes its tensor in one go; the result is its parent's."""

    __slots__ = []

    def count_vocab_items(self, counter: Dict[str, Dict[str, int]]) -> None:
        """Counts the tags."""
        if self._indexed_labels is None:
            counts = counter[self._label_namespace]
            for tag in self.labels:
                counts[tag] += 1

    def index(self, vocab: Vocabulary) -> None:
        """Looks the tags up."""
        if self._skip_indexing:
            return
        known = vocab.get_token_to_index_vocabulary(self._label_namespace)
        try:
            self._indexed_labels = [known[tag] for tag in self.labels]
        except KeyError:
            super().index(vocab)  # takes the out-of-vocabulary id, or says what is missing

    def as_tensor(self, padding_lengths: Dict[str, int]) -> torch.Tensor:
        """Ids (T,) int64, padded with 0 or cut to the length asked for."""
        if self._indexed_labels is None:
            return super().as_tensor(padding_lengths)  # refuses
        length = padding_lengths["num_tokens"]
        # torch takes a list number by number, several times as long as NumPy does
        padded = np.zeros(length, dtype=np.int64)
        padded[: len(self._indexed_labels)] = self._indexed_labels[:length]
        return torch.from_numpy(padded)
