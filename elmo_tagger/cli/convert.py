"""`elmo-tagger convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from elmo_tagger.cli.options import FORMATS, AsJson, Encoding, Force, Separator, SkipBadLines, TagColumn, TokenColumn
from elmo_tagger.cli.terminal import print_json, warn
from elmo_tagger.pipes import is_pipe

if TYPE_CHECKING:
    from elmo_tagger.corpus.convert import Conversion


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Annotated file, brat's folder, or - for a pipe.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file or folder to write, or - for a pipe.")],
    to: Annotated[Optional[str], typer.Option(help="Tag scheme of OUT (default: that of IN, else BIO).")] = None,
    scheme: Annotated[Optional[str], typer.Option(help="Tag scheme of IN (default: found).")] = None,
    in_format: Annotated[Optional[str], typer.Option(help="Format of IN (default: told by name and content).")] = None,
    out_format: Annotated[Optional[str], typer.Option(help=f"{FORMATS} (default: told by the name of OUT).")] = None,
    token_column: TokenColumn = None,
    tag_column: TagColumn = None,
    separator: Separator = None,
    encoding: Encoding = "utf-8",
    skip_bad_lines: SkipBadLines = False,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Read ill-formed tags as conlleval does instead of refusing them.")
    ] = False,
    split_tokens: Annotated[
        bool, typer.Option("--split-tokens", help="Split tokens that an entity cuts instead of refusing the entity.")
    ] = False,
    unannotated: Annotated[
        Optional[list[str]],
        typer.Option(
            help="A type that IN does not annotate (repeatable): O becomes a choice such as O|B-MISC|I-MISC.",
            metavar="TYPE",
        ),
    ] = None,
    language: Annotated[str, typer.Option(help="Of the tokenizer, for texts without tokens.")] = "en",
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Convert an annotated file to another tag scheme, another format, or both."""
    from elmo_tagger.corpus.convert import convert_file
    from elmo_tagger.text.formats.format import FileOptions
    from elmo_tagger.text.outputs import Output

    options = FileOptions(
        format=in_format, token_column=token_column, tag_column=tag_column, separator=separator, encoding=encoding
    )
    report = convert_file(
        source,
        Output(target, inputs=_files_of(source, in_format), force=force, folder=True),
        to=to,
        scheme=scheme,
        options=options,
        target_format=out_format,
        lenient=lenient,
        split_tokens=split_tokens,
        skip_bad_lines=skip_bad_lines,
        unannotated=unannotated or (),
        language=language,
    )
    piped = is_pipe(target)
    for message in report.messages:
        warn(f"left out: {message}")
    if report.skipped > len(report.messages):
        warn(f"left out: {report.skipped - len(report.messages):,} more")
    if as_json:
        print_json(vars(report), err=piped)
    else:
        typer.echo(f"{source} to {target}: {_described(report)}", err=piped)


def _files_of(source: Path, name: str | None) -> list[Path]:
    """What is read: of one of brat's two files the other as well."""
    from elmo_tagger.text.formats.registry import format_of_file, get_format

    found = get_format(name) if name else format_of_file(source) if source.exists() else None
    return [source] if found is None else found.files(source)


def _described(report: Conversion) -> str:
    sides = [
        f"{name} ({scheme})" if scheme else name
        for name, scheme in (
            (report.source_format, report.source_scheme),
            (report.target_format, report.target_scheme),
        )
    ]
    unit = "sentences" if report.source_scheme else "documents"
    skipped = f", {report.skipped:,} bad lines left out" if report.skipped else ""
    partial = f", {report.partial_labels:,} partial labels" if report.partial_labels else ""
    return f"{sides[0]} to {sides[1]}, {report.entities:,} entities in {report.sentences:,} {unit}{partial}{skipped}"
