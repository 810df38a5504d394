"""Training a biLM, in the order of the data's way.

Text files -> `text_blocks` -> `encoding` in `parallel` -> `word_counts` -> `vocabulary`; and -> `preparation` ->
`corpus`, the text as numbers -> `streams` or `whole_sentences` -> `batches` -> `language_model` with its `softmax`
(`log_uniform` samples, `linear_loss`) -> `perplexity`; `export` writes what was learnt.
"""

from elmo_tagger.bilm.training.batches import Encoder, LmBatch
from elmo_tagger.bilm.training.corpus import Corpus, CorpusError, Spans
from elmo_tagger.bilm.training.export import export
from elmo_tagger.bilm.training.language_model import BilmLanguageModel
from elmo_tagger.bilm.training.parallel import WorkerDiedError
from elmo_tagger.bilm.training.perplexity import Perplexity
from elmo_tagger.bilm.training.preparation import prepare, prepared
from elmo_tagger.bilm.training.streams import StreamBatches, StreamOptions
from elmo_tagger.bilm.training.vocabulary import LmVocabulary, VocabularyError
from elmo_tagger.bilm.training.whole_sentences import SentenceBatches, SentenceOptions
from elmo_tagger.bilm.training.word_counts import WordCounts, count_words

__all__ = [
    "BilmLanguageModel",
    "Corpus",
    "CorpusError",
    "Encoder",
    "LmBatch",
    "LmVocabulary",
    "Perplexity",
    "SentenceBatches",
    "SentenceOptions",
    "Spans",
    "StreamBatches",
    "StreamOptions",
    "VocabularyError",
    "WordCounts",
    "WorkerDiedError",
    "count_words",
    "export",
    "prepare",
    "prepared",
]
