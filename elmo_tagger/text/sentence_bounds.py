"""Where sentences end: rules over tokens and the white space between them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

CLOSING = frozenset("\"'”’»›)]}）」』】") | {"''"}  # noqa: RUF001 - as texts write them
WIDE_ENDS = frozenset("。！？｡．")  # noqa: RUF001 - written without a space after them
BEFORE_NUMBERS = frozenset(["No", "no", "Nos", "nos", "Nr", "Fig", "fig", "Art", "art", "Vol", "vol", "p", "pp", "ch"])
_LINE_BREAK = re.compile(r"\r\n|\n|\r")


def sentence_bounds(
    text: str,
    starts: Sequence[int],
    ends: Sequence[int],
    *,
    marks: Collection[str],
    per_line: bool = False,
    max_tokens: int | None = None,
) -> Iterator[tuple[int, int]]:
    """Groups the tokens of a text into sentences.

    A sentence ends after a mark, with the quotation marks and brackets that close directly behind it, if white space
    follows; not before a lower-case letter, except after `!` and `?` outside quotes. A blank line ends it anyway.

    Args:
        text: The text.
        starts: Where its tokens begin, in characters.
        ends: Where they end, exclusive. Between tokens there is only white space.
        marks: Tokens that end sentences.
        per_line: Whether every line break ends a sentence, not blank lines alone.
        max_tokens: Longer sentences are cut: at a line break, else behind punctuation, else anywhere; None for never.

    Yields:
        First and last token (exclusive) of each sentence; together they are all tokens, in order.
    """
    begin = 0
    words = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    end_mark, closed = "", False  # the last token, or the one before what closes directly behind it
    for token, word in enumerate(words):
        gap = text[ends[token - 1] : starts[token]] if token else ""
        if token and (
            len(_LINE_BREAK.findall(gap)) > (not per_line)
            or (end_mark in marks and _ends_at(end_mark, closed, gap, word, words[max(token - 2, 0)]))
        ):
            yield from _cut(begin, token, text, starts, ends, max_tokens=max_tokens)
            begin = token
        if token and not gap and word in CLOSING:
            closed = True
        else:
            end_mark, closed = word, False
    if words:
        yield from _cut(begin, len(words), text, starts, ends, max_tokens=max_tokens)


def _ends_at(mark: str, closed: bool, gap: str, following: str, before_mark: str) -> bool:
    """Whether a sentence ends at a mark, given the white space and the word behind it and the word before it."""
    if not gap:
        return mark in WIDE_ENDS and following not in CLOSING | WIDE_ENDS
    if mark == "." and following[0].isdigit() and before_mark in BEFORE_NUMBERS:
        return False
    return not following[0].islower() or (mark in "!?" and not closed)


def _cut(
    begin: int, end: int, text: str, starts: Sequence[int], ends: Sequence[int], *, max_tokens: int | None
) -> Iterator[tuple[int, int]]:
    while max_tokens is not None and end - begin > max_tokens:
        # Not in the first half, or a text of many short lines would be cut far more often than asked for.
        places = range(begin + max_tokens, begin + max_tokens // 2, -1)
        lines = (place for place in places if _LINE_BREAK.search(text, ends[place - 1], starts[place]))
        marks = (place for place in places if not text[ends[place - 1] - 1].isalnum())
        place = next(lines, None) or next(marks, None) or begin + max_tokens
        yield begin, place
        begin = place
    yield begin, end
