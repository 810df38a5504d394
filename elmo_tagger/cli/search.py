"""`elmo-tagger search`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from elmo_tagger.cli.options import AsJson, Force
from elmo_tagger.cli.terminal import Page, print_json
from elmo_tagger.errors import ElmoTaggerError


def search(
    input: Annotated[str, typer.Argument(metavar="TEXT", help="Text, a sentence a line, or .jsonl.")],
    query: Annotated[str, typer.Argument(help="A sentence; - to only make the index.")],
    weights: Annotated[str, typer.Option(help="biLM: a folder, an archive, a .hdf5 file, a URL, or starter.")],
    options: Annotated[Optional[str], typer.Option(help="options.json of a .hdf5 file: path or URL.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Sentences that are shown.")] = 5,
    layers: Annotated[str, typer.Option(help="average, top, concat, or a number (0: character CNN).")] = "average",
    pool: Annotated[str, typer.Option(help="A sentence's vector from its words': mean, max or first-last.")] = "mean",
    index: Annotated[
        Optional[Path], typer.Option(help="Keep the vectors in this file, and use them if it is there.", metavar="FILE")
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Compare all sentences of an index, also where they are millions.")
    ] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Find sentences and words in raw text first.")] = False,
    language: Annotated[str, typer.Option(help="Whose rules find words: en, de, ..., or xx for any.")] = "en",
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Find the sentences of a text that are nearest to a query, by the cosine of their vectors.

    Among more than a million sentences of an index it does not look at all, if the extra `search` is installed.
    """
    from functools import partial

    from elmo_tagger.bilm.loading.source import load_bilm
    from elmo_tagger.text.outputs import Output
    from elmo_tagger.text.tokenize import Tokenizer
    from elmo_tagger.vectors import search as searching
    from elmo_tagger.vectors.compute import Request, SentenceVectors
    from elmo_tagger.vectors.sentences import STANDARD_INPUT, SentenceSource, layout_of

    tokenizer = Tokenizer(language=language)
    tokens = [token for sentence in tokenizer(query) for token in sentence.tokens]
    if not tokens or (query == "-" and index is None):
        raise ElmoTaggerError(f"query: expected a sentence, received {query!r}")
    if input == STANDARD_INPUT and index is not None:
        raise ElmoTaggerError("--index: expected a file of text, received standard input, which is there but once")
    if layers == "all":
        raise ElmoTaggerError("--layers: expected one vector a word: average, top, concat or a number, received all")
    # an index that is there is read; only --force writes over it, and nothing over what is read
    inputs = [path for path in (input, weights, options) if path]
    target = None if index is None else Output(index, inputs=inputs, force=force or index.exists())
    source = SentenceSource(path=input, layout=layout_of(input), tokenizer=tokenizer if raw else None)
    vectors = SentenceVectors(load_bilm(weights, options), Request(layers=layers, pooling=pool))
    wanted = [] if query == "-" else vectors([tokens])
    if index is None or target is None:
        found = searching.search(searching.computed(source, vectors), wanted[0], top)
    else:
        settings = searching.settings_of(source, vectors)
        if force or not index.exists():
            count = searching.write_index(target, searching.computed(source, vectors), settings)
            typer.echo(f"{index}: {count:,} sentences", err=True)
        beside = None
        if not exact:
            say = partial(typer.echo, err=True)
            beside = searching.approximate_index(
                index, settings, above=searching.APPROXIMATE_ABOVE, anew=force, report=say
            )
        if query == "-":
            return
        found = searching.search_index(index, settings, wanted[0], top, beside=beside)
    if as_json:
        print_json([{"cosine": each.cosine, "line": each.item.number, "text": each.item.text} for each in found])
        return
    page = Page()
    for each in found:
        page.line(f"{each.cosine:6.3f}  {each.item.number:>8,}: {each.item.text}")
