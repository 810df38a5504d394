"""Training text as streams: each goes on in the next batch where it stopped, as truncated back-propagation needs it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elmo_tagger.bilm.training.batches import Encoder, LmBatch, Numbers
from elmo_tagger.bilm.training.corpus import Spans


@dataclass(frozen=True)
class StreamOptions:
    """How a text becomes streams.

    Attributes:
        streams: Streams of a batch, of this process alone.
        steps: Words of each stream in a batch; bilm-tf's `unroll_steps`.
        shuffle: Whether the sentences come in another order in every epoch, and in another one to each direction.
        seed: Of these orders.
        process: This process among several that train together, from 0.
        processes: Their number; each has streams of its own.

    Raises:
        ValueError: A number is not positive.
    """

    streams: int = 128  # bilm-tf, bin/train_elmo.py: batch_size, on each GPU
    steps: int = 20  # bilm-tf, bin/train_elmo.py: unroll_steps
    shuffle: bool = True
    seed: int = 0
    process: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        for name in ("streams", "steps", "processes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected a positive number, received {getattr(self, name)}")


class StreamBatches:
    """The batches of an epoch, any of them at once, so that a training can go on anywhere.

    The sentences, in the epoch's order, make one long row of steps, n + 1 for a sentence of n words. It is cut into
    streams of equal length; each process has its own. Fewer steps than there are streams are left over and not used.
    The last batch may have fewer steps than the others.

    The backward direction reads its sentences from their ends, in an order of its own; the words of the two directions
    at the same place of a batch have nothing to do with each other. Source: https://github.com/allenai/bilm-tf,
    bilm/data.py, BidirectionalLMDataset.

    Args:
        encoder: Of the corpus.
        spans: Its sentences.
        options: See `StreamOptions`.

    Raises:
        ValueError: The text is shorter than one step for each stream.
    """

    def __init__(self, encoder: Encoder, spans: Spans, options: StreamOptions) -> None:
        self._encoder, self._spans, self._options = encoder, spans, options
        steps = spans.tokens + len(spans)
        self.steps_of_stream = steps // (options.streams * options.processes)
        if self.steps_of_stream == 0:
            raise ValueError(
                f"expected text for {options.streams * options.processes} streams, received {steps} words and ends of "
                "sentences: use fewer streams"
            )
        self._epoch: tuple[int, tuple[_Row, _Row]] | None = None

    def count(self, epoch: int) -> int:
        """Batches of an epoch, the same for all."""
        return -(-self.steps_of_stream // self._options.steps)

    @property
    def words(self) -> int:
        """Words to predict in an epoch, of each direction, in this process."""
        return self.steps_of_stream * self._options.streams

    def batch(self, epoch: int, number: int) -> LmBatch:
        """A batch; both counted from 0."""
        options = self._options
        first = number * options.steps
        count = min(options.steps, self.steps_of_stream - first)
        streams = options.process * options.streams + np.arange(options.streams)
        places = (streams * self.steps_of_stream + (first + np.arange(count))[:, None]).ravel()
        (forward, forward_step), (backward, backward_step) = (row.at(places) for row in self._rows(epoch))
        return self._encoder.batch(
            (forward, backward), (forward_step, backward_step), sizes=[options.streams] * count, carried=True
        )

    def _rows(self, epoch: int) -> tuple[_Row, _Row]:
        kept = self._epoch
        if kept is None or kept[0] != epoch:
            forward = self._row(epoch, 0)
            self._epoch = kept = epoch, (forward, self._row(epoch, 1) if self._options.shuffle else forward)
        return kept[1]

    def _row(self, epoch: int, direction: int) -> _Row:
        if not self._options.shuffle:
            return _Row(self._spans)
        order = np.random.default_rng([self._options.seed, epoch, direction]).permutation(len(self._spans))
        return _Row(Spans(self._spans.starts[order], self._spans.lengths[order]))


class _Row:
    """Sentences one after the other, as one row of steps."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans
        self._ends = (spans.lengths + 1).cumsum()

    def at(self, places: Numbers) -> tuple[Spans, Numbers]:
        """For each place in the row its sentence and the step within it."""
        sentence = np.searchsorted(self._ends, places, side="right")
        own = Spans(self._spans.starts[sentence], self._spans.lengths[sentence])
        return own, places - (self._ends[sentence] - own.lengths - 1)
