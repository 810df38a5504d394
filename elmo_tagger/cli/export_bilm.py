"""`elmo-tagger export-bilm`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export_bilm(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="Directory or archive of a training: of a biLM, or of a tagger that fine-tuned one."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Directory for options.json and weights.hdf5.")],
    float16: Annotated[bool, typer.Option("--float16", help="Store numbers of 16 bits: half the size.")] = False,
) -> None:
    """Write a trained biLM as options.json and weights.hdf5, which bilm-tf and AllenNLP read too."""
    from elmo_tagger.bilm.training.export import export

    dtype = "float16" if float16 else "float32"
    weights = export(run, out, dtype=dtype)
    options = weights.with_name("options.json")
    typer.echo(f"{weights}: {weights.stat().st_size:,} bytes, {dtype}")
    typer.echo(f"{options}: {options.stat().st_size:,} bytes")
