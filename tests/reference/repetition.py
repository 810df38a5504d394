"""Repeated sentences and disputed phrases, looked for with lists and dictionaries."""

from __future__ import annotations

from collections import Counter

from elmo_tagger.text.sentence import Span

Tagged = tuple[list[str], list[Span]]


def repeated(first: list[Tagged], second: list[Tagged]) -> int:
    """How many sentences of `second` are in `first`; how many come again, where both are the same list."""
    if first is second:
        return len(first) - len({tuple(tokens) for tokens, _ in first})
    known = {tuple(tokens) for tokens, _ in first}
    return sum(tuple(tokens) in known for tokens, _ in second)


def disputed(sentences: list[Tagged]) -> dict[tuple[str, ...], dict[str, int]]:
    """Entity phrases with more than one reading, each reading with its count; `O` is outside of all entities."""
    readings: dict[tuple[str, ...], Counter[str]] = {}
    for tokens, spans in sentences:
        for span in spans:
            readings.setdefault(tuple(tokens[span.start : span.end]), Counter())[span.type] += 1
    for tokens, spans in sentences:
        inside = {position for span in spans for position in range(span.start, span.end)}
        for start in range(len(tokens)):
            for end in range(start + 1, len(tokens) + 1):
                phrase = tuple(tokens[start:end])
                if phrase in readings and not inside & set(range(start, end)):
                    readings[phrase]["O"] += 1
    return {phrase: dict(counts) for phrase, counts in readings.items() if len(counts) > 1}
