"""AllenNLP's `Elmo` and our biLM with the same weights: what the benchmarks of the biLM compare."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from elmo_tagger.bilm import Bilm, ScalarMix

Embed = Callable[[Tensor], Tensor]


def load_stock(directory: Path, device: str) -> Any:
    """AllenNLP's `Elmo`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from allennlp.modules.elmo import Elmo

    elmo = Elmo(str(directory / "options.json"), str(directory / "weights.hdf5"), 1, dropout=0.0)
    return elmo.eval().requires_grad_(False).to(device)


def load_ours(directory: Path, device: str, precision: str, *, rounded_weights: bool = False) -> Bilm:
    """Ours."""
    kept = {"precision": precision, "rounded_weights": rounded_weights}
    bilm = Bilm.load(directory / "options.json", directory / "weights.hdf5", **kept)
    return bilm.requires_grad_(False).to(device)


def stock_embed(elmo: Any) -> Embed:
    """Ids to the mix of layers, without state from before."""

    def embed(ids: Tensor) -> Tensor:
        elmo._elmo_lstm._elmo_lstm.reset_states()
        mixed: Tensor = elmo(ids)["elmo_representations"][0]
        return mixed

    return embed


def our_embed(bilm: Bilm) -> Embed:
    """The same with ours."""
    mix = ScalarMix(bilm.num_layers).requires_grad_(False).to(next(bilm.parameters()).device)

    def embed(ids: Tensor) -> Tensor:
        output = bilm(ids)
        mixed: Tensor = mix(list(output.layers.values()))
        return mixed

    return embed
