"""`elmo-tagger plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from elmo_tagger.cli.options import Force


def plot(
    run: Annotated[Path, typer.Argument(help="Directory of a training run.")],
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help=".png, .svg or .pdf (default: RUN/curves.png).")
    ] = None,
    force: Force = False,
) -> None:
    """Draw loss, F1 or accuracy, and the layers' mix by epoch."""
    from elmo_tagger.curves import draw, read_curves
    from elmo_tagger.text.outputs import Output

    target = Output(output or run / "curves.png", inputs=run.glob("*.json"), force=force)
    draw(read_curves(run), target, title=run.resolve().name)
    typer.echo(target)
