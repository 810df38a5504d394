"""The `elmo-tagger` application: its subcommands, and the one place where an error in the data becomes a message.

Exit statuses: 0 done; 1 the command ran and its answer is no (`check`: training would fail); 2 it could not run, for
wrong arguments or wrong data; 130 it was interrupted.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from elmo_tagger import __version__
from elmo_tagger.cli import (
    calibrate,
    check,
    compare,
    convert,
    doctor,
    embed,
    export_bilm,
    migrate,
    neighbours,
    perplexity,
    plot,
    score,
    search,
    serve,
    tag,
    train,
    vocab,
)
from elmo_tagger.cli.terminal import stop
from elmo_tagger.errors import escaped
from elmo_tagger.pipes import pipes_kept

_LONGEST_MESSAGE = 2000  # characters; every part of it that is foreign is cut already where it is known to be


class DataErrorGroup(TyperGroup):
    """Says `error: ...` and exits with status 2 for what is wrong with the data or the files; bugs keep their trace."""

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand."""
        try:
            with pipes_kept():
                return super().invoke(ctx)
        except BrokenPipeError:
            raise  # the reader of a pipe has left: typer ends quietly
        except KeyboardInterrupt:
            stop()
        except (ValueError, OSError) as error:
            if ctx.params.get("debug"):
                raise
            typer.echo(f"error: {escaped(_message(error))}", err=True)
            raise typer.Exit(2) from error


app = typer.Typer(
    cls=DataErrorGroup,
    name="elmo-tagger",
    help="Named-entity recognition with ELMo and a BiLSTM-CRF. To begin: echo 'A sentence.' | elmo-tagger tag en -",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("tag")(tag.tag)
app.command("serve")(serve.serve)
app.command("check")(check.check)
app.command("convert")(convert.convert)
app.command("score")(score.score)
app.command("embed")(embed.embed)
app.command("plot")(plot.plot)
app.command("neighbours")(neighbours.neighbours)
app.command("search")(search.search)
app.command("train")(train.train)
app.command("migrate")(migrate.migrate)
app.command("calibrate")(calibrate.calibrate)
app.command("vocab")(vocab.vocab)
app.command("doctor")(doctor.doctor)
app.command("export-bilm")(export_bilm.export_bilm)
app.command("perplexity")(perplexity.perplexity)
app.command("compare", cls=compare.TwoLists)(compare.compare)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"elmo-tagger {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error in the data.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options before the subcommand; `debug` is read by `DataErrorGroup`."""


def main() -> None:
    """Entry point of the console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a bar or a token outside the terminal's character set is no error
    app()


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    message = str(error) or type(error).__name__
    return message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + "…"
