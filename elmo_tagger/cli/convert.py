"""`elmo-tagger convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from elmo_tagger.cli.terminal import print_json


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Annotated file, or brat's folder.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file or folder to write.")],
    to: Annotated[Optional[str], typer.Option(help="Tag scheme of OUT (default: that of IN, else BIO).")] = None,
    scheme: Annotated[Optional[str], typer.Option(help="Tag scheme of IN (default: found).")] = None,
    in_format: Annotated[Optional[str], typer.Option(help="Format of IN (default: told by name and content).")] = None,
    out_format: Annotated[
        Optional[str],
        typer.Option(
            help="columns, conllu, jsonl, spans, doccano, label-studio or brat (default: told by the name of OUT)."
        ),
    ] = None,
    token_column: Annotated[Optional[int], typer.Option(help="Column of the tokens in IN, from 0.")] = None,
    tag_column: Annotated[Optional[int], typer.Option(help="Column of the tags, from 0 or from the end (-1).")] = None,
    separator: Annotated[Optional[str], typer.Option(help="Column separator of IN (default: spaces and tabs).")] = None,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Read ill-formed tags as conlleval does instead of refusing them.")
    ] = False,
    split_tokens: Annotated[
        bool, typer.Option("--split-tokens", help="Split tokens that an entity cuts instead of refusing the entity.")
    ] = False,
    language: Annotated[str, typer.Option(help="Of the tokenizer, for texts without tokens.")] = "en",
    json: Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")] = False,
) -> None:
    """Convert an annotated file to another tag scheme, another format, or both."""
    from elmo_tagger.corpus.convert import convert_file

    report = convert_file(
        source,
        target,
        to=to,
        scheme=scheme,
        source_format=in_format,
        target_format=out_format,
        token_column=token_column,
        tag_column=tag_column,
        separator=separator,
        lenient=lenient,
        split_tokens=split_tokens,
        language=language,
    )
    if json:
        print_json(vars(report))
        return
    sides = [
        f"{format} ({scheme})" if scheme else format
        for format, scheme in (
            (report.source_format, report.source_scheme),
            (report.target_format, report.target_scheme),
        )
    ]
    typer.echo(
        f"{source} to {target}: {sides[0]} to {sides[1]}, {report.entities:,} entities in {report.sentences:,} "
        f"{'sentences' if report.source_scheme else 'documents'}"
    )
