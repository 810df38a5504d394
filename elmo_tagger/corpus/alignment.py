"""Gold sentences side by side with what was predicted for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from elmo_tagger.corpus.predictions import Predicted, Predictions, open_predictions
from elmo_tagger.corpus.sources import Source, open_source, open_tagged
from elmo_tagger.errors import shown
from elmo_tagger.text.files import DataError
from elmo_tagger.text.formats.format import DEFAULTS, FileOptions
from elmo_tagger.text.sentence import Sentence


class Pair(NamedTuple):
    """A gold sentence and the tags predicted for it, one a token; and `Predicted.confidences`."""

    sentence: Sentence
    predicted: list[str]
    confidences: list[float | None] | None = None

    @property
    def tokens(self) -> list[str]:
        """The words."""
        return self.sentence.tokens

    @property
    def gold(self) -> list[str]:
        """The gold tags, one a token."""
        if self.sentence.tags is None:
            raise DataError(f"{self.sentence.where()}: no tags in the gold file")
        return self.sentence.tags


def pair_reader(
    gold: str,
    predictions: str | None = None,
    *,
    options: FileOptions = DEFAULTS,
    predicted_column: int | None = None,
) -> Callable[[], Iterator[Pair]]:
    """A function that begins to read gold and predictions side by side; it can be called again and again.

    Args:
        gold: The annotated file; where `predictions` is None it holds the predictions too.
        predictions: The file of predictions.
        options: What is known about the gold file; its separator and encoding are those of the predictions too.
        predicted_column: Column of the predicted tags; found by default.

    Raises:
        OSError: A file cannot be opened.
        DataError: A file does not hold what it should.
    """
    if predictions is None:
        return lambda: read_pairs(gold, options, predicted_column=predicted_column)
    source = open_tagged(gold, options)
    known = FileOptions(tag_column=predicted_column, separator=options.separator, encoding=options.encoding)
    predicted = open_predictions(predictions, known)
    return lambda: align(source, predicted)


def align(gold: Source, predictions: Predictions) -> Iterator[Pair]:
    """The gold file's sentences with their predictions.

    Predictions may be cut into sentences or documents in another way as long as the tokens are the same; those of
    `allennlp evaluate` may also stand in another order.

    Raises:
        DataError: A token differs, or one file ends before the other; names both places.
    """
    sentences = (sentence for sentence in gold.sentences() if sentence.tokens)
    if predictions.shuffled:
        return _by_content(sentences, predictions)
    return _in_order(sentences, predictions)


def read_pairs(path: str, options: FileOptions = DEFAULTS, *, predicted_column: int | None = None) -> Iterator[Pair]:
    """Pairs from one file that holds both: columns as conlleval reads them, or JSON lines with "gold_tags".

    Args:
        path: The file.
        options: What is known about it; its tags are gold's, in the last column but one by default.
        predicted_column: Column of the predicted tags; the last by default.

    Raises:
        DataError: The file does not hold both.
    """
    gold_column = options.tag_column
    predictions = open_predictions(path, FileOptions(separator=options.separator, encoding=options.encoding))
    first = next(predictions.read(), None)
    if first is not None and first.tokens is not None and first.gold is not None:
        return _self_contained(predictions)
    source = open_source(path, options)
    found = [index for index, name in enumerate(source.columns) if name == "tags"]
    if gold_column is None and predicted_column is None and len(found) < 2:
        raise DataError(
            f"{path}: expected two columns of tags, gold and predicted, since no second file is given; its columns "
            f"look like {', '.join(source.columns) or 'none'}",
            path=path,
        )
    columns = [-2 if gold_column is None else gold_column, -1 if predicted_column is None else predicted_column]
    gold, predicted = (
        replace(source, options=replace(source.options, tag_column=column, untagged=False)).sentences()
        for column in columns
    )
    return (Pair(sentence, guess.tags or []) for sentence, guess in zip(gold, predicted, strict=True))


def _self_contained(predictions: Predictions) -> Iterator[Pair]:
    for item in predictions.read():
        if item.tokens is None or item.gold is None:
            raise DataError(f'{item.where}: no "tokens" and "gold_tags", which earlier lines have')
        if item.tokens:
            yield Pair(Sentence(item.tokens, item.gold, item.where), item.tags, item.confidences)


def _in_order(gold: Iterable[Sentence], predictions: Predictions) -> Iterator[Pair]:
    items = predictions.read()
    tokens: list[str | None] = []
    tags: list[str] = []
    confidences: list[float | None] = []
    where, known = predictions.path, False  # known: whether there are confidences
    for sentence in gold:
        length = len(sentence.tokens)
        while len(tags) < length:
            item = next(items, None)
            if item is None:
                at, expected = sentence.where(len(tags)), shown(sentence.tokens[len(tags)])
                raise DataError(f"{predictions.path}: ends where {at} has {expected}")
            if item.tokens is None and (tags or len(item.tags) != length):
                raise DataError(
                    f"{item.where}: {len(item.tags)} tags, expected {length} as at {sentence.where()}; without tokens "
                    "the sentences must be those of the gold file"
                )
            tokens += item.tokens or [None] * len(item.tags)
            tags += item.tags
            confidences += item.confidences or [None] * len(item.tags)
            where, known = item.where, known or item.confidences is not None
        _compare(sentence, tokens[:length], where)
        yield Pair(sentence, tags[:length], confidences[:length] if known else None)
        del tokens[:length], tags[:length], confidences[:length]
    rest = Predicted(None, tags, None, where) if tags else next(items, None)
    if rest is not None:
        raise DataError(f"{rest.where}: more predictions than the gold file has tokens")


def _compare(sentence: Sentence, tokens: list[str | None], where: str) -> None:
    if tokens == sentence.tokens:
        return
    for position, (expected, received) in enumerate(zip(sentence.tokens, tokens, strict=True)):
        if received is not None and received != expected:
            both = f"token {shown(expected)}, but the prediction ({where}) has {shown(received)}"
            raise DataError(f"{sentence.where(position)}: {both}")


def _by_content(gold: Iterable[Sentence], predictions: Predictions) -> Iterator[Pair]:
    """Sentences are looked for by their tokens; what comes too early waits, so order costs no memory where it holds."""
    items = predictions.read()
    waiting: defaultdict[tuple[str, ...], list[Predicted]] = defaultdict(list)
    for number, sentence in enumerate(gold, start=1):
        key = tuple(sentence.tokens)
        while not waiting.get(key):
            item = next(items, None)
            if item is None:
                raise DataError(
                    f"{predictions.path}: no prediction for sentence {number} ({sentence.where()}): "
                    f"{shown(' '.join(sentence.tokens[:12]), quoted=False)}"
                )
            if item.tokens is None and len(item.tags) != len(key):
                raise DataError(
                    f"{item.where}: {len(item.tags)} tags, expected {len(key)} as at {sentence.where()}; without "
                    "tokens the sentences must be in the order of the gold file"
                )
            waiting[key if item.tokens is None else tuple(item.tokens)].append(item)
        found = waiting[key].pop(0)
        yield Pair(sentence, found.tags, found.confidences)
        if not waiting[key]:
            del waiting[key]
    left = sum(map(len, waiting.values())) + sum(1 for _ in items)
    if left:
        raise DataError(f"{predictions.path}: {left:,} predicted sentences that the gold file does not have")
