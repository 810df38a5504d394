"""`elmo_hdf5`, the token indexer: character ids, and the ids of static words beside them."""

from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import torch
from allennlp.common.checks import ConfigurationError
from allennlp.data.token_indexers.token_indexer import IndexedTokenList, TokenIndexer
from allennlp.data.tokenizers import Token
from allennlp.data.vocabulary import Vocabulary

from elmo_tagger.bilm.characters import encode_words
from elmo_tagger.tagger.vocabulary import id_in_any_case, truecase

OUT_OF_VOCABULARY = 1
"""AllenNLP's id of words that the vocabulary lacks."""


@TokenIndexer.register("elmo_hdf5")
class ElmoHdf5Indexer(TokenIndexer):
    """Gives the tensors `elmo_tokens` (B, T, C) int16 and, with a `static_namespace`, `static_ids` (B, T) int64.

    Args:
        static_namespace: Vocabulary namespace of the words that have static vectors; the one that the embedder's
            `static` names. By default there are none.
        static_any_case: Whether a word that the namespace lacks is looked up in lower case, then capitalised, then in
            upper case, so that GERMANY and germany have the vector of Germany. For a namespace of a vector file's words
            alone (`only_include_pretrained_words` and `min_pretrained_embeddings` of the vocabulary): AllenNLP's
            default holds training's words in each case that they had there.
        truecase: Whether a sentence all in capital or all in small letters is read as the static namespace spells its
            words: GERMANY BEAT BRAZIL as Germany beat Brazil, which a biLM knows better. For such a namespace too.
        max_characters_per_token: C, as in the biLM's options.
        token_min_padding_length: Pad to at least this many tokens.
    """

    def __init__(
        self,
        static_namespace: Optional[str] = None,
        max_characters_per_token: int = 50,
        token_min_padding_length: int = 0,
        static_any_case: bool = False,
        truecase: bool = False,
    ) -> None:
        super().__init__(token_min_padding_length)
        if truecase and static_namespace is None:
            raise ConfigurationError("elmo_hdf5: truecase needs a static_namespace, whose spelling of words it takes")
        self._truecase = truecase
        self._static_namespace = static_namespace
        self._static_any_case = static_any_case
        self._max_characters = max_characters_per_token

    def count_vocab_items(self, token: Token, counter: Dict[str, Dict[str, int]]) -> None:
        """Counts the word, if static words are wanted; characters need no vocabulary."""
        if self._static_namespace is not None:
            counter[self._static_namespace][token.ensure_text()] += 1

    def tokens_to_indices(self, tokens: List[Token], vocabulary: Vocabulary) -> IndexedTokenList:
        """One row of character ids a word, and the word's id."""
        words = _words(tokens)
        known = vocabulary.get_token_to_index_vocabulary(self._static_namespace) if self._static_namespace else {}
        if self._truecase:
            words = truecase(known, words)
        indexed: Dict[str, Any] = {"elmo_tokens": encode_words(words, max_characters=self._max_characters)}
        if self._static_namespace is not None:
            in_any_case = id_in_any_case if self._static_any_case else lambda known, word: None
            # `or`: a word that is spelt like the vocabulary's padding, 0, is a word all the same
            indexed["static_ids"] = [known.get(word) or in_any_case(known, word) or OUT_OF_VOCABULARY for word in words]
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


def _words(tokens: List[Token]) -> Sequence[str]:
    words = [token.text for token in tokens]
    if None in words:
        tokens[words.index(None)].ensure_text()  # refuses
    return words  # type: ignore[return-value]
