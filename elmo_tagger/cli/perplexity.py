"""`elmo-tagger perplexity`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from elmo_tagger.cli.options import AsJson
from elmo_tagger.cli.terminal import Page, print_json


def perplexity(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Archive or directory of a biLM's training.")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILES", help="Text, one tokenised sentence a line; .gz, .xz.")
    ],
    as_json: AsJson = False,
) -> None:
    """Measure how well a biLM predicts a text: the perplexity of both directions, without state between sentences."""
    from elmo_tagger.bilm.training.evaluation import load_language_model, perplexity_of

    model, vocabulary = load_language_model(run)
    found = perplexity_of(model, vocabulary, files)
    facts = {**found.scores(), "words": found.words, "vocabulary": len(vocabulary)}
    if as_json:
        print_json(facts)
        return
    page = Page()
    page.line(
        f"perplexity {facts['perplexity']:.2f} (forward {facts['forward_perplexity']:.2f}, backward "
        f"{facts['backward_perplexity']:.2f}), {found.words:,} words and ends of sentences"
    )
    page.line(f"over a vocabulary of {len(vocabulary):,} words, whose <UNK> stands for all others")
