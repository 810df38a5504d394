"""Text as batches of whole sentences, each read without state from before: to measure perplexity, and to train."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elmo_tagger.bilm.training.batches import Encoder, LmBatch, Numbers
from elmo_tagger.bilm.training.corpus import Spans

_POOL = 100  # batches among whose sentences like lengths are looked for, when shuffled


@dataclass(frozen=True)
class SentenceOptions:
    """How a text becomes batches of sentences.

    Attributes:
        words: Words to predict in a batch at most, for each direction (a longer sentence has a batch for itself).
        longest: Longer sentences are cut, each piece being a sentence of its own; None to keep them whole.
        shuffle: Whether batches come in another order in every epoch, as to train.
        seed: Of these orders.
        process: This process among several, from 0.
        processes: Their number; each has batches of its own, all of them equally many: to train, the last ones may be
            left out; otherwise some processes get an empty one.

    Raises:
        ValueError: A number is not positive.
    """

    words: int = 2560
    longest: int | None = None
    shuffle: bool = False
    seed: int = 0
    process: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        for name in ("words", "longest", "processes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected a positive number, received {value}")


class SentenceBatches:
    """The batches of an epoch, any of them at once.

    Args:
        encoder: Of the corpus.
        spans: Its sentences.
        options: See `SentenceOptions`.

    Raises:
        ValueError: There are no sentences.
    """

    def __init__(self, encoder: Encoder, spans: Spans, options: SentenceOptions) -> None:
        if len(spans) == 0:
            raise ValueError("expected sentences, received none: is everything held out, or nothing?")
        self._encoder, self._options = encoder, options
        self._spans = spans if options.longest is None else spans.cut(options.longest)
        self._plan: tuple[int, list[Numbers]] | None = None

    def count(self, epoch: int) -> int:
        """Batches of an epoch; shuffling changes it a little from one to the next."""
        return len(self._batches(epoch))

    @property
    def words(self) -> int:
        """Words to predict in an epoch, of each direction, in all processes."""
        return self._spans.tokens + len(self._spans)

    def batch(self, epoch: int, number: int) -> LmBatch:
        """A batch; both counted from 0. It is empty where other processes have one more than this."""
        chosen = self._batches(epoch)[number]
        starts, lengths = self._spans.starts[chosen], self._spans.lengths[chosen]
        order = np.argsort(-lengths, kind="stable")  # the LSTM wants the longest first
        starts, lengths = starts[order], lengths[order]
        steps = np.arange(lengths[0] + 1 if len(lengths) else 0)
        step, stream = (steps[:, None] <= lengths).nonzero()
        own = Spans(starts[stream], lengths[stream])
        sizes = np.bincount(step, minlength=len(steps)).tolist()
        return self._encoder.batch((own, own), (step, step), sizes=sizes, carried=False)

    def _batches(self, epoch: int) -> list[Numbers]:
        if not self._options.shuffle:
            epoch = 0
        plan = self._plan
        if plan is None or plan[0] != epoch:
            # kept in a variable too: another thread may ask for another epoch
            self._plan = plan = epoch, self._own(self._cut(epoch))
        return plan[1]

    def _own(self, batches: list[Numbers]) -> list[Numbers]:
        """This process's share, as large as the others'."""
        process, processes = self._options.process, self._options.processes
        if self._options.shuffle and len(batches) >= processes:
            return batches[process : len(batches) - len(batches) % processes : processes]
        own = batches[process::processes]
        missing = -(-len(batches) // processes) - len(own)
        return own + [np.empty(0, dtype=np.int64)] * missing

    def _cut(self, epoch: int) -> list[Numbers]:
        """All processes' batches, as numbers of sentences."""
        count, words = len(self._spans), self._options.words
        if not self._options.shuffle:
            return self._cut_pool(np.arange(count))
        random = np.random.default_rng([self._options.seed, epoch])
        order = random.permutation(count)
        # pools of about so many batches: within one, batches of sentences of like length
        ends = (self._spans.lengths[order] + 1).cumsum()
        bounds = np.searchsorted(ends, np.arange(words * _POOL, ends[-1], words * _POOL))
        batches = [batch for pool in np.split(order, bounds) for batch in self._cut_pool(pool)]
        return [batches[place] for place in random.permutation(len(batches))]

    def _cut_pool(self, pool: Numbers) -> list[Numbers]:
        pool = pool[np.argsort(self._spans.lengths[pool], kind="stable")]
        batches: list[Numbers] = []
        first, words = 0, 0
        for place, length in enumerate((self._spans.lengths[pool] + 1).tolist()):
            if words and words + length > self._options.words:
                batches.append(pool[first:place])
                first, words = place, 0
            words += length
        return [*batches, pool[first:]] if words else batches
