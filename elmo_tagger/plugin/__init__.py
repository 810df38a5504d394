"""The AllenNLP adapter: importing it registers every name that a config may use, one file each.

In goes a config of AllenNLP's, out come its trained archive and its predictions. Begin with `model`
(`elmo_bilstm_crf`), then `embedder`, `indexer` and `reader`, which it is trained with; what they compute is in
`tagger`, `bilm` and `tagging`.

The files `lm_...` train a biLM, `console` and `plain_errors` decide what the `allennlp` command shows, and `compat`
lets AllenNLP 2.10.1 run on today's libraries.
"""

from elmo_tagger.plugin import compat, console, lm_checkpoint
from elmo_tagger.plugin.calibration import Calibration, calibrate_by_default
from elmo_tagger.plugin.classifier import ElmoClassifier, LabelPredictor
from elmo_tagger.plugin.embedder import ElmoHdf5Embedder
from elmo_tagger.plugin.indexer import ElmoHdf5Indexer
from elmo_tagger.plugin.lm_loader import LmStreamLoader
from elmo_tagger.plugin.lm_model import ElmoBilm
from elmo_tagger.plugin.lm_reader import LmTextReader
from elmo_tagger.plugin.lm_vocabulary import LmWords
from elmo_tagger.plugin.metric import EntityF1
from elmo_tagger.plugin.model import ElmoBilstmCrf
from elmo_tagger.plugin.pinned_loader import PinnedDataLoader
from elmo_tagger.plugin.predictor import EntitiesPredictor
from elmo_tagger.plugin.reader import ConllColumnsReader
from elmo_tagger.plugin.text_reader import TextCsvReader

__all__ = [
    "Calibration",
    "ConllColumnsReader",
    "ElmoBilm",
    "ElmoBilstmCrf",
    "ElmoClassifier",
    "ElmoHdf5Embedder",
    "ElmoHdf5Indexer",
    "EntitiesPredictor",
    "EntityF1",
    "LabelPredictor",
    "LmStreamLoader",
    "LmTextReader",
    "LmWords",
    "PinnedDataLoader",
    "TextCsvReader",
    "compat",
    "console",
    "lm_checkpoint",
]

calibrate_by_default()
console.install()
