"""What the benchmarks of the biLM measure with: models of random weights, real or made-up sentences."""

from __future__ import annotations

import lzma
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from elmo_tagger.bilm import Bilm, Options

ROOT = Path(__file__).parents[1]
# beside the checkout or within it
TEXTS = tuple(parent / "shared" / "data" / "lm" for parent in (ROOT.parent, ROOT))
FILTERS = [[1, 32], [2, 32], [3, 64], [4, 128], [5, 256], [6, 512], [7, 1024]]
# H, P, highway layers of the published models (https://allenai.org/allennlp/software/elmo)
SIZES = {"original": (4096, 512, 2), "small": (1024, 128, 1), "tiny": (64, 16, 1)}


def raw_options(size: str) -> dict[str, Any]:
    """An options.json of one of `SIZES`."""
    cell, width, highways = SIZES[size]
    return {
        "lstm": {
            "dim": cell,
            "projection_dim": width,
            "n_layers": 2,
            "cell_clip": 3,
            "proj_clip": 3,
            "use_skip_connections": True,
        },
        "char_cnn": {
            "embedding": {"dim": 16},
            "filters": [[width, count // 16] for width, count in FILTERS] if size == "tiny" else FILTERS,
            "n_highway": highways,
            "activation": "relu",
            "n_characters": 262,
            "max_characters_per_token": 50,
        },
    }


def save_random(size: str, directory: Path) -> Options:
    """Write `options.json` and `weights.hdf5` of a model with random weights; vectors have values around 0.4."""
    torch.manual_seed(0)
    bilm = Bilm(Options.from_dict(raw_options(size)))
    with torch.no_grad():
        bilm.char_cnn.W_proj.mul_(2.0)
        for layer in bilm.lstm.layers:
            layer.W_0.mul_(2.0)
            layer.W_P_0.mul_(2.0)
    bilm.save(directory)
    return bilm.options


def sentences(source: Path | None = None) -> tuple[Iterator[list[str]], str]:
    """Sentences of 5 to 60 words without end, and where they are from.

    Args:
        source: Directory with tokenised text, one sentence a line, as `*.xz`.
    """
    for directory in TEXTS if source is None else (source,):
        files = sorted(directory.glob("*.xz"))
        if files:
            return _from_files(files), "text"
    return _made_up(), "made up"


def _from_files(files: list[Path]) -> Iterator[list[str]]:
    while True:
        for path in files:
            with lzma.open(path, "rt", encoding="utf-8") as lines:
                for line in lines:
                    words = line.split()
                    if 5 <= len(words) <= 60:
                        yield words


def _made_up(vocabulary: int = 100_000) -> Iterator[list[str]]:
    """Words by Zipf's law, spelt from their rank; 24 words a sentence on average, as in the text."""
    draw = random.Random(0)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    while True:
        ranks = (int(vocabulary ** draw.random()) for _ in range(min(60, max(5, int(draw.gauss(24, 11))))))
        yield ["".join(letters[rank // 26**i % 26] for i in range(1 + len(str(rank)))) for rank in ranks]
