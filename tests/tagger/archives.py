"""Archives of every kind of part, with random weights, made by AllenNLP without a training."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import allennlp_models.tagging  # noqa: F401  (registers crf_tagger)
import torch
from allennlp.common import Params
from allennlp.data import DatasetReader, Vocabulary
from allennlp.models import Model
from allennlp.models.archival import archive_model

import elmo_tagger.plugin  # noqa: F401  (registers everything)

TRAIN = "fixtures/quickstart/dev.conll"
VECTORS = "fixtures/vectors/quickstart.16d.txt.gz"

WORDS = {"tokens": {"type": "single_id", "lowercase_tokens": True}}
WORD_VECTORS = {"tokens": {"type": "embedding", "embedding_dim": 5}}
CHARACTERS = {"token_characters": {"type": "characters", "min_padding_length": 3}}
LSTM = {"type": "lstm", "hidden_size": 7, "bidirectional": True}
STACKED = {
    "type": "stacked_bidirectional_lstm",
    "hidden_size": 6,
    "num_layers": 2,
    "recurrent_dropout_probability": 0.5,
}


STOCK_ELMO = "stock embedder"


def elmo(bilm: dict[str, str], **changed: Any) -> dict[str, Any]:
    """The embedder of a config."""
    return {"elmo": {"type": "elmo_hdf5", "dropout": 0.1, **bilm, **changed}}


def character_encoding(**encoder: Any) -> dict[str, Any]:
    """The embedder of a config."""
    embedding = {"embedding_dim": 4, "vocab_namespace": "token_characters"}
    return {"token_characters": {"type": "character_encoding", "embedding": embedding, "encoder": encoder}}


CNN = character_encoding(type="cnn", embedding_dim=4, num_filters=6, ngram_filter_sizes=[3])


def tagger_config(
    indexers: dict[str, Any], embedders: dict[str, Any], encoder: dict[str, Any], **model: Any
) -> dict[str, Any]:
    """A training config."""
    reader = {"type": "conll_columns", "coding_scheme": "BIOUL", "token_indexers": indexers}
    tagger = {"type": "elmo_bilstm_crf", "label_encoding": "BIOUL", "dropout": 0.5}
    tagger |= {"text_field_embedder": {"token_embedders": embedders}, "encoder": encoder}
    return {"dataset_reader": reader, "train_data_path": TRAIN, "model": tagger | model}


def configs(bilm: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Taggers of every part that the engine has."""
    ours = {"elmo": {"type": "elmo_hdf5"}}
    with_static = {"elmo": {"type": "elmo_hdf5", "static_namespace": "static_words"}}
    stock = {"elmo": {"type": "elmo_characters"}}
    static = {"namespace": "static_words", "pretrained_file": VECTORS, "oov": "mean"}
    dense = {"num_layers": 1, "hidden_dims": 8, "activations": "tanh", "dropout": 0.5}
    return {
        "quickstart": tagger_config(with_static, elmo(bilm, static=static), LSTM),
        "ner_elmo": tagger_config(
            WORDS | CHARACTERS | stock,
            WORD_VECTORS | CNN | elmo(bilm),
            LSTM | {"num_layers": 2, "dropout": 0.5},
            include_start_end_transitions=False,
        ),
        "fine_grained_ner": tagger_config(
            WORDS | CHARACTERS | stock,
            WORD_VECTORS | character_encoding(type="lstm", input_size=4, hidden_size=6) | elmo(bilm),
            STACKED | {"use_highway": True},
            feedforward=dense,
        ),
        "gru, GRU of characters, top layer": tagger_config(
            CHARACTERS | ours,
            character_encoding(type="gru", input_size=4, hidden_size=3, num_layers=2, bidirectional=True)
            | elmo(bilm, layers="top", projection_dim=9),
            {"type": "gru", "hidden_size": 6, "num_layers": 2, "bias": False},
        ),
        "compose, concat, bytes": tagger_config(
            ours
            | {
                "token_characters": {
                    "type": "characters",
                    "min_padding_length": 4,
                    "character_tokenizer": {"byte_encoding": "utf-8", "start_tokens": [259], "end_tokens": [260]},
                }
            },
            elmo(bilm, layers="concat")
            | {
                "token_characters": {
                    "type": "character_encoding",
                    "embedding": {"embedding_dim": 4, "num_embeddings": 262, "projection_dim": 3},
                    "encoder": {
                        "type": "cnn",
                        "embedding_dim": 3,
                        "num_filters": 2,
                        "ngram_filter_sizes": [2, 4],
                        "conv_layer_activation": {"type": "leaky_relu", "negative_slope": 0.2},
                        "output_dim": 5,
                    },
                }
            },
            {
                "type": "compose",
                "encoders": [LSTM | {"input_size": 165}, STACKED | {"input_size": 14, "use_highway": False}],
            },
            feedforward={"num_layers": 2, "hidden_dims": [6, 5], "activations": ["prelu", "gelu_new"]},
        ),
        "no context, token norm, pass-through, empty": tagger_config(
            ours | WORDS | {"ids": {"type": "elmo_characters"}},
            elmo(bilm, mix={"layer_norm": "token"})
            | {"tokens": {"type": "empty"}, "ids": {"type": "pass_through", "hidden_dim": 50}},
            {"type": "pass_through", "input_dim": 114},
        ),
        STOCK_ELMO: tagger_config(
            WORDS | stock,
            WORD_VECTORS | {"elmo": {"type": "elmo_token_embedder", "dropout": 0.1, "projection_dim": 6, **bilm}},
            LSTM | {"input_size": 11},
            type="crf_tagger",
        ),
        "batch norm, one layer": tagger_config(
            WORDS | stock, WORD_VECTORS | elmo(bilm, do_layer_norm=True), LSTM, label_encoding=None
        ),
    }


def shipped(name: str, bilm: dict[str, str], directory: Path) -> dict[str, Any]:
    """One of the configs that come with the package, made small."""
    for file in ("eng.train", "train.conll"):
        shutil.copy(TRAIN, directory / file)
    variables = {
        "TRAIN": TRAIN,
        "DEV": TRAIN,
        "TEST": TRAIN,
        "VECTORS": VECTORS,
        "GLOVE": VECTORS,
        "VECTORS_DIM": "16",
        "CONLL2003": str(directory),
        "WNUT17": str(directory),
        "ELMO_OPTIONS": bilm["options_file"],
        "ELMO_WEIGHTS": bilm["weight_file"],
    }
    config: dict[str, Any] = Params.from_file(
        f"training_configs/{name}.jsonnet", {"model.encoder.hidden_size": 8}, variables
    ).as_dict(quiet=True)
    return config


def make_archive(config: dict[str, Any], directory: Path) -> Path:
    """An archive as `allennlp train` leaves it, but with weights that are drawn, not learnt.

    Args:
        config: A training config; its training file gives the vocabulary.
        directory: Where the files are made.
    """
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps(config))
    params = Params(copy.deepcopy(config))
    reader = DatasetReader.from_params(params["dataset_reader"])
    vocabulary = Vocabulary.from_instances(reader.read(config["train_data_path"]))
    vocabulary.save_to_files(str(directory / "vocabulary"))
    model = Model.from_params(params["model"], vocab=vocabulary)
    torch.manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bilm" not in name and "_elmo_lstm" not in name:
                # such that tags vary and many are unsure
                scale = 2.0 if "tag_projection" in name or "_feedforward" in name else 0.4
                parameter.normal_(0, scale if parameter.dim() > 1 else 0.2)
    torch.save(model.state_dict(), directory / "best.th")
    archive_model(str(directory), weights="best.th")
    return directory / "model.tar.gz"
