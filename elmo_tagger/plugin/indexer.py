"""`elmo_hdf5`, the token indexer: character ids, and the ids of static words beside them."""

from typing import Any, Dict, List, Optional

import numpy as np
import torch
from allennlp.data.token_indexers.token_indexer import IndexedTokenList, TokenIndexer
from allennlp.data.tokenizers import Token
from allennlp.data.vocabulary import Vocabulary

from elmo_tagger.bilm.characters import encode_words

PADDING = 0
"""Character ids and word ids where there is no token; every character of a token is above 0."""
OUT_OF_VOCABULARY = 1
"""AllenNLP's id of words that the vocabulary lacks."""


@TokenIndexer.register("elmo_hdf5")
class ElmoHdf5Indexer(TokenIndexer):
    """Gives the tensors `elmo_tokens` (B, T, C) int16 and, with a `static_namespace`, `static_ids` (B, T) int64.

    Args:
        static_namespace: Vocabulary namespace of the words that have static vectors; the one that the embedder's
            `static` names. By default there are none.
        max_characters_per_token: C, as in the biLM's options.
        token_min_padding_length: Pad to at least this many tokens.
    """

    def __init__(
        self,
        static_namespace: Optional[str] = None,
        max_characters_per_token: int = 50,
        token_min_padding_length: int = 0,
    ) -> None:
        super().__init__(token_min_padding_length)
        self._static_namespace = static_namespace
        self._max_characters = max_characters_per_token

    def count_vocab_items(self, token: Token, counter: Dict[str, Dict[str, int]]) -> None:
        """Counts the word, if static words are wanted; characters need no vocabulary."""
        if self._static_namespace is not None:
            counter[self._static_namespace][token.ensure_text()] += 1

    def tokens_to_indices(self, tokens: List[Token], vocabulary: Vocabulary) -> IndexedTokenList:
        """One row of character ids a word, and the word's id."""
        words = _words(tokens)
        indexed: Dict[str, Any] = {"elmo_tokens": encode_words(words, max_characters=self._max_characters)}
        if self._static_namespace is not None:
            namespace = self._static_namespace
            ids = (vocabulary.get_token_index(word, namespace) for word in words)
            # A word that is spelt like the vocabulary's padding is a word all the same.
            indexed["static_ids"] = [OUT_OF_VOCABULARY if index == PADDING else index for index in ids]
        return indexed

    def as_padded_tensor_dict(
        self, tokens: IndexedTokenList, padding_lengths: Dict[str, int]
    ) -> Dict[str, torch.Tensor]:
        """Pads to the lengths asked for."""
        padded = {}
        for name, rows in tokens.items():
            array = np.asarray(rows, dtype=np.int16 if name == "elmo_tokens" else np.int64)[: padding_lengths[name]]
            filled = np.zeros((padding_lengths[name], *array.shape[1:]), dtype=array.dtype)  # 0 is PADDING
            filled[: len(array)] = array
            padded[name] = torch.from_numpy(filled)
        return padded

    def get_empty_token_list(self) -> IndexedTokenList:
        """No tokens."""
        empty: Dict[str, Any] = {"elmo_tokens": np.zeros((0, self._max_characters), dtype=np.int16)}
        if self._static_namespace is not None:
            empty["static_ids"] = []
        return empty


def _words(tokens: List[Token]) -> List[str]:
    words = [token.text for token in tokens]
    if None in words:
        tokens[words.index(None)].ensure_text()  # refuses
    return words  # type: ignore[return-value]
