"""`elmo-tagger plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def plot(
    run: Annotated[Path, typer.Argument(help="Directory of a training run.")],
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help=".png, .svg or .pdf (default: RUN/curves.png).")
    ] = None,
) -> None:
    """Draw loss, F1 or accuracy, and the layers' mix by epoch."""
    from elmo_tagger.curves import draw, read_curves

    output = output or run / "curves.png"
    draw(read_curves(run), output, title=run.resolve().name)
    typer.echo(output)
