"""The AllenNLP coat: one file per registered thing. Importing it registers them all."""

from elmo_tagger.plugin import compat, plain_errors
from elmo_tagger.plugin.embedder import ElmoHdf5Embedder
from elmo_tagger.plugin.indexer import ElmoHdf5Indexer
from elmo_tagger.plugin.metric import EntityF1
from elmo_tagger.plugin.model import ElmoBilstmCrf
from elmo_tagger.plugin.predictor import EntitiesPredictor
from elmo_tagger.plugin.reader import ConllColumnsReader

__all__ = [
    "ConllColumnsReader",
    "ElmoBilstmCrf",
    "ElmoHdf5Embedder",
    "ElmoHdf5Indexer",
    "EntitiesPredictor",
    "EntityF1",
    "compat",
    "plain_errors",
]

plain_errors.install()
