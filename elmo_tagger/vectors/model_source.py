"""What a biLM and a mix are loaded from: plain names, which can be sent to another machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from elmo_tagger.bilm import Bilm, ScalarMix
from elmo_tagger.bilm.loading.checkpoint import read_archive
from elmo_tagger.bilm.loading.source import load_bilm, local


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """Names on a command line.

    Attributes:
        weights: See `load_bilm`; None for the biLM of `mix`.
        options: See `load_bilm`.
        mix: An archive whose mix is used; None for none.
        precision: See `Bilm`.
    """

    weights: str | None
    options: str | None = None
    mix: str | None = None
    precision: str = "float32"

    def __post_init__(self) -> None:
        if self.weights is None and self.mix is None:
            raise ValueError("expected --weights (a biLM) or --mix (a trained tagger)")

    def load(self) -> tuple[Bilm, ScalarMix | None]:
        """The biLM and the mix; one archive can give both.

        Raises:
            ValueError: As `load_bilm` and `read_archive`.
            OSError: A file cannot be read.
        """
        kept: dict[str, Any] = {"precision": self.precision, "rounded_weights": True}  # they are only read
        trained = None if self.mix is None else read_archive(local(self.mix))
        mix = None if trained is None else trained.mix()
        if self.weights is not None:
            return load_bilm(self.weights, self.options, **kept), mix
        assert trained is not None  # by the check above
        return trained.bilm(**kept), mix
