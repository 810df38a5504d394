"""The score report as one HTML file: no scripts, nothing from elsewhere, light or dark as the reader's system is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from elmo_tagger.corpus.html_style import STYLE
from elmo_tagger.corpus.mistakes import KINDS
from elmo_tagger.corpus.score_report import MarkedSentence, ScoreReport
from elmo_tagger.tagging.schemes import OUTSIDE
from elmo_tagger.tagging.scoring import Averages, EntityCounts, Score
from elmo_tagger.text.outputs import Target, new_file
from elmo_tagger.text.sentence import Span


def write_html(report: ScoreReport, path: Target, *, title: str, mistakes: int = 50) -> None:
    """Writes the report.

    Args:
        report: As `score_pairs` returns it; its `marked` sentences are shown.
        path: The file.
        title: What was scored.
        mistakes: How many of the most frequent mistakes to list.

    Raises:
        OSError: The file cannot be written.
    """
    with new_file(path) as file:
        for part in _parts(report, title, mistakes):
            file.write(part.encode(errors="replace"))


def _parts(report: ScoreReport, title: str, mistakes: int) -> Iterable[str]:
    yield (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}: scores</title><style>{STYLE}</style></head><body><main>\n"
    )
    yield _summary(report, title)
    yield _scores(report)
    yield '<div class="columns">'
    yield _section("What became of the entities", _kinds(report))
    if report.seen is not None:
        yield _section("Seen and unseen in training (phrase and type)", _groups(report.seen, "entities"))
    yield _section("By entity length", _groups(report.entity_lengths, "tokens"))
    yield _section("By sentence length", _groups(report.sentence_lengths, "tokens"))
    yield "</div>"
    yield _section("Gold type (row) by predicted type (column)", _confusion(report))
    yield _section("Most frequent mistakes", _mistakes(report, mistakes))
    yield f'<h2>Sentences with mistakes</h2><p class="soft">{_shown(report)}</p>'
    yield (
        '<p class="legend"><mark class="right">right</mark><mark class="lost">in gold, not predicted</mark>'
        '<mark class="wrong">predicted, not in gold</mark></p>'
    )
    for sentence in report.marked:
        yield _sentence(sentence)
    yield "</main></body></html>\n"


def _summary(report: ScoreReport, title: str) -> str:
    micro = report.conlleval.micro()
    tiles = [
        (f"{micro.in_percent().f1:.2f}", "F1, conlleval"),
        (f"{report.strict.micro().in_percent().f1:.2f}", "F1, strict"),
        (f"{report.conlleval.macro().in_percent().f1:.2f}", "macro F1, conlleval"),
        (f"{report.accuracy_in_percent:.2f}", "token accuracy"),
        (f"{micro.gold:,}", f"entities in {report.sentences:,} sentences"),
    ]
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in report.notes)
    if report.difference():
        examples = [*report.gold_ill_formed.examples, *report.predicted_ill_formed.examples]
        items = "".join(f"<li>{escape(example)}</li>" for example in examples)
        notes += f'<div class="note">{escape(report.difference())}<ul>{items}</ul></div>'
    boxes = "".join(f'<div class="tile"><b>{number}</b>{escape(what)}</div>' for number, what in tiles)
    return (
        f'<h1>{escape(title)}</h1><p class="soft">Gold tags in {escape(report.gold_scheme)}, predictions in '
        f"{escape(report.predicted_scheme)}; scores in percent.</p>"
        f'<div class="tiles">{boxes}</div>{notes}'
    )


def _scores(report: ScoreReport) -> str:
    rows = []
    for name in sorted({*report.conlleval.types(), *report.strict.types()}):
        loose, strict = report.conlleval[name], report.strict[name]
        rows.append([escape(name or "(no type)"), *_percent(loose), *_percent(strict), *_counts(loose)])
    loose, strict = report.conlleval.micro(), report.strict.micro()
    rows.append(["macro", *_percent(report.conlleval.macro()), *_percent(report.strict.macro()), "", "", ""])
    rows.append(["overall (micro)", *_percent(loose), *_percent(strict), *_counts(loose)])
    header = ["type", "conlleval P", "R", "F1", "strict P", "R", "F1", "gold", "found", "correct"]
    return _section("Precision, recall and F1", _table(header, rows, totals=2))


def _kinds(report: ScoreReport) -> str:
    kinds = report.mistakes.kinds
    top = max(kinds.values(), default=0)
    return _table(["kind", "entities"], [[kind, _bar(kinds[kind], top, f"{kinds[kind]:,}")] for kind in KINDS])


def _groups(counts: EntityCounts, unit: str) -> str:
    names = sorted(counts.types(), key=lambda name: (int("".join(filter(str.isdigit, name.split("-")[0])) or 0), name))
    rows = [
        [
            escape(name),
            *_percent(counts[name])[:2],
            _bar(counts[name].f1, 1, f"{counts[name].in_percent().f1:.2f}"),
            *_counts(counts[name])[:2],
        ]
        for name in names
    ]
    return _table([unit, "P", "R", "F1", "gold", "found"], rows)


def _confusion(report: ScoreReport) -> str:
    names = [*sorted({name for pair in report.confusion for name in pair if name != OUTSIDE}), OUTSIDE]
    labels = [escape(name or "(no type)") if name != OUTSIDE else "no entity" for name in names]
    rows = []
    for gold, label in zip(names, labels, strict=True):
        total = sum(report.confusion[gold, predicted] for predicted in names) or 1
        cells = [(report.confusion[gold, predicted], report.confusion[gold, predicted] / total) for predicted in names]
        heat = "".join(
            f'<td class="heat" style="--share:{0.6 * share:.2f}">{count:,}</td>' if count else "<td></td>"
            for count, share in cells
        )
        rows.append(f'<tr><td class="text">{label}</td>{heat}</tr>')
    head = "".join(f"<th>{label}</th>" for label in labels)
    return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _mistakes(report: ScoreReport, number: int) -> str:
    rows = [
        [
            escape(key.kind),
            _phrase(key.gold_phrase, key.gold_type, "lost") if key.kind != "invented" else "nothing",
            _phrase(key.predicted_phrase, key.predicted_type, "wrong") if key.kind != "missed" else "nothing",
            f'<span class="example">{escape(sentence)}</span><span class="where">{escape(where)}</span>',
            f"{count:,}",
        ]
        for key, count, where, sentence in report.mistakes.most_common(number)
    ]
    header = ["kind", "gold", "predicted", "for example", "times"]
    return _table(header, rows, text=(0, 1, 2, 3), wrap=(0, 1, 2, 3))


def _shown(report: ScoreReport) -> str:
    wrong = report.sentences - report.exact_sentences
    return f"{len(report.marked):,} shown; {wrong:,} of {report.sentences:,} sentences have a wrong tag."


def _sentence(sentence: MarkedSentence) -> str:
    gold, predicted = set(sentence.gold), set(sentence.predicted)
    sides = [
        ("gold", sentence.gold, {span: "right" if span in predicted else "lost" for span in gold}),
        ("predicted", sentence.predicted, {span: "right" if span in gold else "wrong" for span in predicted}),
    ]
    rows = "".join(
        f'<div class="row"><span class="side">{side}</span>'
        f'<span class="words">{_words(sentence.tokens, spans, classes)}</span></div>'
        for side, spans, classes in sides
    )
    return f'<div class="sentence"><div class="where">{escape(sentence.where)}</div>{rows}</div>\n'


def _words(tokens: Sequence[str], spans: Sequence[Span], classes: dict[Span, str]) -> str:
    parts, done = [], 0
    for span in spans:
        parts += [escape(token) for token in tokens[done : span.start]]
        parts.append(_phrase(" ".join(tokens[span.start : span.end]), span.type, classes[span]))
        done = span.end
    return " ".join([*parts, *(escape(token) for token in tokens[done:])])


def _phrase(text: str, entity_type: str, look: str) -> str:
    return f'<mark class="{look}">{escape(text)}<small>{escape(entity_type)}</small></mark>'


def _section(heading: str, body: str) -> str:
    return f'<section><h2>{escape(heading)}</h2><div class="card">{body}</div></section>\n'


def _table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    text: Sequence[int] = (0,),
    wrap: Sequence[int] = (),
    totals: int = 0,
) -> str:
    """A table of cells that are HTML already; columns `text` are aligned left, `wrap` may break, last rows are bold."""
    looks = [" ".join(["text"] * (i in text) + ["wrap"] * (i in wrap)) for i in range(len(header))]
    head = "".join(f'<th class="{look}">{escape(name)}</th>' for name, look in zip(header, looks, strict=True))
    body = ""
    for index, row in enumerate(rows):
        cells = "".join(f'<td class="{look}">{cell}</td>' for cell, look in zip(row, looks, strict=True))
        body += f'<tr class="total">{cells}</tr>' if index >= len(rows) - totals else f"<tr>{cells}</tr>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _percent(score: Score | Averages) -> list[str]:
    return [f"{value:.2f}" for value in score.in_percent()]


def _counts(score: Score) -> list[str]:
    return [f"{value:,}" for value in score]


def _bar(value: float, top: float, number: str) -> str:
    share = 100 * value / top if top else 0.0
    return f'<span class="bar"><i style="width:{share:.1f}%"></i></span><span class="number">{number}</span>'
