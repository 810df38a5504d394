"""`elmo-tagger export-bilm`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elmo_tagger.cli.options import Force


def export_bilm(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="Directory or archive of a training: of a biLM, or of a tagger that fine-tuned one."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Directory for options.json and weights.hdf5.")],
    float16: Annotated[bool, typer.Option("--float16", help="Store numbers of 16 bits: half the size.")] = False,
    force: Force = False,
) -> None:
    """Write a trained biLM as options.json and weights.hdf5, which bilm-tf and AllenNLP read too."""
    from elmo_tagger.bilm.loading.hdf5_weights import OPTIONS_NAME, WEIGHTS_NAME
    from elmo_tagger.bilm.training.export import export
    from elmo_tagger.text.outputs import Output

    dtype = "float16" if float16 else "float32"
    target = Output(out, inputs=[run], force=force, folder=True)
    for name in (OPTIONS_NAME, WEIGHTS_NAME):
        target.check(out / name)
    weights = export(run, target, dtype=dtype)
    options = weights.with_name("options.json")
    typer.echo(f"{weights}: {weights.stat().st_size:,} bytes, {dtype}")
    typer.echo(f"{options}: {options.stat().st_size:,} bytes")
