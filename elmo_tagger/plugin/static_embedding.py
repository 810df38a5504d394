"""Static word vectors beside the biLM's: the rows of the vocabulary's words, kept in the archive."""

import logging
from dataclasses import replace
from typing import Any, Dict, Optional

import torch
from allennlp.common import FromParams
from allennlp.common.checks import ConfigurationError
from allennlp.common.file_utils import cached_path
from allennlp.data import Vocabulary

from elmo_tagger.tagger.embedding import StaticEmbedding as StaticRows
from elmo_tagger.text.static_vectors import load_vectors

logger = logging.getLogger(__name__)

SPECIAL = 2
"""Ids of the vocabulary that are no words: padding and out of vocabulary."""
NO_WORD = "\n"
"""Asked for to get the row of what has no vector: no line of a file holds it."""


class StaticEmbedding(StaticRows, FromParams):
    """Rows of a vector file for the words of a vocabulary namespace.

    Row 1, out of vocabulary, and words without a vector are what `oov` says.

    Args:
        vocab: Holds the words.
        namespace: Where; the indexer's `static_namespace`.
        pretrained_file: Text vectors (GloVe, word2vec, fastText), also .gz. In an archive the rows are in the weights
            and no file is read.
        trainable: Whether training changes the rows.
        lowercase_fallback: Whether a word that the file lacks takes the vector of its lower-case form.
        oov: `"zero"`, `"random"` or `"mean"`.
        dropout: On the vectors.
        trained_dims: Widths by namespace, where no file tells; given by the embedder when it builds a trained model.
    """

    def __init__(
        self,
        vocab: Vocabulary,
        namespace: str,
        pretrained_file: Optional[str] = None,
        trainable: bool = False,
        lowercase_fallback: bool = True,
        oov: str = "zero",
        dropout: float = 0.0,
        trained_dims: Optional[Dict[str, int]] = None,
    ) -> None:
        reading = {"lowercase_fallback": lowercase_fallback, "oov": oov}
        size = vocab.get_vocab_size(namespace)
        if vocab.get_index_to_token_vocabulary(namespace).get(0) != vocab._padding_token:
            raise ConfigurationError(
                f"static: namespace {namespace!r} has no padding in the vocabulary (AllenNLP keeps such names for tags "
                'and labels): expected another name, such as "static_words"'
            )
        if size <= SPECIAL:
            raise ConfigurationError(
                f"the vocabulary has no words in namespace {namespace!r}: give the elmo_hdf5 indexer "
                f'"static_namespace": "{namespace}"'
            )
        if pretrained_file is not None:
            rows = _read(vocab, namespace, pretrained_file, first=0, **reading)
        elif trained_dims and namespace in trained_dims:
            rows = torch.zeros(size, trained_dims[namespace])
        else:
            raise ConfigurationError("static: pretrained_file is missing")
        super().__init__(rows, trainable=trainable, dropout=dropout)
        self._namespace = namespace
        self._reading = reading

    @property
    def namespace(self) -> str:
        """Of its words."""
        return self._namespace

    def extend_vocab(
        self,
        extended_vocab: Vocabulary,
        vocab_namespace: Optional[str] = None,
        extension_pretrained_file: Optional[str] = None,
        model_path: Optional[str] = None,
    ) -> None:
        """Adds rows for words that the vocabulary has gained; AllenNLP calls it on every embedding of a model.

        Args:
            extended_vocab: The vocabulary now.
            vocab_namespace: Ignored: the namespace is known.
            extension_pretrained_file: Vectors of the new words; without it they get the row of what is out
                of vocabulary.
            model_path: Ignored.
        """
        missing = extended_vocab.get_vocab_size(self._namespace) - len(self.weight)
        if missing <= 0:
            return
        if extension_pretrained_file is None:
            rows = self.weight.detach()[1:2].expand(missing, -1)
        else:
            rows = _read(
                extended_vocab, self._namespace, extension_pretrained_file, first=len(self.weight), **self._reading
            ).to(self.weight)
        self.weight = torch.nn.Parameter(torch.cat([self.weight.detach(), rows]), self.weight.requires_grad)


def _read(vocab: Vocabulary, namespace: str, file: str, *, first: int, **reading: Any) -> torch.Tensor:
    """Rows of the words from id `first` on."""
    names = vocab.get_index_to_token_vocabulary(namespace)
    # The vocabulary's padding and out-of-vocabulary tokens are no words of the file.
    words = [names[index] for index in range(max(first, SPECIAL), len(names))]
    vectors = load_vectors(cached_path(file), [*words, NO_WORD], **reading)
    found = replace(vectors.coverage, missing=vectors.coverage.missing - 1)
    logger.info("Static vectors %s: %s", file, found)
    rows = torch.from_numpy(vectors.matrix)
    words_rows, oov_row = rows[:-1], rows[-1:]
    return words_rows if first else torch.cat([torch.zeros_like(oov_row), oov_row, words_rows])
