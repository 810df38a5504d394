"""`elmo-tagger vocab`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from elmo_tagger.cli.options import Force
from elmo_tagger.cli.terminal import Page, print_json
from elmo_tagger.pipes import open_kept

if TYPE_CHECKING:
    from elmo_tagger.bilm.training.text_blocks import Report
    from elmo_tagger.bilm.training.word_counts import WordCounts

_SIZES = (1_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
_LITTLE = 1 << 22  # bytes that are read sooner than a process has started


def vocab(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILES", help="Text, one tokenised sentence a line; .gz, .xz; - for standard input."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The vocabulary to write, one word a line.")],
    size: Annotated[Optional[int], typer.Option(min=4, help="Words at most, <S>, </S> and <UNK> included.")] = None,
    min_count: Annotated[int, typer.Option(min=1, help="Leave out words that occur less often.")] = 1,
    counts: Annotated[Optional[Path], typer.Option(help="Also write each word of the text with its count.")] = None,
    workers: Annotated[Optional[int], typer.Option(min=0, help="Processes (default: as many as processors).")] = None,
    force: Force = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")] = False,
) -> None:
    """Count the words of a text, and write the vocabulary that a biLM learns to predict."""
    from elmo_tagger.bilm.training.word_counts import count_words
    from elmo_tagger.text.outputs import Output, new_file

    target = Output(output, inputs=files, force=force)
    counts_target = Output(counts, inputs=[*files, output], force=force) if counts else None
    total = sum(map(_bytes, files))
    if workers is None:
        workers = (os.cpu_count() or 1) if total > _LITTLE else 0
    with _progress(total, shown=not quiet) as report:
        found = count_words(files, workers=workers, report=report)
    vocabulary = found.vocabulary(size=size, min_count=min_count)
    vocabulary.save(target)
    if counts_target is not None:
        with new_file(counts_target) as file:
            file.writelines(f"{word}\t{count}\n".encode() for word, count in found.by_word.items())
    facts = {
        "sentences": found.sentences,
        "tokens": found.tokens,
        "distinct_words": len(found.by_word),
        "vocabulary": len(vocabulary),
        "coverage": found.coverage(len(vocabulary) - 3),
    }
    if json:
        print_json(facts)
    else:
        _show(found, len(vocabulary), output)


def _show(found: WordCounts, words: int, output: Path) -> None:
    page = Page()
    page.line(
        f"{output}: {words:,} words, which cover {found.coverage(words - 3):.2%} of {found.tokens:,} tokens "
        f"({found.sentences:,} sentences, {len(found.by_word):,} distinct words)"
    )
    sizes = [size for size in _SIZES if size < len(found.by_word)]
    if sizes:
        rows = [[f"{size:,}", f"{100 * found.coverage(size):.2f}"] for size in sizes]
        page.table(["words", "coverage %"], rows, left=0)


def _bytes(file: Path) -> int:
    kept = open_kept(file)
    if kept is None:
        return file.stat().st_size
    with kept:
        return os.fstat(kept.fileno()).st_size


@contextmanager
def _progress(total: int, *, shown: bool) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as progress:
        task = progress.add_task("counting", total=total)

        def report(done: int, tokens: int) -> None:
            progress.update(task, completed=done, description=f"{tokens:,} tokens")

        yield report
