"""`elmo-tagger embed`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from elmo_tagger.cli.terminal import warn

if TYPE_CHECKING:
    from elmo_tagger.bilm import Bilm, ScalarMix
    from elmo_tagger.vectors.compute import Request
    from elmo_tagger.vectors.sentences import SentenceSource

_INTERRUPTED = 130  # as shells report a command ended by Ctrl-C


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
            help="biLM: a folder, an archive (model.tar.gz), a .hdf5 file, or a URL (default: that of --mix)."
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
    precision: Annotated[str, typer.Option(help="Of the computation: float32 or bfloat16.")] = "float32",
    batch_tokens: Annotated[int, typer.Option(min=1, help="Words computed at once; memory grows with it.")] = 4096,
    layout: Annotated[Optional[str], typer.Option(help="Of the input: text or jsonl (default: by its name).")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Find sentences and words in raw text first.")] = False,
    language: Annotated[str, typer.Option(help="For --raw: en, de, ..., or xx for any.")] = "en",
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
    forget_sentences: Annotated[
        bool, typer.Option("--forget-sentences", help="Leave sentence_to_index out of .hdf5.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Write the vectors of sentences to a file, or to standard output as JSON lines."""
    from elmo_tagger.vectors.compute import Request
    from elmo_tagger.vectors.formats import check_output

    request = Request(layers=layers, pooling=pool, dtype=dtype, batch_tokens=batch_tokens)
    source = _source(input, layout, language if raw else None)
    if not check_output(output, pooled=pool is not None, resume=resume, overwrite=overwrite):
        warn(f"{output} is complete: nothing to resume")
        return
    bilm, scalar_mix = _model(weights, options, mix, layers, precision)
    _run(
        source,
        bilm,
        request,
        scalar_mix,
        output,
        device=device,
        resume=resume,
        forget_sentences=forget_sentences,
        quiet=quiet,
    )


def _run(
    source: SentenceSource,
    bilm: Bilm,
    request: Request,
    mix: ScalarMix | None,
    output: str,
    *,
    device: str | None,
    resume: bool,
    forget_sentences: bool,
    quiet: bool,
) -> None:
    from elmo_tagger.cli.progress import EmbeddingProgress
    from elmo_tagger.vectors import job
    from elmo_tagger.vectors.compute import SentenceVectors, chosen_device
    from elmo_tagger.vectors.formats import open_output
    from elmo_tagger.vectors.hdf5_output import MAX_INDEX_BYTES, Hdf5Output

    settings = job.settings(source, request, bilm, mix)
    vectors = SentenceVectors(bilm, request, mix=mix, device=chosen_device(device))
    opened = open_output(output, vectors, resume=resume, max_index_bytes=0 if forget_sentences else MAX_INDEX_BYTES)
    try:
        with EmbeddingProgress(source.size, shown=not quiet) as progress:
            job.run(source, vectors, opened, settings=settings, report=progress.advance)
    except KeyboardInterrupt:
        hint = "" if output == "-" else f": what is done is in {output}.part, continue with --resume"
        typer.echo(f"interrupted{hint}", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    if isinstance(opened, Hdf5Output) and opened.index_dropped:
        warn(f"{output}: sentence_to_index would have had more than {MAX_INDEX_BYTES >> 20} MiB and is left out")


def _source(path: str, layout: str | None, language: str | None) -> SentenceSource:
    from elmo_tagger.text.tokenize import Tokenizer
    from elmo_tagger.vectors.sentences import SentenceSource, layout_of

    tokenizer = None if language is None else Tokenizer(language=language)
    return SentenceSource(path=path, layout=layout or layout_of(path), tokenizer=tokenizer)


def _model(
    weights: str | None, options: str | None, mix: str | None, layers: str, precision: str
) -> tuple[Bilm, ScalarMix | None]:
    """The biLM and the mix; one archive can give both."""
    from elmo_tagger.bilm.archive import read_archive
    from elmo_tagger.bilm.weights_source import load_bilm, local

    if weights is None and mix is None:
        raise typer.BadParameter("expected --weights (a biLM) or --mix (a trained tagger)")
    if mix is not None and layers != "all":
        raise typer.BadParameter(f"--mix mixes all layers: expected no --layers beside it, received {layers}")
    trained = None if mix is None else read_archive(local(mix))
    if weights is None:
        assert trained is not None
        return trained.bilm(precision=precision), trained.mix()
    return load_bilm(weights, options, precision=precision), None if trained is None else trained.mix()
