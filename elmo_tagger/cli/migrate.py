"""`elmo-tagger migrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from elmo_tagger.cli.options import Force


def migrate(
    old: Annotated[
        str,
        typer.Argument(
            metavar="OLD", help="Archive of AllenNLP 0.x, 1.x or 2.x (model.tar.gz), or directory of a run."
        ),
    ],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Model folder to write.")],
    options: Annotated[
        Optional[str],
        typer.Option(help="options.json of its biLM (default: the archive's own, or those of the published ones)."),
    ] = None,
    allennlp: Annotated[
        Optional[str],
        typer.Option(metavar="VERSION", help="AllenNLP that made it, such as 0.9 (default: told by the archive)."),
    ] = None,
    force: Force = False,
) -> None:
    """Make a model folder of an old archive with a tagger, and tell every change."""
    from elmo_tagger.cli.terminal import Page
    from elmo_tagger.tagger.folder import CARD_NAME, CONFIG_NAME, WEIGHTS_NAME
    from elmo_tagger.tagger.migration import migrate as migrated
    from elmo_tagger.text.outputs import Output

    names = (CONFIG_NAME, WEIGHTS_NAME, CARD_NAME)
    target = Output(new, inputs=[old, *([options] if options else [])], force=force, folder=True)
    for name in names:
        target.check(new / name)
    found = migrated(old, options_file=options, allennlp=allennlp)
    found.tagger.save(new, force=force)
    page = Page()
    page.line(f"{old}: made by {found.made_by}", style="bold")
    for change in found.changes:
        page.line(f"  {change}")
    page.line(f"{new}: {', '.join(names)}; finds {', '.join(found.tagger.labels) or 'no entities, only tags'}")
