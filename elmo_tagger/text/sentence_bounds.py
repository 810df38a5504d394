"""Where sentences end: rules over tokens and the white space between them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

CLOSING = frozenset("\"'”’»›)]}）」』】") | {"''"}  # noqa: RUF001 - as texts write them
WIDE_ENDS = frozenset("。！？｡．")  # noqa: RUF001 - written without a space after them
BEFORE_NUMBERS = frozenset(["No", "no", "Nos", "nos", "Nr", "Fig", "fig", "Art", "art", "Vol", "vol", "p", "pp", "ch"])
_LINE_BREAK = re.compile(r"\r\n|\n|\r")
# "- item", "• item", "3. item", "(3) item", "c) item"
_BULLET = re.compile(r"\s*(?:[-*•‣▪◦–—·●○■□➢✓✔]|\(?\d{1,3}[.)]|\(?[a-z]\))\s+\S")  # noqa: RUF001 - as texts write them
_NUMBER = re.compile(r"^[ \t]*(?P<mark>\(?\d{1,3}[.)])[ \t]+(?=\S)", re.MULTILINE)
_GOES_ON = (",", "-", "(", "[", "/", "&")  # at the end of a line: its sentence does
WRAPPED = 40
"""Characters from which a line may have been broken because it was full."""


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
    follows; not before a lower-case letter, except after `!` and `?` outside quotes, nor behind the number of an item.
    A blank line ends it anyway, and so does a line break that is none of a wrapped paragraph: see `_last_lines`.

    Args:
        text: The text.
        starts: Where its tokens begin, in characters.
        ends: Where they end, exclusive. Between tokens there is only white space.
        marks: Tokens that end sentences.
        per_line: Whether every line break ends a sentence.
        max_tokens: Longer sentences are cut: at a line break, else behind punctuation, else anywhere; None for never.

    Yields:
        First and last token (exclusive) of each sentence; together they are all tokens, in order.
    """
    begin = 0
    last_lines = set() if per_line else _last_lines(text)
    numbers = {match.end("mark") for match in _NUMBER.finditer(text)}
    words = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    end_mark, closed = "", False  # the last token, or the one before what closes directly behind it
    for token, word in enumerate(words):
        gap = text[ends[token - 1] : starts[token]] if token else ""
        if token and (
            len(_LINE_BREAK.findall(gap)) > (not per_line)
            or ends[token - 1] in last_lines
            or (
                end_mark in marks
                and ends[token - 1] not in numbers
                and _ends_at(end_mark, closed, gap, word, words[max(token - 2, 0)])
            )
        ):
            yield from _cut(begin, token, text, starts, ends, max_tokens=max_tokens)
            begin = token
        if token and not gap and word in CLOSING:
            closed = True
        else:
            end_mark, closed = word, False
    if words:
        yield from _cut(begin, len(words), text, starts, ends, max_tokens=max_tokens)


def _last_lines(text: str) -> set[int]:
    """Where lines end, without the white space there, that are the last of a paragraph or of an item of a list.

    A line is one if an item follows, or a line that does not begin in lower case; unless it says that it goes on, or
    was wrapped: it is long, and the next word would have made it longer than any line of the block.
    """
    found: set[int] = set()
    block: list[tuple[int, str]] = []  # lines up to the next blank one, with the places where they end
    at = 0
    for line in [*_LINE_BREAK.split(text), ""]:
        content = line.rstrip()
        if content:
            block.append((at + len(content), content))
        else:
            width = max((len(content) for _, content in block), default=0)
            found.update(end for (end, this), (_, below) in pairwise(block) if _is_last(this, below, width))
            block = []
        at += len(line)
        at += 2 if text.startswith("\r\n", at) else 1
    return found


def _is_last(line: str, following: str, width: int) -> bool:
    if _BULLET.match(following):
        return True
    word = following.split(maxsplit=1)[0]
    if word[0].islower() or line.endswith(_GOES_ON):
        return False
    return len(line) < WRAPPED or len(line) + 1 + len(word) <= width


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
