"""Embedders: ids of words to vectors, one embedder for each indexer, side by side."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from elmo_tagger.tagger.character_encoders import CharacterEncoding
from elmo_tagger.tagger.config import (
    CharacterEncodingConfig,
    CharactersConfig,
    ConfigError,
    ElmoConfig,
    ElmoIndexerConfig,
    EmbedderConfig,
    EmbeddingConfig,
    EmptyConfig,
    IndexerConfig,
    PassThroughConfig,
    SingleIdConfig,
    TaggerConfig,
)
from elmo_tagger.tagger.elmo_embedder import ElmoEmbedder, build_elmo
from elmo_tagger.tagger.embedding import Embedding
from elmo_tagger.tagger.vocabulary import Vocabulary, find_namespace


class TextFieldEmbedder(nn.Module):
    """Embedders called `token_embedder_NAME`, as in AllenNLP, their vectors joined in the order of the names.

    Args:
        config: Of the tagger.
        vocabulary: Says how many words and characters there are.

    Raises:
        ConfigError: Embedders and indexers do not fit together, or a namespace is missing.
    """

    def __init__(self, config: TaggerConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        embedders, indexers = config.model.text_field_embedder.token_embedders, config.token_indexers
        used = {name for name, embedder in embedders.items() if not isinstance(embedder, EmptyConfig)}
        if not used <= set(indexers) <= set(embedders):
            raise ConfigError(
                f"expected an embedder for each indexer, received the embedders {', '.join(sorted(embedders))} and the "
                f"indexers {', '.join(sorted(indexers))}"
            )
        self._names = sorted(used)
        self.output_dim = 0
        for name in self._names:
            embedder = build_embedder(embedders[name], indexers[name], vocabulary, f"token_embedders.{name}")
            self.add_module(f"token_embedder_{name}", embedder)
            self.output_dim += embedder.output_dim

    def forward(self, indexed: Mapping[str, Mapping[str, Tensor]]) -> Tensor:
        """The tensors of each indexer, by their names, to vectors (B, T, D)."""
        parts = [self.get_submodule(f"token_embedder_{name}")(**indexed[name]) for name in self._names]
        return torch.cat(parts, dim=-1)


class PassThrough(nn.Module):
    """The indexer's numbers as they are."""

    def __init__(self, config: PassThroughConfig) -> None:
        super().__init__()
        self.output_dim = config.hidden_dim

    def forward(self, **indexed: Tensor) -> Tensor:
        """(B, T, `output_dim`) numbers of any type."""
        (numbers,) = indexed.values()
        return numbers.float()


Embedder = ElmoEmbedder | Embedding | CharacterEncoding | PassThrough

_INDEXERS: dict[type, type] = {
    ElmoConfig: ElmoIndexerConfig,
    EmbeddingConfig: SingleIdConfig,
    CharacterEncodingConfig: CharactersConfig,
}


def build_embedder(config: EmbedderConfig, indexer: IndexerConfig, vocabulary: Vocabulary, where: str) -> Embedder:
    """The embedder of a config.

    Args:
        config: Of the embedder.
        indexer: Of the indexer that it follows.
        vocabulary: Says how many words and characters there are.
        where: The place in the config, for messages.

    Raises:
        ConfigError: It does not fit the indexer, or a namespace is missing.
    """
    expected = _INDEXERS.get(type(config), object)
    if not isinstance(indexer, expected):
        raise ConfigError(f"{where}: the embedder {config.type} cannot read what the indexer {indexer.type} gives")
    if isinstance(config, ElmoConfig):
        assert isinstance(indexer, ElmoIndexerConfig)
        return build_elmo(config, indexer, vocabulary, where)
    if isinstance(config, EmbeddingConfig):
        assert isinstance(indexer, SingleIdConfig)
        return Embedding(config, _size(config, indexer, vocabulary, where))
    if isinstance(config, CharacterEncodingConfig):
        assert isinstance(indexer, CharactersConfig)
        size = _size(config.embedding, indexer, vocabulary, f"{where}.embedding")
        return CharacterEncoding(config, size, min_length=indexer.min_padding_length)
    assert isinstance(config, PassThroughConfig)  # an empty one is not built
    return PassThrough(config)


def _size(
    config: EmbeddingConfig, indexer: SingleIdConfig | CharactersConfig, vocabulary: Vocabulary, where: str
) -> int:
    """How many ids an embedding knows."""
    size = config.num_embeddings
    if size is None:
        size = len(find_namespace(vocabulary, config.vocab_namespace, f"{where}.vocab_namespace"))
    in_bytes = isinstance(indexer, CharactersConfig) and indexer.character_tokenizer.byte_encoding is not None
    ids = 0 if in_bytes else len(vocabulary.get(indexer.namespace, ()))
    if size < ids:
        raise ConfigError(
            f"{where}: expected {ids} embeddings, as {indexer.namespace!r} has in the vocabulary, not {size}"
        )
    return size
