"""`elmo-tagger compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from typer.core import TyperCommand

from elmo_tagger.cli.options import AsJson, Encoding, Format, GoldColumn, GoldScheme, PredColumn, PredScheme, Separator
from elmo_tagger.cli.terminal import Page, print_json, warn

if TYPE_CHECKING:
    from elmo_tagger.corpus.compare import CompareReport, System
    from elmo_tagger.corpus.runs import Run

_BORDER = "\0--"  # no file has this name


class TwoLists(TyperCommand):
    """Lets `--` part two lists of files, with options before, between and after them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, with the border kept as an argument."""
        return super().parse_args(ctx, [_BORDER if arg == "--" else arg for arg in args])


def compare(
    files: Annotated[list[str], typer.Argument(metavar="A... -- B...", help="Runs of A, then `--`, then runs of B.")],
    gold: Annotated[
        Optional[str], typer.Option(help="Gold file (default: each run's file holds gold and predicted tags).")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Count strictly instead of as conlleval.")] = False,
    scheme: GoldScheme = None,
    pred_scheme: PredScheme = None,
    file_format: Format = None,
    gold_column: GoldColumn = None,
    pred_column: PredColumn = None,
    separator: Separator = None,
    encoding: Encoding = "utf-8",
    resamples: Annotated[int, typer.Option(min=1, help="Random swaps and draws.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Of the random numbers.")] = 0,
    confidence: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of the bootstrap interval.")] = 0.95,
    as_json: AsJson = False,
) -> None:
    """Compare the F1 of two systems: means and spread over runs, a paired test and an interval of the difference."""
    from elmo_tagger.corpus.alignment import pair_reader
    from elmo_tagger.corpus.compare import compare_runs
    from elmo_tagger.corpus.runs import read_system
    from elmo_tagger.text.formats.format import FileOptions

    if not strict and (scheme or pred_scheme):
        raise ValueError("--scheme and --pred-scheme are for --strict: conlleval reads every tag scheme in one way")
    options = FileOptions(format=file_format, tag_column=gold_column, separator=separator, encoding=encoding)

    def counted(names: list[str]) -> list[Run]:
        files = [(gold, name) if gold else (name, None) for name in names]
        reads = [pair_reader(*pair, options=options, predicted_column=pred_column) for pair in files]
        runs = list(zip(names, reads, strict=True))
        return read_system(runs, strict=strict, scheme=scheme, predicted_scheme=pred_scheme)

    first, second = map(counted, _two_lists(files))
    counting = "strict" if strict else "conlleval"
    report = compare_runs(first, second, resamples=resamples, seed=seed, confidence=confidence, counting=counting)
    for warning in report.warnings:
        warn(warning)
    if as_json:
        print_json(report.to_json())
    else:
        _print(report, Page())


def _two_lists(files: list[str]) -> tuple[list[str], list[str]]:
    if files.count(_BORDER) != 1:
        raise ValueError(f"expected the runs of A and those of B with one -- between them, got {files.count(_BORDER)}")
    border = files.index(_BORDER)
    first, second = files[:border], files[border + 1 :]
    if not first or not second:
        raise ValueError(f"expected runs on both sides of --, got {len(first)} and {len(second)}")
    return first, second


def _print(report: CompareReport, page: Page) -> None:
    page.line(f"A: {', '.join(report.first)}")
    page.line(f"B: {', '.join(report.second)}")
    page.heading(f"F1 in percent ({report.counting}) on {report.sentences:,} sentences")
    level = f"{100 * report.confidence:g}% interval"
    header = ["type", "A", "B", "A - B", level, "p", "p (Holm)", "p (runs)"]
    page.table(
        header,
        [
            (
                row.name or "(no type)",
                _mean(row.first),
                _mean(row.second),
                f"{row.difference:+.2f}",
                f"{row.low:+.2f} .. {row.high:+.2f}",
                _p(row.p_sentences),
                _p(row.p_holm),
                _p(row.p_runs),
            )
            for row in report.rows
        ],
    )
    page.line(f"p: approximate randomisation over sentences, {report.resamples:,} resamples, seed {report.seed};")
    page.line("interval: bootstrap over sentences, and over runs where a system has several;")
    page.line("p (Holm): the same p, allowing for the number of types; p (runs): permutation of the runs.")


def _mean(system: System) -> str:
    return f"{system.mean:.2f}" + ("" if system.deviation is None else f" ± {system.deviation:.2f}")


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
