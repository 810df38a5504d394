"""A stream of sentences cut into windows: computed, written and, after an interruption, skipped as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from elmo_tagger.vectors.sentences import InputSentence

MAX_SENTENCES = 4096


@dataclass(frozen=True)
class Window:
    """A run of sentences.

    Attributes:
        first: Index of its first sentence in the input.
        sentences: In the input's order.
    """

    first: int
    sentences: list[InputSentence]

    @property
    def tokens(self) -> int:
        """Words in all."""
        return sum(len(sentence.tokens) for sentence in self.sentences)

    @property
    def digest(self) -> str:
        """A hash of the words of its sentences, and of their place in the input."""
        digest = hashlib.blake2b(str(self.first).encode(), digest_size=8)
        for sentence in self.sentences:
            digest.update("\0".join(sentence.tokens).encode("utf-8", "surrogatepass") + b"\n\0")
        return digest.hexdigest()


def windows(
    sentences: Iterable[InputSentence], *, max_tokens: int, max_sentences: int = MAX_SENTENCES
) -> Iterator[Window]:
    """Cut a stream, the same way whenever the sentences are the same.

    Args:
        sentences: Any number.
        max_tokens: Of a window, unless a single sentence has more.
        max_sentences: Of a window.
    """
    first, held, tokens = 0, list[InputSentence](), 0
    for sentence in sentences:
        if held and (tokens + len(sentence.tokens) > max_tokens or len(held) == max_sentences):
            yield Window(first, held)
            first, held, tokens = first + len(held), [], 0
        held.append(sentence)
        tokens += len(sentence.tokens)
    if held:
        yield Window(first, held)


def length_batches(lengths: list[int], *, max_tokens: int) -> list[list[int]]:
    """Batches of sentences of like length, the longest first.

    Args:
        lengths: Words of each sentence.
        max_tokens: Words of a batch, padding included, unless a single sentence has more.

    Returns:
        Places in `lengths`, each in exactly one batch.
    """
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    batches: list[list[int]] = []
    for place in order:
        if batches and (len(batches[-1]) + 1) * max(1, lengths[batches[-1][0]]) <= max_tokens:
            batches[-1].append(place)
        else:
            batches.append([place])
    return batches
