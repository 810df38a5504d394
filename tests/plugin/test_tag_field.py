"""The field of tags beside its parent, AllenNLP's."""

import pickle
from collections import defaultdict

import pytest
import torch
from allennlp.common.checks import ConfigurationError
from allennlp.data import Vocabulary
from allennlp.data.fields import SequenceLabelField, TextField
from allennlp.data.tokenizers import Token

from elmo_tagger.plugin.tag_field import TagField

TAGS = ["B-PER", "O", "O", "U-LOC"]


def fields(labels: list, namespace: str = "labels") -> list[SequenceLabelField]:
    text = TextField([Token(str(label)) for label in labels])
    return [kind(labels, text, namespace) for kind in (TagField, SequenceLabelField)]


def vocabulary(tags: list[str] = TAGS, namespace: str = "labels") -> Vocabulary:
    return Vocabulary({namespace: dict.fromkeys(tags, 1)})


@pytest.mark.parametrize("length", [0, 2, 4, 6])
@pytest.mark.parametrize("labels", [TAGS, [3, 0, 2, 1], []])
def test_the_parents_tensors(labels: list, length: int) -> None:
    ours, stock = fields(labels)
    for field in (ours, stock):
        field.index(vocabulary())
    for field in (ours, pickle.loads(pickle.dumps(ours)), ours.duplicate()):
        got, expected = (each.as_tensor({"num_tokens": length}) for each in (field, stock))
        assert type(field) is TagField
        assert got.dtype == expected.dtype
        assert torch.equal(got, expected)


@pytest.mark.parametrize("labels", [TAGS, [3, 0, 2, 1], []])
def test_the_parents_counts(labels: list) -> None:
    ours, stock = (defaultdict(lambda: defaultdict(int)) for _ in range(2))
    for counter, field in zip((ours, stock), fields(labels, "tags"), strict=True):
        field.count_vocab_items(counter)
        field.count_vocab_items(counter)
    assert ours == stock


def test_an_unknown_tag_has_the_vocabularys_id_for_such() -> None:
    ours, stock = fields(TAGS, "words")
    for field in (ours, stock):
        field.index(vocabulary(["O"], "words"))
    assert ours._indexed_labels == stock._indexed_labels == [1, 2, 2, 1]


def test_the_parents_errors() -> None:
    for field in fields(TAGS):
        with pytest.raises(KeyError, match=r"'U-LOC' not found in vocab namespace 'labels'"):
            field.index(vocabulary(TAGS[:2]))
        with pytest.raises(ConfigurationError, match=r"^You must call \.index\(vocabulary\) on a field"):
            field.as_tensor({"num_tokens": 4})
