"""`elmo-tagger neighbours`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Optional

import typer

from elmo_tagger.cli.options import Force
from elmo_tagger.cli.terminal import Page, print_json, warn
from elmo_tagger.errors import ElmoTaggerError

if TYPE_CHECKING:
    from elmo_tagger.bilm import Bilm
    from elmo_tagger.text.outputs import Output
    from elmo_tagger.vectors.neighbours import Neighbour, Occurrence
    from elmo_tagger.vectors.sentences import SentenceSource
    from elmo_tagger.vectors.word_neighbours import WordNeighbour

_MARGIN = 24  # columns before a context


def neighbours(
    word: Annotated[str, typer.Argument(help="As it stands in the text.")],
    input: Annotated[
        str, typer.Argument(metavar="FILE", help="Text, a sentence a line, or .jsonl; - for standard input.")
    ],
    weights: Annotated[str, typer.Option(help="biLM: a folder, an archive, a .hdf5 file, a URL, or starter.")],
    options: Annotated[Optional[str], typer.Option(help="options.json of a .hdf5 file: path or URL.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Neighbours of each occurrence.")] = 3,
    limit: Annotated[int, typer.Option(min=1, help="Occurrences that are looked at, the first ones.")] = 500,
    words: Annotated[bool, typer.Option("--words", help="Other words, instead of other places of the word.")] = False,
    sentence: Annotated[
        Optional[list[str]],
        typer.Option(help="With --words: the word in this sentence, not in the text's; any number of times."),
    ] = None,
    layer: Annotated[
        Optional[int],
        typer.Option(min=0, help="One layer, 0 being the character CNN (default: all; with --words the top)."),
    ] = None,
    picture: Annotated[
        Optional[Path],
        typer.Option(help="Also draw the vectors' first two principal components: .png, .svg or .pdf.", metavar="FILE"),
    ] = None,
    ignore_case: Annotated[bool, typer.Option("--ignore-case", "-i", help="Cell is cell.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Find sentences and words in raw text first.")] = False,
    language: Annotated[str, typer.Option(help="For --raw: en, de, ..., or xx for any.")] = "en",
    force: Force = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")] = False,
) -> None:
    """For each occurrence of a word, those that are most alike in each layer; or, with --words, the words near it."""
    from elmo_tagger.bilm.loading.source import load_bilm
    from elmo_tagger.text.outputs import Output
    from elmo_tagger.text.tokenize import Tokenizer
    from elmo_tagger.vectors.neighbours import first_occurrences, occurrences
    from elmo_tagger.vectors.sentences import SentenceSource, layout_of

    if sentence and not words:
        raise ElmoTaggerError("--sentence: expected --words with it")
    inputs = [path for path in (input, weights, options) if path]
    target = None if picture is None else Output(picture, inputs=inputs, force=force)
    source = SentenceSource(
        path=input, layout=layout_of(input), tokenizer=Tokenizer(language=language) if raw else None
    )
    given = _of_sentences(sentence or [], language)
    found, more = first_occurrences(
        occurrences(given or source.read(), word, ignore_case=ignore_case),
        limit,
        word=word,
        fewest=1 if words else 2,
    )
    if more:
        warn(f"only the first {limit:,} occurrences of {word!r} are compared; see --limit")
    bilm = load_bilm(weights, options)
    if layer is not None and not 0 <= layer < bilm.num_layers:
        raise ElmoTaggerError(f"--layer: expected a number from 0 to {bilm.num_layers - 1}, received {layer}")
    wanted = _Wanted(bilm, top, layer, target, json)
    if words:
        _words(found, source, wanted, Page())
    else:
        _occurrences(found, wanted, Page())


class _Wanted(NamedTuple):
    """What is to be shown of occurrences, and by which biLM."""

    bilm: Bilm
    top: int
    layer: int | None
    picture: Output | None
    as_json: bool


def _of_sentences(sentences: list[str], language: str) -> list[Any]:
    """Sentences that were typed, each numbered as a line."""
    from elmo_tagger.text.tokenize import Tokenizer
    from elmo_tagger.vectors.sentences import InputSentence

    found = []
    for line, text in enumerate(sentences, start=1):
        tokens = [token for part in Tokenizer(language=language)(text) for token in part.tokens]
        found.append(InputSentence(" ".join(tokens), tokens, 0, line, line, 0))
    return found


def _occurrences(found: list[Occurrence], wanted: _Wanted, page: Page) -> None:
    from elmo_tagger.vectors.compute import Request, SentenceVectors
    from elmo_tagger.vectors.neighbours import nearest, occurrence_vectors
    from elmo_tagger.vectors.picture import draw

    vectors = occurrence_vectors(found, SentenceVectors(wanted.bilm, Request()))
    first, last = (0, vectors.shape[1] - 1) if wanted.layer is None else (wanted.layer, wanted.layer)
    alike = nearest(vectors[:, first : last + 1], wanted.top)
    if wanted.picture is not None:
        labels = [f"#{number + 1} {occurrence.context(30)}" for number, occurrence in enumerate(found)]
        draw(vectors[:, last], labels, [0] * len(found), wanted.picture, title=f"layer {last}")
    if wanted.as_json:
        print_json([_record(occurrence, layers) for occurrence, layers in zip(found, alike, strict=True)])
    else:
        _print(found, alike, first, page)


def _words(found: list[Occurrence], source: SentenceSource, wanted: _Wanted, page: Page) -> None:
    from elmo_tagger.vectors.compute import Request, SentenceVectors
    from elmo_tagger.vectors.picture import draw
    from elmo_tagger.vectors.word_neighbours import nearest_words

    # the top layer separates senses best: experiments/senses
    layer = wanted.bilm.num_layers - 1 if wanted.layer is None else wanted.layer
    request = Request(layers=str(layer))
    vectors, near = nearest_words(found, source.read(), SentenceVectors(wanted.bilm, request), wanted.top)
    if wanted.picture is not None:
        import numpy as np

        rows = [*vectors, *(each.vector for row in near for each in row)]
        labels = [f"#{number + 1} {each.context(30)}" for number, each in enumerate(found)]
        labels += [each.word for row in near for each in row]
        groups = [*range(len(found)), *(number for number, row in enumerate(near) for _ in row)]
        draw(np.stack(rows), labels, groups, wanted.picture, title=f"layer {layer}")
    if wanted.as_json:
        print_json([_word_record(*pair) for pair in zip(found, near, strict=True)])
    else:
        _print_words(found, near, page)


def _record(occurrence: Occurrence, layers: list[list[Neighbour]]) -> dict[str, Any]:
    return {
        **_place(occurrence),
        "layers": [
            [{"occurrence": neighbour.occurrence, "cosine": neighbour.cosine} for neighbour in layer]
            for layer in layers
        ],
    }


def _word_record(occurrence: Occurrence, near: list[WordNeighbour]) -> dict[str, Any]:
    words = [
        {"word": each.word, "count": each.count, "cosine": each.cosine, **_place(each.occurrence)} for each in near
    ]
    return {**_place(occurrence), "words": words}


def _place(occurrence: Occurrence) -> dict[str, Any]:
    return {"line": occurrence.line, "tokens": occurrence.tokens, "place": occurrence.place}


def _width() -> int:
    return max(30, shutil.get_terminal_size().columns - _MARGIN)


def _head(number: int, occurrence: Occurrence, page: Page) -> None:
    page.line()
    page.line(f"{f'#{number + 1}':<5} line {occurrence.line:<7,} {occurrence.context(_width() + 5)}", style="bold")


def _print(found: list[Occurrence], alike: list[list[list[Neighbour]]], first: int, page: Page) -> None:
    for number, (occurrence, layers) in enumerate(zip(found, alike, strict=True)):
        _head(number, occurrence, page)
        for depth, layer in enumerate(layers, start=first):
            for rank, neighbour in enumerate(layer):
                head = f"layer {depth}" if rank == 0 else ""
                context = found[neighbour.occurrence].context(_width())
                page.line(f"  {head:<8} {neighbour.cosine:6.3f}  {f'#{neighbour.occurrence + 1}':<5}{context}")


def _print_words(found: list[Occurrence], near: list[list[WordNeighbour]], page: Page) -> None:
    for number, (occurrence, words) in enumerate(zip(found, near, strict=True)):
        _head(number, occurrence, page)
        for each in words:
            context = each.occurrence.context(_width() - 6)
            page.line(
                f"  {each.word:<14.14} {each.count:>3} x {each.cosine:6.3f}  {each.occurrence.line:>6,}: {context}"
            )
