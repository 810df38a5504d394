"""`elmo-tagger neighbours`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from elmo_tagger.cli.terminal import Page, print_json, warn

if TYPE_CHECKING:
    from elmo_tagger.vectors.neighbours import Neighbour, Occurrence

_MARGIN = 24  # columns before a context


def neighbours(
    word: Annotated[str, typer.Argument(help="As it stands in the text.")],
    input: Annotated[
        str, typer.Argument(metavar="FILE", help="Text, a sentence a line, or .jsonl; - for standard input.")
    ],
    weights: Annotated[str, typer.Option(help="biLM: a folder, an archive, a .hdf5 file, a URL, or starter.")],
    options: Annotated[Optional[str], typer.Option(help="options.json of a .hdf5 file: path or URL.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Neighbours of each occurrence.")] = 3,
    limit: Annotated[int, typer.Option(min=2, help="Occurrences that are compared, the first ones.")] = 500,
    ignore_case: Annotated[bool, typer.Option("--ignore-case", "-i", help="Cell is cell.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Find sentences and words in raw text first.")] = False,
    language: Annotated[str, typer.Option(help="For --raw: en, de, ..., or xx for any.")] = "en",
    json: Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")] = False,
) -> None:
    """For each occurrence of a word, those that are most alike in each layer, by the cosine of their vectors."""
    from elmo_tagger.bilm.loading.source import load_bilm
    from elmo_tagger.text.tokenize import Tokenizer
    from elmo_tagger.vectors.compute import Request, SentenceVectors
    from elmo_tagger.vectors.neighbours import first_occurrences, nearest, occurrence_vectors, occurrences
    from elmo_tagger.vectors.sentences import SentenceSource, layout_of

    tokenizer = Tokenizer(language=language) if raw else None
    source = SentenceSource(path=input, layout=layout_of(input), tokenizer=tokenizer)
    found, more = first_occurrences(occurrences(source.read(), word, ignore_case=ignore_case), limit, word=word)
    if more:
        warn(f"only the first {limit:,} occurrences of {word!r} are compared; see --limit")
    vectors = SentenceVectors(load_bilm(weights, options), Request())
    alike = nearest(occurrence_vectors(found, vectors), top)
    if json:
        print_json([_record(occurrence, layers) for occurrence, layers in zip(found, alike, strict=True)])
    else:
        _print(found, alike, Page())


def _record(occurrence: Occurrence, layers: list[list[Neighbour]]) -> dict[str, Any]:
    return {
        "line": occurrence.line,
        "tokens": occurrence.tokens,
        "place": occurrence.place,
        "layers": [
            [{"occurrence": neighbour.occurrence, "cosine": neighbour.cosine} for neighbour in layer]
            for layer in layers
        ],
    }


def _print(found: list[Occurrence], alike: list[list[list[Neighbour]]], page: Page) -> None:
    width = max(30, shutil.get_terminal_size().columns - _MARGIN)
    for number, (occurrence, layers) in enumerate(zip(found, alike, strict=True)):
        page.line()
        page.line(f"{f'#{number + 1}':<5} line {occurrence.line:<7,} {occurrence.context(width + 5)}", style="bold")
        for depth, layer in enumerate(layers):
            for rank, neighbour in enumerate(layer):
                head = f"layer {depth}" if rank == 0 else ""
                context = found[neighbour.occurrence].context(width)
                page.line(f"  {head:<8} {neighbour.cosine:6.3f}  {f'#{neighbour.occurrence + 1}':<5}{context}")
