"""The indexer beside AllenNLP's, and the tensors of batches."""

import pytest
import torch
from allennlp.common.checks import ConfigurationError
from allennlp.data import Instance, Vocabulary
from allennlp.data.batch import Batch
from allennlp.data.fields import TextField
from allennlp.data.token_indexers import ELMoTokenCharactersIndexer
from allennlp.data.tokenizers import Token

from elmo_tagger.plugin.indexer import ElmoHdf5Indexer
from elmo_tagger.tagger.indexers import ElmoIndexer
from elmo_tagger.tagger.vocabulary import Namespace

SENTENCES = [["The", "plane", "landed", "."], ["Yes"], ["Ünï", "can", "'t", "x" * 60, "The", "<S>"], []]


def batch(indexer: object, sentences: list[list[str]], vocabulary: Vocabulary | None = None) -> dict[str, torch.Tensor]:
    instances = [
        Instance({"tokens": TextField([Token(word) for word in words], {"elmo": indexer})}) for words in sentences
    ]
    together = Batch(instances)
    together.index_instances(vocabulary or Vocabulary())
    return together.as_tensor_dict()["tokens"]["elmo"]


def test_batches_are_those_of_the_stock_indexer() -> None:
    ours = ElmoHdf5Indexer()
    for sentences in (SENTENCES, SENTENCES[::-1], SENTENCES[:1]):
        expected = batch(ELMoTokenCharactersIndexer(), sentences)["elmo_tokens"]
        got = batch(ours, sentences)["elmo_tokens"]
        assert got.dtype == torch.int16
        assert torch.equal(got.long(), expected)


def test_static_words_beside_them() -> None:
    vocabulary = Vocabulary({"words": {"The": 3, "plane": 2}})
    indexer = ElmoHdf5Indexer(static_namespace="words", token_min_padding_length=6)
    field = TextField([Token(word) for word in SENTENCES[0]], {"elmo": indexer})
    field.index(vocabulary)
    tensors = field.as_tensor(field.get_padding_lengths())["elmo"]
    assert tensors["static_ids"].tolist() == [vocabulary.get_token_index(word, "words") for word in SENTENCES[0]] + [
        0,
        0,
    ]
    assert tensors["elmo_tokens"].shape == (6, 50)
    assert not tensors["elmo_tokens"][4:].any()


def test_a_static_word_is_found_in_any_case() -> None:
    words = ["Germany", "germany", "GERMANY", "it", "IT", "nato", "mcDonald", "McDonald", "@@PADDING@@", "Xyz"]
    vocabulary = Vocabulary({"words": {"Germany": 9, "IT": 8, "it": 7, "NATO": 6, "McDonald": 5, "GERMAN": 4}})
    known = vocabulary.get_token_to_index_vocabulary("words")
    tokens = [Token(word) for word in words]
    found = ElmoHdf5Indexer("words", static_any_case=True).tokens_to_indices(tokens, vocabulary)["static_ids"]
    as_written = ["Germany", "Germany", "Germany", "it", "IT", "NATO", None, "McDonald", None, None]
    assert found == [known.get(word, 1) for word in as_written]
    engines = ElmoIndexer(max_characters=50, static=Namespace(list(known)), any_case=True)([words])
    assert engines["static_ids"].tolist() == [found]


def test_a_sentence_of_one_case_is_read_as_the_namespace_spells_it() -> None:
    read_as = {
        "GERMANY BEAT BRAZIL 2 - 1 , SAYS NATO": "Germany beat Brazil 2 - 1 , says NATO",
        "germany beat brazil , says nato": "Germany beat Brazil , says NATO",
        "Germany BEAT BRAZIL": "Germany BEAT BRAZIL",
        "NATO BEAT 7": "NATO BEAT 7",
        "": "",
    }
    vocabulary = Vocabulary({"words": dict.fromkeys(["Germany", "Brazil", "beat", "says", "NATO", ","], 3)})
    indexers = [ElmoHdf5Indexer("words", truecase=each) for each in (True, False)]
    given, expected = (
        batch(indexer, [each.split() for each in sentences], vocabulary)
        for indexer, sentences in zip(indexers, (read_as.keys(), read_as.values()), strict=True)
    )
    known = Namespace(["@@PADDING@@", "@@UNKNOWN@@", *vocabulary.get_token_to_index_vocabulary("words")])
    engine = ElmoIndexer(max_characters=50, static=known, truecased=True)([each.split() for each in read_as])
    assert torch.equal(given["elmo_tokens"], expected["elmo_tokens"])
    assert torch.equal(given["static_ids"], expected["static_ids"])
    assert torch.equal(engine["elmo_tokens"], expected["elmo_tokens"])


def test_spelling_comes_from_static_words() -> None:
    with pytest.raises(ConfigurationError, match="truecase needs a static_namespace"):
        ElmoHdf5Indexer(truecase=True)


def test_a_token_without_text_is_refused() -> None:
    with pytest.raises(ValueError, match="text"):
        ElmoHdf5Indexer().tokens_to_indices([Token()], Vocabulary())
