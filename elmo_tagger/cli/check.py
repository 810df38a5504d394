"""`elmo-tagger check`."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from elmo_tagger.cli.options import AsJson, Encoding, Format, Separator, SkipBadLines, TagColumn, TokenColumn
from elmo_tagger.cli.terminal import Page, print_json

if TYPE_CHECKING:
    from elmo_tagger.corpus.check_report import CheckReport, FileReport


def check(
    files: Annotated[list[Path], typer.Argument(help="Annotated files, the training file among them.")],
    train: Annotated[
        Optional[Path], typer.Option(help="Which of the files is trained on (default: named train, else the first).")
    ] = None,
    scheme: Annotated[
        Optional[str], typer.Option(help="The tag scheme the files should have (default: found).")
    ] = None,
    file_format: Format = None,
    token_column: TokenColumn = None,
    tag_column: TagColumn = None,
    separator: Separator = None,
    encoding: Encoding = "utf-8",
    skip_bad_lines: SkipBadLines = False,
    show: Annotated[int, typer.Option(min=0, help="How many items of each list to print.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Check annotated files before training: exit status 1 if training would fail on them, else 0."""
    from elmo_tagger.corpus.check import check_files
    from elmo_tagger.text.formats.format import FileOptions

    options = FileOptions(
        format=file_format, token_column=token_column, tag_column=tag_column, separator=separator, encoding=encoding
    )
    report = check_files(files, train=train, scheme=scheme, options=options, skip_bad_lines=skip_bad_lines)
    if as_json:
        print_json(report.to_json())
    else:
        _print(report, Page(), show)
    if report.failures:
        raise typer.Exit(1)


def _print(report: CheckReport, page: Page, show: int) -> None:
    _print_files(report, page)
    _print_types(report, page)
    _print_lengths(report, page)
    for file in report.files:
        _print_list(page, f"Ill-formed lines of {file.path}", file.errors, file.messages, show)
        _print_list(
            page, f"Tokens cut by the character CNN in {file.path}", file.long_tokens, file.long_token_places, show
        )
    _print_duplicates(report, page, show)
    _print_inconsistencies(report, page, show)
    _print_verdict(report, page)


def _print_files(report: CheckReport, page: Page) -> None:
    page.heading("Files")
    page.table(
        ["file", "columns", "scheme", "sentences", "tokens", "entities", "ill-formed", "empty"],
        [
            (
                file.path + (" (train)" if file.path == report.train and len(report.files) > 1 else ""),
                " ".join(file.columns) or file.format,
                _scheme(file),
                file.sentences,
                file.tokens,
                sum(file.entities.values()),
                file.errors,
                file.empty_sentences,
            )
            for file in report.files
        ],
        left=3,
    )


def _scheme(file: FileReport) -> str:
    """The best scheme, and where it does not fit everywhere, how many sentences each near one leaves over."""
    if file.scheme is None:
        return "no tags"
    broken = file.broken[file.scheme] if file.scheme in file.broken else 0
    if not broken:
        return file.scheme
    near = sorted(file.broken.items(), key=lambda item: item[1])[:3]
    return f"{file.scheme}? ill-formed sentences: " + ", ".join(f"{name} {count:,}" for name, count in near)


def _print_types(report: CheckReport, page: Page) -> None:
    types = sorted({name for file in report.files for name in file.entities})
    if types:
        page.heading("Entities")
        page.table(
            ["type", *(Path(file.path).name for file in report.files)],
            [(name or "(no type)", *(file.entities.get(name, 0) for file in report.files)) for name in types],
        )
    for file in report.files:
        if file.unknown_labels + file.choices:
            page.line(
                f"{file.path}: partial labels: {file.unknown_labels:,} unknown (?), {file.choices:,} choices; "
                "of the entities those are counted that are certain"
            )
    for path, missing in [*report.missing_types.items(), *report.missing_tags.items()]:
        page.line(f"{path}: {', '.join(missing)} never occur in the training file {report.train}", style="yellow")


def _print_lengths(report: CheckReport, page: Page) -> None:
    sentence_lengths = [file.sentence_lengths for file in report.files]
    entity_lengths = [file.entity_lengths for file in report.files]
    for name, lengths, edges in (
        ("Sentence lengths in tokens", sentence_lengths, [1, 6, 11, 21, 31, 41, 61, 101, 201]),
        ("Entity lengths in tokens", entity_lengths, [1, 2, 3, 4, 5, 6, 11, 21]),
    ):
        bins = [0] * len(edges)
        for counts in lengths:
            for length, count in counts.items():
                bins[sum(edge <= length for edge in edges) - 1] += count if length else 0
        if any(bins):
            while not bins[-1]:
                bins.pop()
            page.heading(name)
            page.histogram(list(zip(_bin_names(edges), bins, strict=False)))


def _bin_names(edges: list[int]) -> list[str]:
    names = [str(a) if b == a + 1 else f"{a}-{b - 1}" for a, b in pairwise(edges)]
    return [*names, f"{edges[-1]}+"]


def _print_list(page: Page, heading: str, total: int, items: list[str], show: int) -> None:
    if not total:
        return
    page.heading(f"{heading}: {total:,}")
    for item in items[:show]:
        page.line(item)
    if total > min(show, len(items)):
        page.line(f"... and {total - min(show, len(items)):,} more")


def _print_duplicates(report: CheckReport, page: Page, show: int) -> None:
    from elmo_tagger.corpus.repetition import LONG

    if not report.duplicates:
        return
    page.heading("Sentences that occur more than once")
    for pair in report.duplicates:
        again = "occur earlier in it" if pair.first == pair.second else f"occur in {pair.first}"
        page.line(f"{pair.second}: {pair.sentences:,} {again}, {pair.long_sentences:,} of {LONG} tokens or more")
        for first, second, text in pair.examples[: min(show, 3)]:
            page.line(f"    {pair.first}:{first} = {pair.second}:{second}: {text}", style="dim")


def _print_inconsistencies(report: CheckReport, page: Page, show: int) -> None:
    if not report.inconsistencies:
        return
    page.heading(f"Phrases annotated in several ways: {report.inconsistent_phrases:,}")
    page.table(
        ["phrase", "readings", "first of each"],
        [
            (
                " ".join(item.phrase),
                ", ".join(f"{name or '(no type)'} {count:,}" for name, count in item.readings.items()),
                ", ".join(item.places.values()),
            )
            for item in report.inconsistencies[:show]
        ],
        left=3,
    )


def _print_verdict(report: CheckReport, page: Page) -> None:
    page.heading("Verdict")
    for warning in report.warnings:
        page.line(f"warning: {warning}", style="yellow")
    for failure in report.failures:
        page.line(f"error: {failure}", style="red")
    warnings = f", {_number(report.warnings, 'warning')}" if report.warnings else ""
    if report.failures:
        page.line(f"{_number(report.failures, 'error')}{warnings}: training would fail", style="red")
    else:
        page.line(f"OK{warnings}", style="green")


def _number(items: list[str], name: str) -> str:
    return f"{len(items):,} {name}{'s' if len(items) != 1 else ''}"
