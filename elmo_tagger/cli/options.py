"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from elmo_tagger.text.formats.registry import FORMATS as _FORMATS

FORMATS = ", ".join(_FORMATS)

Format = Annotated[
    Optional[str], typer.Option("--format", help=f"{FORMATS} (default: told by name and content).", metavar="FORMAT")
]
TokenColumn = Annotated[
    Optional[int], typer.Option("--token-column", help="Column of the tokens, from 0 (default: found).")
]
TagColumn = Annotated[
    Optional[int], typer.Option("--tag-column", help="Column of the tags, from 0 or from the end, -1 (default: found).")
]
GoldColumn = Annotated[
    Optional[int], typer.Option("--gold-column", help="Column of the gold tags, from 0 or from the end.")
]
PredColumn = Annotated[
    Optional[int], typer.Option("--pred-column", help="Column of the predicted tags, from 0 or from the end.")
]
Separator = Annotated[
    Optional[str],
    typer.Option(
        help=r"What parts columns (default: found); \t for a tab.",
        callback=lambda typed: "\t" if typed == r"\t" else typed,  # a shell does not make a tab of it
    ),
]
GoldScheme = Annotated[Optional[str], typer.Option("--scheme", help="Tag scheme of gold (default: found).")]
PredScheme = Annotated[
    Optional[str], typer.Option("--pred-scheme", help="Tag scheme of the predictions (default: found).")
]
Encoding = Annotated[str, typer.Option(help="Of the text in the files, such as cp1252 or utf-16.")]
SkipBadLines = Annotated[
    bool, typer.Option("--skip-bad-lines", help="Leave out lines that cannot be read, and say how many.")
]
Force = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]
