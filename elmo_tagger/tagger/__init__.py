"""The tagger: text in, entities out, in plain PyTorch.

In the order of the data: `documents` (text to sentences of tokens, and back to entities), `indexers` (tokens to ids),
`model` (ids to scores of tags: `embedders` -> `encoders` -> `feedforward`), `predictions` (scores to tags and how sure
they are); `tagger` runs them. `config` says what a tagger is made of, with `vocabulary`; `folder` reads and
writes one, `migration` reads archives of AllenNLP, `loading` either, and `assembly` builds it.
"""

from elmo_tagger.tagger.assembly import LoadError
from elmo_tagger.tagger.card import Card
from elmo_tagger.tagger.config import ConfigError, TaggerConfig
from elmo_tagger.tagger.documents import Document, Entity
from elmo_tagger.tagger.folder import FolderError
from elmo_tagger.tagger.loading import load
from elmo_tagger.tagger.predictions import Tagging
from elmo_tagger.tagger.tagger import Tagger

__all__ = [
    "Card",
    "ConfigError",
    "Document",
    "Entity",
    "FolderError",
    "LoadError",
    "Tagger",
    "TaggerConfig",
    "Tagging",
    "load",
]
