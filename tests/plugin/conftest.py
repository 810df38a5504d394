"""Tiny biLMs for the plugin's tests."""

from pathlib import Path

import pytest
import torch

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
