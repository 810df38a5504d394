"""The language model: from character ids to one tensor of vectors a layer.

`options` describes a biLM, `characters` turns words into ids; then, in the order of computation, `distinct` ->
`char_cnn` -> `packing` -> `lstm` in a `stack` -> `mixing`; `model` puts them together. `loading` finds, reads and
writes weights.

That is the reference; `reference` puts it as an implementation. What computes the same faster has folders of its own,
and `dispatch` says when it is taken: `cpu` and `cuda` without gradients, `backward` with them; `verification` compares
each with the reference before it is used.

`tests/reference/bilm.py` is the shortest way to understand the model: 90 lines of NumPy, one word and one step at a
time. `cache` keeps layers on disk, `training` trains a biLM of one's own.
"""

from elmo_tagger.bilm.char_cnn import CharacterCnn
from elmo_tagger.bilm.characters import boundary_ids, encode_sentences, encode_words
from elmo_tagger.bilm.elmo import Elmo
from elmo_tagger.bilm.embedding import Embedding
from elmo_tagger.bilm.loading.hdf5_weights import WeightsError
from elmo_tagger.bilm.loading.source import load_bilm
from elmo_tagger.bilm.mixing import LAYER_NORMS, ScalarMix
from elmo_tagger.bilm.model import Bilm, BilmOutput
from elmo_tagger.bilm.options import CharCnnOptions, LstmOptions, Options, OptionsError

__all__ = [
    "LAYER_NORMS",
    "Bilm",
    "BilmOutput",
    "CharCnnOptions",
    "CharacterCnn",
    "Elmo",
    "Embedding",
    "LstmOptions",
    "Options",
    "OptionsError",
    "ScalarMix",
    "WeightsError",
    "boundary_ids",
    "encode_sentences",
    "encode_words",
    "load_bilm",
]
