"""Words to ids: what the embedders take, for a batch of sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from elmo_tagger.bilm.characters import encode_sentences
from elmo_tagger.tagger.config import (
    CharactersConfig,
    CharacterTokenizerConfig,
    ElmoIndexerConfig,
    IndexerConfig,
    SingleIdConfig,
)
from elmo_tagger.tagger.json_fields import ConfigError
from elmo_tagger.tagger.vocabulary import PADDING, Namespace, Vocabulary, find_namespace, truecase

Sentences = Sequence[Sequence[str]]
Indexed = dict[str, Tensor]
"""The tensors of one indexer, by AllenNLP's names for them."""
Indexer = Callable[[Sentences], Indexed]

_REMEMBERED_WORDS = 2**16


def build_indexers(configs: Mapping[str, IndexerConfig], vocabulary: Vocabulary) -> dict[str, Indexer]:
    """The indexers of a tagger, by name.

    Raises:
        ConfigError: One needs a namespace that the vocabulary lacks.
    """
    return {name: _build(config, vocabulary, f"token_indexers.{name}") for name, config in configs.items()}


def _build(config: IndexerConfig, vocabulary: Vocabulary, where: str) -> Indexer:
    if isinstance(config, ElmoIndexerConfig):
        static = None
        if config.static_namespace is not None:
            static = find_namespace(vocabulary, config.static_namespace, f"{where}.static_namespace")
        elif config.truecase:
            raise ConfigError(f"{where}.truecase: needs a static_namespace, whose spelling of words it takes")
        return ElmoIndexer(
            max_characters=config.max_characters_per_token,
            static=static,
            any_case=config.static_any_case,
            truecased=config.truecase,
        )
    if isinstance(config, SingleIdConfig):
        namespace = find_namespace(vocabulary, config.namespace, f"{where}.namespace")
        return SingleIdIndexer(namespace, lowercase=config.lowercase_tokens)
    return CharactersIndexer(config, vocabulary)


class ElmoIndexer:
    """`elmo_tokens` (B, T, C) int16, the biLM's character ids, and with static words `static_ids` (B, T) int64."""

    def __init__(
        self, *, max_characters: int, static: Namespace | None, any_case: bool = False, truecased: bool = False
    ) -> None:
        self._max_characters = max_characters
        self._static = static
        self._any_case = any_case
        self._truecased = truecased

    def __call__(self, sentences: Sentences) -> Indexed:
        """The ids of a batch."""
        if self._static is not None and self._truecased:
            sentences = [truecase(self._static.ids, sentence) for sentence in sentences]
        characters = encode_sentences(sentences, max_characters=self._max_characters)
        indexed = {"elmo_tokens": torch.from_numpy(characters)}
        if self._static is not None:
            rows = (self._static.encode(sentence, any_case=self._any_case) for sentence in sentences)
            indexed["static_ids"] = _padded(rows, sentences)
        return indexed


class SingleIdIndexer:
    """`tokens` (B, T) int64."""

    def __init__(self, namespace: Namespace, *, lowercase: bool) -> None:
        self._namespace = namespace
        self._lowercase = lowercase

    def __call__(self, sentences: Sentences) -> Indexed:
        """The ids of a batch."""
        words = [[word.lower() for word in sentence] for sentence in sentences] if self._lowercase else sentences
        return {"tokens": _padded(map(self._namespace.encode, words), sentences)}


class CharactersIndexer:
    """`token_characters` (B, T, characters of the longest word) int64."""

    def __init__(self, config: CharactersConfig, vocabulary: Vocabulary) -> None:
        self._min_length = config.min_padding_length
        self._encode = lru_cache(_REMEMBERED_WORDS)(_character_encoder(config, vocabulary))

    def __call__(self, sentences: Sentences) -> Indexed:
        """The ids of a batch."""
        words = [[self._encode(word) for word in sentence] for sentence in sentences]
        longest = max((len(word) for sentence in words for word in sentence), default=0)
        width = max((len(sentence) for sentence in words), default=0)
        ids = np.full((len(words), width, max(longest, self._min_length)), PADDING, dtype=np.int64)
        for row, sentence in enumerate(words):
            for place, word in enumerate(sentence):
                ids[row, place, : len(word)] = word
        return {"token_characters": torch.from_numpy(ids)}


def _character_encoder(config: CharactersConfig, vocabulary: Vocabulary) -> Callable[[str], list[int]]:
    """From a word to the ids of its characters, as AllenNLP's `CharacterTokenizer` and indexer."""
    tokenizer = config.character_tokenizer
    namespace = vocabulary.get(config.namespace, Namespace(()))

    def ids(tokens: Iterable[str | int]) -> list[int]:
        # a number stands for itself
        return [each if isinstance(each, int) else namespace.encode([each])[0] for each in tokens]

    before, after = ids(tokenizer.start_tokens), ids(tokenizer.end_tokens)

    def encode(word: str) -> list[int]:
        if tokenizer.lowercase_characters:
            word = word.lower()
        return [*before, *_inner(word, tokenizer, namespace), *after]

    return encode


def _inner(word: str, tokenizer: CharacterTokenizerConfig, namespace: Namespace) -> list[int]:
    if tokenizer.byte_encoding is None:
        return namespace.encode(word)
    # 0 is padding; lone surrogates are no text in any encoding
    return [byte + 1 for byte in word.encode(tokenizer.byte_encoding, "ignore")]


def _padded(rows: Iterable[list[int]], sentences: Sentences) -> Tensor:
    """(B, T) int64, padded at the end."""
    width = max(map(len, sentences), default=0)
    ids = np.full((len(sentences), width), PADDING, dtype=np.int64)
    for target, row in zip(ids, rows, strict=True):
        target[: len(row)] = row
    return torch.from_numpy(ids)
