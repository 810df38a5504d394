"""Predictions against gold: both ways of counting, and what stands behind the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Final

from elmo_tagger.corpus.alignment import Pair
from elmo_tagger.corpus.mistakes import CORRECT, pair_up
from elmo_tagger.corpus.pair_schemes import find_schemes, read_strictly
from elmo_tagger.corpus.score_report import IllFormed, MarkedSentence, ScoreReport
from elmo_tagger.tagging.detection import detect_scheme
from elmo_tagger.tagging.partial import is_partial, open_tokens, read_entities
from elmo_tagger.tagging.schemes import (
    OUTSIDE,
    TagSchemeError,
    conlleval_spans,
    get_scheme,
    problems,
    spans_to_tags,
)
from elmo_tagger.tagging.scoring import EntityCounts, percentage
from elmo_tagger.text.sentence import Sentence, Span

ENTITY_LENGTHS: Final = (1, 2, 3, 4, 6)
SENTENCE_LENGTHS: Final = (1, 11, 21, 31, 51)
"""Lower edges of the groups that scores are broken down by, in tokens."""


_SCRIPT_LETTERS: Final = frozenset("BIE")  # Source: conlleval (2004), its subroutines for the ends of chunks


def score_pairs(
    read: Callable[[], Iterable[Pair]],
    *,
    scheme: str | None = None,
    predicted_scheme: str | None = None,
    train: Iterable[Sentence] | None = None,
    markers: int = 0,
    keep: int = 0,
) -> ScoreReport:
    """Scores predictions in two passes: one to find the tag schemes, one to count.

    Args:
        read: Begins to read the pairs; called twice unless both schemes are given.
        scheme: The gold tags' scheme; by default the one that the fewest sentences break.
        predicted_scheme: The predicted tags' scheme; by default that of gold if it has all of the tags.
        train: Training sentences, for the scores of entities seen and unseen there.
        markers: Lines of the gold file that begin documents, which the conlleval script counts as tokens.
        keep: How many sentences with mistakes the report keeps for display.

    Raises:
        TagSchemeError: Tags of which no scheme has all (among them `O-PER` and `B-`, which the conlleval script would
            read as `O` and as a type without a name).
        DataError: From `read`.
    """
    gold_name, predicted_name, notes = find_schemes(read, scheme, predicted_scheme)
    report = ScoreReport(gold_name, predicted_name, notes)
    known = None if train is None else known_entities(train)
    if known is not None:
        report.seen = EntityCounts({"seen": [0, 0, 0], "unseen": [0, 0, 0]})
    for pair in read():
        _count(report, pair, known, keep)
    if not report.sentences:
        raise TagSchemeError("no sentences to score")
    report.notes += _about_partial_labels(report) + _about_the_script(report, markers)
    return report


def _about_partial_labels(report: ScoreReport) -> list[str]:
    if not report.tokens_left_out:
        return []
    tokens = f"{report.tokens_left_out:,} token{'s' if report.tokens_left_out > 1 else ''}"
    return [
        f"left out: {tokens} with partial labels, and {report.predicted_left_out:,} predicted entities that these "
        "labels leave open; gold entities are those that are certain"
    ]


def _about_the_script(report: ScoreReport, markers: int) -> list[str]:
    """Where the conlleval script itself would print other numbers."""
    notes = []
    for name in dict.fromkeys((report.gold_scheme, report.predicted_scheme)):
        foreign = sorted(set(get_scheme(name).letters) - _SCRIPT_LETTERS)
        if foreign:
            notes.append(
                f"conlleval.pl does not know the {' and '.join(foreign)} of {name} and joins entities there: "
                "the numbers under conlleval are those that it prints for the same entities in BIO"
            )
    if markers:
        tokens, correct = report.tokens + markers, report.correct_tokens + markers
        notes.append(
            f"the conlleval script counts the {markers:,} document marker{'s' if markers > 1 else ''} as tokens: "
            f"{tokens:,} tokens, accuracy {percentage(correct, tokens):.2f}%"
        )
    return notes


def known_entities(sentences: Iterable[Sentence]) -> set[tuple[str, str]]:
    """The entities of a training file, (type, phrase); where labels are partial, those that are certain."""
    sentences = list(sentences)
    partial = any(is_partial(sentence.tags or []) for sentence in sentences)
    scheme = detect_scheme(sentences, strict=False) if partial else ""
    known = set()
    for sentence in sentences:
        tags = sentence.tags or []
        for span in read_entities(sentence, scheme).certain if is_partial(tags) else conlleval_spans(tags):
            known.add((span.type, " ".join(sentence.tokens[span.start : span.end])))
    return known


def _count(report: ScoreReport, pair: Pair, known: set[tuple[str, str]] | None, keep: int) -> None:
    sentence, tokens, gold_tags, predicted_tags = pair.sentence, pair.tokens, pair.gold, pair.predicted
    predicted = conlleval_spans(predicted_tags)
    strict_predicted = read_strictly(predicted_tags, report.predicted_scheme, sentence, "predicted")
    _note_ill_formed(
        report.predicted_ill_formed, predicted_tags, report.predicted_scheme, predicted, strict_predicted, sentence
    )
    if report.gold_scheme != report.predicted_scheme:
        # The same entities are no wrong tags for being written in another way.
        predicted_tags = spans_to_tags(predicted, len(tokens), report.gold_scheme)
    if is_partial(gold_tags):
        reading = read_entities(sentence, report.gold_scheme)
        gold = strict_gold = reading.certain
        found = len(predicted)
        predicted, strict_predicted = reading.counted(predicted), reading.counted(strict_predicted)
        report.predicted_left_out += found - len(predicted)
    else:
        gold = conlleval_spans(gold_tags)
        strict_gold = read_strictly(gold_tags, report.gold_scheme, sentence, "gold")
        _note_ill_formed(report.gold_ill_formed, gold_tags, report.gold_scheme, gold, strict_gold, sentence)
        if report.gold_scheme != report.predicted_scheme:
            gold_tags = spans_to_tags(gold, len(tokens), report.gold_scheme)
    _count_tokens(report, gold_tags, predicted_tags)
    report.conlleval.add(gold, predicted)
    report.strict.add(strict_gold, strict_predicted)
    if pair.confidences is not None:
        begun = ((pair.confidences[span.start], span in set(gold)) for span in predicted)
        report.judged += [(confidence, correct) for confidence, correct in begun if confidence is not None]
    if gold or predicted:
        _break_down(report, tokens, gold, predicted, known)
        matches = pair_up(gold, predicted)
        report.mistakes.add(tokens, matches, sentence.where())
        for _, left, right in matches:
            report.confusion[left.type if left else OUTSIDE, right.type if right else OUTSIDE] += 1
        if len(report.marked) < keep and any(match.kind != CORRECT for match in matches):
            report.marked.append(MarkedSentence(sentence.where(), tokens, gold, predicted))


def _count_tokens(report: ScoreReport, gold: list[str], predicted: list[str]) -> None:
    left_out = sum(open_tokens(gold))
    correct = sum(map(str.__eq__, gold, predicted))  # a predicted tag is never a partial label
    report.sentences += 1
    report.exact_sentences += correct == len(gold) - left_out
    report.tokens += len(gold) - left_out
    report.tokens_left_out += left_out
    report.correct_tokens += correct


def _break_down(
    report: ScoreReport, tokens: list[str], gold: list[Span], predicted: list[Span], known: set[tuple[str, str]] | None
) -> None:
    report.entity_lengths.add(gold, predicted, group=lambda span: group_of(span.end - span.start, ENTITY_LENGTHS))
    length = group_of(len(tokens), SENTENCE_LENGTHS)
    report.sentence_lengths.add(gold, predicted, group=lambda span: length)
    if known is not None and report.seen is not None:
        report.seen.add(
            gold,
            predicted,
            group=lambda span: "seen" if (span.type, " ".join(tokens[span.start : span.end])) in known else "unseen",
        )


def _note_ill_formed(
    side: IllFormed, tags: list[str], scheme: str, loose: list[Span], strict: list[Span], sentence: Sentence
) -> None:
    """Readings agree on well-formed tags, so only sentences on which they do not are looked at closely."""
    if loose == strict:
        return
    found = list(problems(tags, scheme))
    side.sentences += 1
    side.tags += len({position for position, _ in found})
    side.conlleval += len(loose)
    side.strict += len(strict)
    if len(side.examples) < 5 and found:
        position, message = found[0]
        side.examples.append(f"{sentence.where(position)}: {message}")


def group_of(length: int, edges: tuple[int, ...]) -> str:
    """Name of the group that a length falls in: "1", "4-5", "6+" for edges 1, 2, 3, 4, 6."""
    for edge, following in pairwise(edges):
        if length < following:
            return str(edge) if following == edge + 1 else f"{edge}-{following - 1}"
    return f"{edges[-1]}+"
