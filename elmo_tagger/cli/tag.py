"""`elmo-tagger tag`."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Optional

import typer

from elmo_tagger.cli.options import FORMATS, Encoding, Force, Separator, SkipBadLines, TokenColumn
from elmo_tagger.cli.terminal import warn
from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.pipes import STANDARD_INPUT, is_pipe

if TYPE_CHECKING:
    from elmo_tagger.cli.progress import WorkProgress
    from elmo_tagger.cli.tag_inputs import Item
    from elmo_tagger.cli.tag_outputs import Tagged
    from elmo_tagger.tagger import Document, Tagger
    from elmo_tagger.text.files import DataError

_SHOWN_BAD_LINES = 10


def tag(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="en, or an archive (model.tar.gz), directory of a run, or model folder.",
        ),
    ],
    files: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="FILES", help="Plain text, JSON lines or annotated files; - for standard input."),
    ] = None,
    output: Annotated[
        Optional[str],
        typer.Option(
            "--output",
            "-o",
            help=".jsonl, .conll, .tsv, .csv (a table of entities) or .html; - for JSON lines (default: coloured text "
            "on a terminal, else JSON lines).",
        ),
    ] = None,
    min_confidence: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Leave out entities that are less probable.")
    ] = 0.0,
    top_k: Annotated[
        Optional[int], typer.Option(min=1, help="List this many of the best taggings of each sentence.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Documents that are tagged together.")] = 256,
    file_format: Annotated[
        Optional[str],
        typer.Option("--format", help=f"Of the files: text, {FORMATS} (default: told by name and content)."),
    ] = None,
    per_line: Annotated[
        bool, typer.Option("--per-line", help="Each line of plain text is a document (default: each paragraph).")
    ] = False,
    token_column: TokenColumn = None,
    separator: Separator = None,
    encoding: Encoding = "utf-8",
    skip_bad_lines: SkipBadLines = False,
    language: Annotated[Optional[str], typer.Option(help="Whose word rules split text: en, de, xx ...")] = None,
    device: Annotated[
        Optional[str], typer.Option(help="cpu, cuda, cuda:1 ... (default: a GPU if there is one).")
    ] = None,
    options: Annotated[
        Optional[str], typer.Option(help="options.json of the biLM, for old archives without it.")
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Share the work through Ray.")] = False,
    workers: Annotated[Optional[int], typer.Option(min=1, help="For --ray (default: one a GPU, or a CPU).")] = None,
    force: Force = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Find entities in texts with a trained tagger."""
    from elmo_tagger.cli import tag_outputs
    from elmo_tagger.cli.tag_inputs import check_inputs, read_items
    from elmo_tagger.text.formats.format import FileOptions

    paths = files or [STANDARD_INPUT]
    write = _writer(output, inputs=[model, *paths, *([options] if options else [])], force=force, top_k=top_k)
    known = FileOptions(format=file_format, token_column=token_column, separator=separator, encoding=encoding)
    check_inputs(paths, known, model=model)
    bad = _BadLines()
    typed = sys.stdin.isatty() and STANDARD_INPUT in paths
    items = read_items(paths, known, per_line=per_line or typed, report=bad.note if skip_bad_lines else None)
    work = _Work(
        model,
        {"device": device, "language": language, "options_file": options},
        {"min_confidence": min_confidence, "top_k": top_k, "batch_size": 1 if typed else batch_size},
        workers or 0 if ray else None,
    )
    quiet = quiet or typed or write is tag_outputs.print_coloured
    write(_tagged(items, work, total=_total(paths), quiet=quiet))
    bad.say()


def _writer(output: str | None, *, inputs: list[str], force: bool, top_k: int | None) -> Callable[[Tagged], None]:
    """What takes the documents, once it is clear that it can.

    Raises:
        OutputError: The file is an input, or is there already.
        ElmoTaggerError: There is no such kind of output, or it has no place for several taggings.
    """
    from elmo_tagger.cli import tag_outputs
    from elmo_tagger.text.outputs import Output

    if output is None or output == "-":
        coloured = output is None and sys.stdout.isatty()
        return tag_outputs.print_coloured if coloured else tag_outputs.print_json_lines
    target = Output(output, inputs=inputs, force=force)
    write = tag_outputs.write_json_lines if is_pipe(output) else tag_outputs.writer_of(output)
    if top_k is not None and top_k > 1 and write is not tag_outputs.write_json_lines:
        raise ElmoTaggerError(f"--top-k {top_k}: {output} has no place for several taggings: expected .jsonl")
    return lambda tagged: write(tagged, target)


class _Work(NamedTuple):
    """What tags, and how: `workers` is None without Ray, 0 for as many as there are."""

    model: str
    load_options: dict[str, Any]
    pipe_options: dict[str, Any]
    workers: int | None


def _tagged(items: Iterable[Item], work: _Work, *, total: int | None, quiet: bool) -> Iterator[tuple[Item, Document]]:
    """The documents as they are tagged, while a bar shows how far it is."""
    from elmo_tagger.bilm.device import device_name
    from elmo_tagger.cli.progress import WorkProgress

    if work.workers is None:
        tagger = _loaded(work)
        tagged: Tagged = _in_turn(items, tagger, work.pipe_options)
        where = device_name(tagger.device)
    else:
        from elmo_tagger.cli.tag_ray import tag_with_ray

        tagged = tag_with_ray(
            items,
            work.model,
            load_options=work.load_options,
            pipe_options=work.pipe_options,
            workers=work.workers or None,
        )
        where = "Ray's workers"
    with WorkProgress(total, where=where, shown=not quiet and sys.stderr.isatty()) as progress:
        yield from _watched(tagged, progress)


def _loaded(work: _Work) -> Tagger:
    from elmo_tagger.cli.tag_ray import load_tagger

    return load_tagger(work.model, work.load_options)


def _in_turn(items: Iterable[Item], tagger: Tagger, options: dict[str, Any]) -> Iterator[tuple[Item, Document]]:
    waiting: deque[Item] = deque()

    def given() -> Iterator[dict[str, Any]]:
        try:
            for item in items:
                waiting.append(item)
                yield item.given
        except ElmoTaggerError as error:  # which says where it is wrong: `pipe` would count inputs instead
            raise _InputError(error) from error

    try:
        for document in tagger.pipe(given(), **options):
            yield waiting.popleft(), document
    except _InputError as error:
        raise error.problem from None


class _InputError(Exception):
    """What was read is wrong."""

    def __init__(self, problem: ElmoTaggerError) -> None:
        super().__init__(problem)
        self.problem = problem


def _watched(tagged: Tagged, progress: WorkProgress) -> Iterator[tuple[Item, Document]]:
    position = 0
    for item, document in tagged:
        yield item, document
        position += item.bytes
        progress.add(len(document.sentences), len(document.tokens), position=position)


def _total(paths: list[str]) -> int | None:
    """Bytes of the input, where they can be known before."""
    files = [Path(path) for path in paths]
    plain = all(file.is_file() and file.suffix.lower() not in (".gz", ".xz") for file in files)
    return sum(file.stat().st_size for file in files) if plain else None


class _BadLines:
    """Counts what is left out, and names the first."""

    def __init__(self) -> None:
        from elmo_tagger.text.files import skipping

        self._count = 0
        self.note = skipping(self._note)

    def say(self) -> None:
        """The sum, at the end."""
        if self._count:
            warn(f"{self._count:,} bad lines were left out")

    def _note(self, error: DataError) -> None:
        self._count += 1
        if self._count <= _SHOWN_BAD_LINES:
            warn(f"left out: {error}")
