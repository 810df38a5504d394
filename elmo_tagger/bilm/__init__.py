"""The language model: from character ids to one tensor of vectors a layer.

`options` and `weights` read and write a biLM, `characters` turns words into ids; then, in the order of computation,
`distinct` -> `char_cnn` -> `packing` -> `lstm` in a `stack` -> `mixing`; `model` puts them together.

That is the reference. What computes the same faster stands beside it, and `paths` says when it is taken: on a CPU
without gradients `frozen_cnn` (with `word_store`) and `frozen_lstm` (with `matrix` and `side_by_side`); with gradients
`lstm_gradient`; on a GPU `cuda`.
"""

from elmo_tagger.bilm.char_cnn import CharacterCnn
from elmo_tagger.bilm.characters import boundary_ids, encode_sentences, encode_words
from elmo_tagger.bilm.mixing import LAYER_NORMS, ScalarMix
from elmo_tagger.bilm.model import Bilm, BilmOutput
from elmo_tagger.bilm.options import CharCnnOptions, LstmOptions, Options, OptionsError
from elmo_tagger.bilm.weights import WeightsError
from elmo_tagger.bilm.weights_source import load_bilm

__all__ = [
    "LAYER_NORMS",
    "Bilm",
    "BilmOutput",
    "CharCnnOptions",
    "CharacterCnn",
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
