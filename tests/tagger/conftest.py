"""A tiny biLM, and a small tagger made without AllenNLP."""

from pathlib import Path
from typing import Any

import pytest
import torch

from elmo_tagger.tagger import Tagger, TaggerConfig
from elmo_tagger.tagger.model import build_model
from elmo_tagger.tagger.vocabulary import PADDING_TOKEN, UNKNOWN_TOKEN, Namespace
from tests.bilm.random_models import random_bilm, raw_options

TAGS = ["O", "B-PER", "I-PER", "L-PER", "U-PER", "U-LOC"]


@pytest.fixture(scope="session")
def tiny_bilm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Options and weights of a random biLM, as arguments of an embedder; as in a real one, widths fill registers."""
    directory: Path = tmp_path_factory.mktemp("bilm")
    widths = {"dim": 32, "projection_dim": 32, "filters": [[1, 32], [3, 64]]}
    random_bilm(raw_options(max_characters_per_token=50, **widths), scale=0.2).save(directory)
    return {"options_file": str(directory / "options.json"), "weight_file": str(directory / "weights.hdf5")}


def small_config(**bilm: Any) -> dict[str, Any]:
    """The config of a tagger with a biLM, whose options may be changed, static vectors and a character CNN."""
    return {
        "token_indexers": {
            "elmo": {"type": "elmo_hdf5", "static_namespace": "words", "max_characters_per_token": 12},
            "token_characters": {"type": "characters", "min_padding_length": 3},
        },
        "model": {
            "type": "elmo_bilstm_crf",
            "label_encoding": "BIOUL",
            "text_field_embedder": {
                "token_embedders": {
                    "elmo": {
                        "type": "elmo_hdf5",
                        "options": raw_options(**bilm),
                        "static": {"namespace": "words", "dim": 4},
                    },
                    "token_characters": {
                        "type": "character_encoding",
                        "embedding": {"embedding_dim": 3, "vocab_namespace": "token_characters"},
                        "encoder": {"type": "cnn", "embedding_dim": 3, "num_filters": 5, "ngram_filter_sizes": [2, 3]},
                    },
                }
            },
            "encoder": {"type": "lstm", "hidden_size": 6, "bidirectional": True},
        },
    }


def make_tagger(**bilm: Any) -> Tagger:
    """A tagger with random weights; `bilm` changes options of its biLM."""
    special = [PADDING_TOKEN, UNKNOWN_TOKEN]
    vocabulary = {
        "labels": Namespace(TAGS),
        "words": Namespace([*special, "Emma", "Oslo", "."]),
        "token_characters": Namespace([*special, *"abcdefgEO .\n\u2028"]),
    }
    config = TaggerConfig.from_dict(small_config(**bilm))
    model = build_model(config, vocabulary)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.5)
    return Tagger(config, vocabulary, model)


@pytest.fixture(scope="session")
def tagger() -> Tagger:
    """For tests that leave it as it is."""
    return make_tagger()
