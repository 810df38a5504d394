"""`elmo-tagger embed`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NamedTuple, Optional

import typer

from elmo_tagger.cli.options import Force
from elmo_tagger.cli.terminal import stop, warn
from elmo_tagger.errors import ElmoTaggerError

if TYPE_CHECKING:
    from elmo_tagger.bilm import Bilm, ScalarMix
    from elmo_tagger.cli.progress import WorkProgress
    from elmo_tagger.vectors.compute import Request, SentenceVectors
    from elmo_tagger.vectors.destination import Destination
    from elmo_tagger.vectors.model_source import ModelSource
    from elmo_tagger.vectors.sentences import SentenceSource
    from elmo_tagger.vectors.shards import ShardFolder


def embed(
    input: Annotated[
        str, typer.Argument(help="Text (a sentence a line, words set apart by spaces) or .jsonl; - for standard input.")
    ] = "-",
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help=".hdf5, .npy (needs --pool) or .jsonl; a folder for many files; - for JSON lines."
        ),
    ] = "-",
    weights: Annotated[
        Optional[str],
        typer.Option(
            help="biLM: a folder, an archive (model.tar.gz), a .hdf5 file, a URL, or starter (default: that of --mix)."
        ),
    ] = None,
    options: Annotated[Optional[str], typer.Option(help="options.json of a .hdf5 file: path or URL.")] = None,
    layers: Annotated[str, typer.Option(help="all, average, top, concat, or a number (0: character CNN).")] = "all",
    mix: Annotated[
        Optional[str], typer.Option(metavar="ARCHIVE", help="Mix the layers as this trained tagger does.")
    ] = None,
    pool: Annotated[Optional[str], typer.Option(help="One vector a sentence: mean, max or first-last.")] = None,
    dtype: Annotated[str, typer.Option(help="Of the numbers written: float32 or float16.")] = "float32",
    device: Annotated[
        Optional[str], typer.Option(help="cpu, cuda, cuda:1 ... (default: a GPU if there is one).")
    ] = None,
    precision: Annotated[
        str, typer.Option(help="Of weights: float32, float16, bfloat16, int8, tf32, auto.")
    ] = "float32",
    batch_tokens: Annotated[int, typer.Option(min=1, help="Words computed at once; memory grows with it.")] = 4096,
    layout: Annotated[Optional[str], typer.Option(help="Of the input: text or jsonl (default: by its name).")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Find sentences and words in raw text first.")] = False,
    language: Annotated[str, typer.Option(help="For --raw: en, de, ..., or xx for any.")] = "en",
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    force: Force = False,
    forget_sentences: Annotated[
        bool, typer.Option("--forget-sentences", help="Leave sentence_to_index out of .hdf5.")
    ] = False,
    ray: Annotated[bool, typer.Option("--ray", help="Share the work through Ray.")] = False,
    workers: Annotated[Optional[int], typer.Option(min=1, help="For --ray (default: one a GPU, or a CPU).")] = None,
    shards: Annotated[str, typer.Option(help="Files of a folder: hdf5 or parquet.")] = "hdf5",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Write the vectors of sentences to a file, or to standard output as JSON lines."""
    from elmo_tagger.vectors import job
    from elmo_tagger.vectors.compute import Request
    from elmo_tagger.vectors.destination import Destination
    from elmo_tagger.vectors.model_source import ModelSource

    if mix is not None and layers != "all":
        raise ValueError(f"--mix mixes all layers: expected no --layers beside it, received {layers}")
    source = _source(input, layout, language if raw else None)
    request = Request(layers=layers, pooling=pool, dtype=dtype, batch_tokens=batch_tokens)
    model = ModelSource(weights=weights, options=options, mix=mix, precision=precision)
    work = _Work(source, request, model, device, None if not ray else workers or 0, quiet)
    if output == "-":
        if resume or ray:
            raise ValueError("standard output can neither be continued nor shared: expected a file or folder")
        _to_standard_output(work)
        return
    inputs = [path for path in (input, weights, options, mix) if path]
    destination = Destination(output, inputs=inputs, pooled=pool is not None, resume=resume, force=force)
    if destination.complete:
        destination.check_complete(job.settings(source, request, *model.load()))
        typer.echo(f"{output} is complete: nothing to resume", err=True)
    else:
        _to_file(work, destination, shards, forget_sentences=forget_sentences)


class _Work(NamedTuple):
    """What is to be computed, and by whom: `workers` is None without Ray, 0 for as many as there are."""

    source: SentenceSource
    request: Request
    model: ModelSource
    device: str | None
    workers: int | None
    quiet: bool


def _to_standard_output(work: _Work) -> None:
    from elmo_tagger.vectors import job
    from elmo_tagger.vectors.join import json_lines

    vectors = _vectors(work, *work.model.load())
    with _progress(work, vectors) as progress:
        for window, arrays in job.stream(work.source, vectors, report=progress.advance):
            sys.stdout.writelines(json_lines(window, arrays))
            sys.stdout.flush()


def _to_file(work: _Work, destination: Destination, shard_format: str, *, forget_sentences: bool) -> None:
    from elmo_tagger.vectors import job
    from elmo_tagger.vectors.join import MAX_INDEX_BYTES

    bilm, mix = work.model.load()
    settings = job.settings(work.source, work.request, bilm, mix)
    vectors = _vectors(work, bilm, mix)
    computed_on = job.computed_on(vectors.device)
    shards = destination.open(settings, computed_on=computed_on, shard_format=shard_format)
    if shards.begun_on != computed_on:
        warn(f"begun on {shards.begun_on}, continued on {computed_on}: the last bits may differ")
    with _kept(shards), _progress(work, vectors) as progress:
        _compute(work, vectors, shards, progress)
        if not destination.finish(shards, vectors, forget_sentences=forget_sentences):
            size = f"{MAX_INDEX_BYTES >> 20} MiB"
            warn(f"{destination.path}: sentence_to_index would have had more than {size} and is left out")


def _compute(work: _Work, vectors: SentenceVectors, shards: ShardFolder, progress: WorkProgress) -> None:
    from elmo_tagger.vectors import job, ray_job

    if work.workers is None:
        job.run(work.source, vectors, shards, report=progress.advance)
        return
    ray_job.run(
        work.source,
        work.model,
        work.request,
        shards,
        workers=work.workers or None,
        device=work.device,
        report=lambda done, _process: progress.add(done.count, done.tokens),
    )


@contextmanager
def _kept(shards: ShardFolder) -> Iterator[None]:
    """Says what is left of a work that fails or is interrupted; nothing is, before the first shard."""
    try:
        yield
    except (KeyboardInterrupt, Exception) as error:
        left = f"what is done is in {shards.folder}: continue with --resume"
        if shards.empty:
            shards.remove()
            left = "nothing was written yet"
        if isinstance(error, KeyboardInterrupt):
            stop(f": {left}")
        if not isinstance(error, ElmoTaggerError):
            warn(left)
        raise


def _vectors(work: _Work, bilm: Bilm, mix: ScalarMix | None) -> SentenceVectors:
    from elmo_tagger.vectors.compute import SentenceVectors, chosen_device

    return SentenceVectors(bilm, work.request, mix=mix, device=chosen_device(work.device))


def _progress(work: _Work, vectors: SentenceVectors) -> WorkProgress:
    from elmo_tagger.bilm.device import device_name
    from elmo_tagger.cli.progress import WorkProgress

    if work.workers is not None:
        return WorkProgress(None, where="Ray's workers", shown=not work.quiet)
    return WorkProgress(work.source.size, where=device_name(vectors.device), shown=not work.quiet)


def _source(path: str, layout: str | None, language: str | None) -> SentenceSource:
    from elmo_tagger.text.tokenize import Tokenizer
    from elmo_tagger.vectors.sentences import SentenceSource, layout_of

    tokenizer = None if language is None else Tokenizer(language=language)
    return SentenceSource(path=path, layout=layout or layout_of(path), tokenizer=tokenizer)
