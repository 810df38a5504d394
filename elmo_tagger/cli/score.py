"""`elmo-tagger score`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from elmo_tagger.cli.options import (
    AsJson,
    Encoding,
    Force,
    Format,
    GoldColumn,
    GoldScheme,
    PredColumn,
    PredScheme,
    Separator,
)
from elmo_tagger.cli.terminal import Page, print_json
from elmo_tagger.errors import shown

if TYPE_CHECKING:
    from elmo_tagger.corpus.score_report import ScoreReport
    from elmo_tagger.tagging.scoring import EntityCounts

_LONGEST_SENTENCE = 1000  # characters


def score(
    gold: Annotated[Path, typer.Argument(help="Annotated file; alone, it holds gold and predicted tags.")],
    pred: Annotated[
        Optional[Path],
        typer.Argument(help="Predictions: an annotated file, or what `allennlp predict` or `evaluate` wrote."),
    ] = None,
    train: Annotated[Optional[Path], typer.Option(help="Training file, for entities seen and unseen there.")] = None,
    scheme: GoldScheme = None,
    pred_scheme: PredScheme = None,
    file_format: Format = None,
    gold_column: GoldColumn = None,
    pred_column: PredColumn = None,
    separator: Separator = None,
    encoding: Encoding = "utf-8",
    show: Annotated[int, typer.Option(min=0, help="How many of the most frequent mistakes to print.")] = 10,
    html: Annotated[Optional[Path], typer.Option(help="Also write a report for a browser to this file.")] = None,
    html_sentences: Annotated[int, typer.Option(min=0, help="Sentences with mistakes in that report.")] = 500,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Precision, recall and F1 of entities, as conlleval counts and strictly, and what stands behind them."""
    from elmo_tagger.corpus.alignment import pair_reader
    from elmo_tagger.corpus.score import score_pairs
    from elmo_tagger.corpus.sources import count_markers, open_source, open_tagged
    from elmo_tagger.text.formats.format import FileOptions
    from elmo_tagger.text.outputs import Output

    inputs = [path for path in (gold, pred, train) if path]
    page = Output(html, inputs=inputs, force=force) if html else None
    options = FileOptions(format=file_format, tag_column=gold_column, separator=separator, encoding=encoding)
    report = score_pairs(
        pair_reader(str(gold), str(pred) if pred else None, options=options, predicted_column=pred_column),
        scheme=scheme,
        predicted_scheme=pred_scheme,
        train=open_tagged(str(train), FileOptions(encoding=encoding)).sentences() if train else None,
        markers=count_markers(open_source(str(gold), options)),
        keep=html_sentences if page else 0,
    )
    if page:
        from elmo_tagger.corpus.html_report import write_html

        write_html(report, page, title=f"{gold} / {pred}" if pred else str(gold))
    if as_json:
        print_json(report.to_json())
    else:
        _print(report, Page(), show)


def _print(report: ScoreReport, page: Page, show: int) -> None:
    from elmo_tagger.corpus.mistakes import CORRECT, KINDS

    micro = report.conlleval.micro()
    page.line(
        f"processed {report.tokens:,} tokens in {report.sentences:,} sentences with {micro.gold:,} phrases; "
        f"found: {micro.predicted:,} phrases; correct: {micro.correct:,}."
    )
    page.line(
        f"token accuracy: {report.accuracy_in_percent:.2f}%; sentences without a mistake: {report.exact_sentences:,}"
    )
    for note in report.notes:
        page.line(f"note: {note}", style="yellow")
    page.heading("Precision, recall and F1 in percent")
    _print_scores(report, page)
    if report.difference():
        page.line(report.difference(), style="yellow")
        for name, side in (("gold", report.gold_ill_formed), ("predicted", report.predicted_ill_formed)):
            for example in side.examples:
                page.line(f"    {name}: {example}", style="dim")
    page.heading("What became of the entities (as conlleval reads them)")
    page.table(["kind", "entities"], [(kind, report.mistakes.kinds[kind]) for kind in KINDS])
    if report.seen is not None:
        _print_groups(page, "Entities (phrase and type) seen and unseen in training", report.seen)
    _print_groups(page, "By entity length in tokens", report.entity_lengths)
    _print_groups(page, "By sentence length in tokens", report.sentence_lengths)
    _print_calibration(report, page)
    _print_confusion(report, page)
    mistakes = report.mistakes.most_common(show)
    if mistakes:
        page.heading(
            f"Most frequent mistakes ({sum(report.mistakes.kinds.values()) - report.mistakes.kinds[CORRECT]:,} in all)"
        )
    for key, count, where, sentence in mistakes:
        gold = _entity(key.gold_phrase, key.gold_type) if key.kind != "invented" else "nothing"
        predicted = _entity(key.predicted_phrase, key.predicted_type) if key.kind != "missed" else "nothing"
        page.line(f"{count:>6,}  {key.kind}: {gold} -> {predicted}")
        page.line(f"        {where}: {shown(sentence, limit=_LONGEST_SENTENCE, quoted=False)}", style="dim")
    if report.mistakes.forgotten:
        page.line(
            f"Of {report.mistakes.forgotten:,} mistakes that had been seen once, phrases are no longer known; one that "
            "came again later is counted from then on."
        )


def _print_scores(report: ScoreReport, page: Page) -> None:
    rows: list[tuple[object, ...]] = []
    for name in sorted({*report.conlleval.types(), *report.strict.types()}):
        loose, strict = report.conlleval[name], report.strict[name]
        rows.append(
            (name or "(no type)", *loose.in_percent(), *strict.in_percent(), loose.gold, loose.predicted, loose.correct)
        )
    loose, strict = report.conlleval.micro(), report.strict.micro()
    rows.append(("macro", *report.conlleval.macro().in_percent(), *report.strict.macro().in_percent(), "", "", ""))
    rows.append(
        ("overall (micro)", *loose.in_percent(), *strict.in_percent(), loose.gold, loose.predicted, loose.correct)
    )
    header = ["type", "conlleval P", "R", "F1", "strict P", "R", "F1", "gold", "found", "correct"]
    page.table(header, rows)


def _entity(phrase: str, entity_type: str) -> str:
    return f"{shown(phrase, quoted=False)} [{shown(entity_type, quoted=False)}]"


def _print_groups(page: Page, heading: str, counts: EntityCounts) -> None:
    if not counts.types():
        return
    page.heading(heading)
    names = sorted(
        counts.types(), key=lambda name: (int(name.rstrip("+").split("-")[0]) if name[0].isdigit() else 0, name)
    )
    page.table(
        ["group", "P", "R", "F1", "gold", "found", "correct"],
        [(name, *counts[name].in_percent(), *counts[name]) for name in names],
    )


def _print_calibration(report: ScoreReport, page: Page) -> None:
    found = report.reliability
    if found is None:
        return
    page.heading("Confidences: do they say how often an entity is right?")
    page.table(
        ["confidence", "entities", "mean confidence, %", "right, %"],
        [
            (f"{row.low:.1f}-{row.high:.1f}", row.entities, 100 * row.confidence, 100 * row.correct)
            for row in found.bins
        ],
    )
    page.line(f"expected calibration error: {found.expected_error:.4f} (0 is perfect)")


def _print_confusion(report: ScoreReport, page: Page) -> None:
    types = sorted({name for pair in report.confusion for name in pair if name != "O"})
    if not types:
        return
    page.heading("Gold type (row) by predicted type (column); O: no entity there")
    names = [*types, "O"]
    page.table(
        ["", *(name or "(no type)" for name in names)],
        [(row or "(no type)", *(report.confusion[row, column] or "." for column in names)) for row in names],
    )
