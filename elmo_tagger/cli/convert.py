"""`elmo-tagger convert`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from elmo_tagger.cli.annotated_files import FORMATS, AsJson, Separator, TagColumn, TokenColumn
from elmo_tagger.cli.terminal import print_json

if TYPE_CHECKING:
    from elmo_tagger.corpus.convert import Conversion

_STANDARD_OUTPUT = "-"


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
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Read ill-formed tags as conlleval does instead of refusing them.")
    ] = False,
    split_tokens: Annotated[
        bool, typer.Option("--split-tokens", help="Split tokens that an entity cuts instead of refusing the entity.")
    ] = False,
    language: Annotated[str, typer.Option(help="Of the tokenizer, for texts without tokens.")] = "en",
    as_json: AsJson = False,
) -> None:
    """Convert an annotated file to another tag scheme, another format, or both."""
    from elmo_tagger.corpus.convert import convert_file
    from elmo_tagger.corpus.sources import FileOptions

    def converted(path: Path) -> Conversion:
        return convert_file(
            source,
            path,
            to=to,
            scheme=scheme,
            options=FileOptions(
                format=in_format, token_column=token_column, tag_column=tag_column, separator=separator
            ),
            target_format=out_format,
            lenient=lenient,
            split_tokens=split_tokens,
            language=language,
        )

    piped = str(target) == _STANDARD_OUTPUT
    if not piped and source.exists() and target.exists() and target.samefile(source):
        raise ValueError(f"{target}: is the file to convert: expected another name for what is written")
    report = _through_a_pipe(converted) if piped else converted(target)
    if as_json:
        print_json(vars(report), err=piped)
    else:
        typer.echo(f"{source} to {target}: {_described(report)}", err=piped)


def _through_a_pipe(converted: Callable[[Path], Conversion]) -> Conversion:
    """Standard output gets the file once it is complete; it must be one file."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "out")
        report = converted(path)
        if path.is_dir():
            raise ValueError(f"{report.target_format} is a folder of files: it cannot be written to a pipe")
        sys.stdout.flush()
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    return report


def _described(report: Conversion) -> str:
    sides = [
        f"{name} ({scheme})" if scheme else name
        for name, scheme in (
            (report.source_format, report.source_scheme),
            (report.target_format, report.target_scheme),
        )
    ]
    unit = "sentences" if report.source_scheme else "documents"
    return f"{sides[0]} to {sides[1]}, {report.entities:,} entities in {report.sentences:,} {unit}"
