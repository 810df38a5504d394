"""Tiny biLMs for the plugin's tests."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.commands.train import train_model
from allennlp.common import Params

import elmo_tagger.plugin  # noqa: F401  (registers everything)
from elmo_tagger.bilm.model import Bilm
from elmo_tagger.bilm.options import Options

OPTIONS = {
    "lstm": {
        "cell_clip": 3,
        "proj_clip": 3,
        "use_skip_connections": True,
        "n_layers": 2,
        "projection_dim": 6,
        "dim": 10,
    },
    "char_cnn": {
        "embedding": {"dim": 4},
        "filters": [[1, 4], [2, 6], [3, 6]],
        "n_highway": 1,
        "n_characters": 262,
        "max_characters_per_token": 50,
        "activation": "relu",
    },
}


@pytest.fixture(scope="session")
def bilm_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Options and weights of a random biLM, as arguments of an embedder."""
    directory: Path = tmp_path_factory.mktemp("bilm")
    torch.manual_seed(1)
    bilm = Bilm(Options.from_dict(OPTIONS))
    with torch.no_grad():
        for parameter in bilm.parameters():
            parameter.normal_(0, 0.5)
    bilm.save(directory)
    return {"options_file": str(directory / "options.json"), "weight_file": str(directory / "weights.hdf5")}


TRAINING = """\
Emma B-PER
Stone I-PER
flew O
to O
Oslo B-LOC
. O

Oslo B-LOC
likes O
Emma B-PER
. O

They O
flew O
. O

Oslo B-LOC
likes O
Emma B-PER
Stone I-PER
. O

"""


def tagger_config(bilm_files: dict[str, str], train: str, **trainer: object) -> dict[str, Any]:
    """A small tagger with everything on: ELMo, dropout, CRF."""
    return {
        "dataset_reader": {
            "type": "conll_columns",
            "coding_scheme": "BIOUL",
            "token_indexers": {"elmo": {"type": "elmo_hdf5"}},
        },
        "train_data_path": train,
        "validation_data_path": train,
        "model": {
            "type": "elmo_bilstm_crf",
            "label_encoding": "BIOUL",
            "dropout": 0.2,
            "text_field_embedder": {"token_embedders": {"elmo": {"type": "elmo_hdf5", "dropout": 0.1, **bilm_files}}},
            "encoder": {"type": "lstm", "hidden_size": 16, "bidirectional": True},
        },
        "data_loader": {"batch_sampler": {"type": "bucket", "batch_size": 2, "sorting_keys": ["tokens"]}},
        "trainer": {
            "optimizer": {"type": "adam", "lr": 0.02},
            "num_epochs": 25,
            "validation_metric": "+f1-measure-overall",
            **trainer,
        },
    }


@pytest.fixture(scope="session")
def training_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A column file of a few sentences."""
    path = tmp_path_factory.mktemp("data") / "train.conll"
    path.write_text(TRAINING * 4)
    return str(path)


@pytest.fixture(scope="session")
def archive(bilm_files: dict[str, str], training_file: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished training; its biLM files are gone, as on another machine."""
    files = {}
    for name, file in bilm_files.items():
        files[name] = str(shutil.copy(file, tmp_path_factory.mktemp("gone") / Path(file).name))
    run = tmp_path_factory.mktemp("archive") / "run"
    train_model(Params(tagger_config(files, training_file)), str(run))
    for file in files.values():
        Path(file).unlink()
    return run
