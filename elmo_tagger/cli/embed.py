"""`elmo-tagger embed`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from elmo_tagger.cli.terminal import stop, warn

if TYPE_CHECKING:
    from elmo_tagger.vectors.compute import Request
    from elmo_tagger.vectors.model_source import ModelSource
    from elmo_tagger.vectors.sentences import SentenceSource


def embed(
    input: Annotated[
        str, typer.Argument(help="Text (a sentence a line, words set apart by spaces) or .jsonl; - for standard input.")
    ] = "-",
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help=".hdf5, .npy (needs --pool) or .jsonl; - for JSON lines; a folder for --ray."
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
    precision: Annotated[str, typer.Option(help="Of the computation: float32, bfloat16, float16 or tf32.")] = "float32",
    batch_tokens: Annotated[int, typer.Option(min=1, help="Words computed at once; memory grows with it.")] = 4096,
    layout: Annotated[Optional[str], typer.Option(help="Of the input: text or jsonl (default: by its name).")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Find sentences and words in raw text first.")] = False,
    language: Annotated[str, typer.Option(help="For --raw: en, de, ..., or xx for any.")] = "en",
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
    forget_sentences: Annotated[
        bool, typer.Option("--forget-sentences", help="Leave sentence_to_index out of .hdf5.")
    ] = False,
    ray: Annotated[
        bool, typer.Option("--ray", help="Share the work through Ray; --output is a folder of files.")
    ] = False,
    workers: Annotated[Optional[int], typer.Option(min=1, help="For --ray (default: one a GPU, or a CPU).")] = None,
    shards: Annotated[str, typer.Option(help="For --ray: hdf5 or parquet.")] = "hdf5",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Write the vectors of sentences to a file, or to standard output as JSON lines."""
    from elmo_tagger.vectors.compute import Request
    from elmo_tagger.vectors.formats import check_output
    from elmo_tagger.vectors.model_source import ModelSource

    if mix is not None and layers != "all":
        raise ValueError(f"--mix mixes all layers: expected no --layers beside it, received {layers}")
    request = Request(layers=layers, pooling=pool, dtype=dtype, batch_tokens=batch_tokens)
    source = _source(input, layout, language if raw else None)
    model = ModelSource(weights=weights, options=options, mix=mix, precision=precision)
    go_on = {"resume": resume, "overwrite": overwrite}
    if ray:
        _run_ray(source, model, request, output, workers, shards, device, quiet=quiet, **go_on)
    elif check_output(output, pooled=pool is not None, **go_on):
        _run(source, model, request, output, device, resume=resume, forget_sentences=forget_sentences, quiet=quiet)
    else:
        _check_complete(source, model, request, output)
        warn(f"{output} is complete: nothing to resume")


def _run(
    source: SentenceSource,
    model: ModelSource,
    request: Request,
    output: str,
    device: str | None,
    *,
    resume: bool,
    forget_sentences: bool,
    quiet: bool,
) -> None:
    from elmo_tagger.bilm.device import device_name
    from elmo_tagger.cli.progress import EmbeddingProgress
    from elmo_tagger.vectors import job
    from elmo_tagger.vectors.compute import SentenceVectors, chosen_device
    from elmo_tagger.vectors.formats import open_output
    from elmo_tagger.vectors.hdf5_output import MAX_INDEX_BYTES, Hdf5Output

    try:
        bilm, mix = model.load()
        settings = job.settings(source, request, bilm, mix)
        vectors = SentenceVectors(bilm, request, mix=mix, device=chosen_device(device))
        opened = open_output(output, vectors, resume=resume, max_index_bytes=0 if forget_sentences else MAX_INDEX_BYTES)
        with EmbeddingProgress(source.size, where=device_name(vectors.device), shown=not quiet) as progress:
            job.run(source, vectors, opened, settings=settings, report=progress.advance)
    except KeyboardInterrupt:
        stop("" if output == "-" else _what_is_left(output))
    if isinstance(opened, Hdf5Output) and opened.index_dropped:
        warn(f"{output}: sentence_to_index would have had more than {MAX_INDEX_BYTES >> 20} MiB and is left out")


def _check_complete(source: SentenceSource, model: ModelSource, request: Request, output: str) -> None:
    from elmo_tagger.vectors import job
    from elmo_tagger.vectors.formats import complete_state
    from elmo_tagger.vectors.record import check_complete

    state = complete_state(output)  # before a large model is loaded
    check_complete(source, state, settings=job.settings(source, request, *model.load()))


def _run_ray(
    source: SentenceSource,
    model: ModelSource,
    request: Request,
    folder: str,
    workers: int | None,
    shards: str,
    device: str | None,
    *,
    resume: bool,
    overwrite: bool,
    quiet: bool,
) -> None:
    from elmo_tagger.cli.progress import EmbeddingProgress
    from elmo_tagger.vectors import job, ray_job

    settings = job.settings(source, request, *model.load())
    try:
        with EmbeddingProgress(None, where="Ray's workers", shown=not quiet) as progress:
            ray_job.run(
                source,
                model,
                request,
                folder,
                settings=settings,
                shard_format=shards,
                workers=workers,
                device=device,
                resume=resume,
                overwrite=overwrite,
                report=lambda done, _process: progress.add(done.count, done.tokens),
            )
    except KeyboardInterrupt:
        stop(f": what is done is in {folder}, continue with --resume")


def _what_is_left(output: str) -> str:
    from elmo_tagger.vectors.partial_file import partial_names

    part = partial_names(output)[0]
    return f": what is done is in {part}, continue with --resume" if part.exists() else ": nothing was written yet"


def _source(path: str, layout: str | None, language: str | None) -> SentenceSource:
    from elmo_tagger.text.tokenize import Tokenizer
    from elmo_tagger.vectors.sentences import SentenceSource, layout_of

    tokenizer = None if language is None else Tokenizer(language=language)
    return SentenceSource(path=path, layout=layout or layout_of(path), tokenizer=tokenizer)
