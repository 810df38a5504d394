"""The tags of a sentence as a field of AllenNLP's, with partial labels."""

from typing import Dict, List

import torch
from allennlp.data.fields import SequenceLabelField
from allennlp.data.fields.sequence_field import SequenceField
from allennlp.data.vocabulary import Vocabulary
from torch.nn.functional import one_hot

from elmo_tagger.tagging.schemes import UNKNOWN, alternatives


class TagsField(SequenceLabelField):
    """Tags, of which each may also be `?` or a choice such as `B-PER|B-ORG`.

    A batch without partial labels becomes ids of tags, (B, T) int64, and one with them the tags that each token may
    have, (B, T, K) bool: what `ConditionalRandomField.log_likelihood` takes. A tag of a choice that the vocabulary does
    not have is left out of it.
    """

    __slots__ = ["_allowed", "_num_tags"]

    def __init__(self, labels: List[str], sequence_field: SequenceField, label_namespace: str = "labels") -> None:
        super().__init__(labels, sequence_field, label_namespace)
        self._allowed: List[List[int]] = []  # of each token; none where no label is partial
        self._num_tags = 0

    def count_vocab_items(self, counter: Dict[str, Dict[str, int]]) -> None:
        """Counts the tags; each of a choice once, and none for an unknown label."""
        for label in self.labels:
            for tag in alternatives(label) or (label,):
                if tag != UNKNOWN:
                    counter[self._label_namespace][tag] += 1

    def index(self, vocab: Vocabulary) -> None:
        """Looks the tags up.

        Raises:
            KeyError: The vocabulary lacks a tag, or all of a choice.
        """
        if not any(map(alternatives, self.labels)):
            super().index(vocab)
            return
        self._allowed = []
        known = vocab.get_token_to_index_vocabulary(self._label_namespace)
        for label in self.labels:
            tags = alternatives(label) or (label,)
            ids = list(known.values()) if tags == (UNKNOWN,) else [known[tag] for tag in tags if tag in known]
            self._allowed.append(ids or [vocab.get_token_index(tags[0], self._label_namespace)])
        self._num_tags = len(known)

    def as_tensor(self, padding_lengths: Dict[str, int]) -> torch.Tensor:
        """(T,) int64, or (T, K) bool; on padding 0, or everything."""
        if not self._allowed:
            return super().as_tensor(padding_lengths)
        allowed = torch.ones(padding_lengths["num_tokens"], self._num_tags, dtype=torch.bool)
        for row, ids in zip(allowed, self._allowed, strict=False):  # padding has none
            row.fill_(False)
            row[ids] = True
        return allowed

    def batch_tensors(self, tensor_list: List[torch.Tensor]) -> torch.Tensor:
        """(B, T) int64, or (B, T, K) bool if a sentence has partial labels."""
        tags = next((tensor.shape[1] for tensor in tensor_list if tensor.dtype == torch.bool), None)
        if tags is None:
            return torch.stack(tensor_list)
        return torch.stack(
            [tensor if tensor.dtype == torch.bool else one_hot(tensor, tags).bool() for tensor in tensor_list]
        )
