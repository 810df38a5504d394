"""Windows by their place in a file, so that whoever can read the file can compute any of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from elmo_tagger.vectors.job import BATCHES_PER_WINDOW
from elmo_tagger.vectors.sentences import SentenceSource
from elmo_tagger.vectors.windows import Window, windows


@dataclass(frozen=True)
class Slice:
    """A window by its place in the input.

    Attributes:
        number: Of the window.
        digest: The window's.
        first: Index of its first sentence.
        count: Its sentences.
        tokens: Their words.
        offset: Byte of the input to begin reading at.
        line: Number of the line there.
        skip: Sentences of that line, or paragraph, that belong to the window before.
    """

    number: int
    digest: str
    first: int
    count: int
    tokens: int
    offset: int
    line: int
    skip: int

    def read(self, source: SentenceSource) -> Window:
        """The window itself."""
        sentences = source.read(offset=self.offset, first_line=self.line)
        return Window(self.first, list(islice(sentences, self.skip, self.skip + self.count)))


def slices(source: SentenceSource, *, batch_tokens: int) -> Iterator[Slice]:
    """The windows of an input, found by reading it once."""
    before, repeated = -1, 0  # the line, or paragraph, that the last window ended in, and its sentences so far
    for number, window in enumerate(windows(source.read(), max_tokens=BATCHES_PER_WINDOW * batch_tokens)):
        start, last = window.sentences[0], window.sentences[-1]
        skip = repeated if start.paragraph == before else 0
        place = (start.paragraph, start.paragraph_line, skip)
        yield Slice(number, window.digest, window.first, len(window.sentences), window.tokens, *place)
        here = sum(sentence.paragraph == last.paragraph for sentence in window.sentences)
        repeated = here + (skip if start.paragraph == last.paragraph else 0)
        before = last.paragraph
