"""`lm_stream`: batches of a biLM's text, from its compact form on the disk to the device."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Deque, Dict, Iterator, Optional, Tuple, Union

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.common.util import is_distributed
from allennlp.data import DataLoader, DatasetReader, Instance, TensorDict
from allennlp.data.vocabulary import Vocabulary

from elmo_tagger.bilm.training import (
    Encoder,
    LmBatch,
    SentenceBatches,
    SentenceOptions,
    StreamBatches,
    StreamOptions,
)
from elmo_tagger.plugin.lm_reader import LmTextReader
from elmo_tagger.plugin.lm_vocabulary import predicted_words

MODES = ("streams", "sentences")
_AHEAD = 3  # batches made while the device is busy


@DataLoader.register("lm_stream")
class LmStreamLoader(DataLoader):
    """Batches for `elmo_bilm`.

    `"mode": "streams"` is truncated back-propagation, as the original does it: each stream of a batch goes on in the
    next batch, with the LSTM's state, where it stopped. `"mode": "sentences"` gives whole sentences, each read without
    state from before: for held-out perplexity (then with `shuffle: false`), or to train.

    Under `distributed` each process has streams, or sentences, of its own.

    Args:
        reader: An `lm_text`, given by AllenNLP.
        data_path: Given by AllenNLP; see `LmTextReader`.
        mode: `"streams"` or `"sentences"`.
        streams: Streams of a batch, of each process.
        steps: Words of each stream in a batch.
        words: Words of a batch of sentences, at most.
        longest: Longer sentences are cut into several, to bound the memory of training; None to keep them whole.
        shuffle: Another order in every epoch.
        seed: Of these orders.
        batches_per_epoch: Batches between validations, where a pass over the text would take too long; the next epoch
            goes on where this one stopped.
        max_characters_per_token: As in the biLM's options.
        sorted_vocabulary: Refuse a vocabulary that is not sorted by frequency, which a sampled softmax needs.
        lanes: `streams` in earlier configs, where the mode was called `"lanes"` too.
    """

    def __init__(
        self,
        reader: DatasetReader,
        data_path: Any,
        mode: str = "streams",
        streams: int = 128,
        steps: int = 20,
        words: int = 2560,
        longest: Optional[int] = None,
        shuffle: bool = True,
        seed: int = 0,
        batches_per_epoch: Optional[int] = None,
        max_characters_per_token: int = 50,
        sorted_vocabulary: bool = True,
        lanes: Optional[int] = None,
    ) -> None:
        mode = "streams" if mode == "lanes" else mode
        streams = streams if lanes is None else lanes
        if not isinstance(reader, LmTextReader):
            raise ConfigurationError(
                f'lm_stream: expected the dataset reader "lm_text", received {type(reader).__name__}'
            )
        if mode not in MODES:
            raise ConfigurationError(f"mode: expected one of {', '.join(MODES)}, received {mode!r}")
        if batches_per_epoch is not None and batches_per_epoch < 1:
            raise ConfigurationError(f"batches_per_epoch: expected a positive number, received {batches_per_epoch}")
        share = {"process": _rank(), "processes": _processes(), "shuffle": shuffle, "seed": seed}
        try:
            self._streams = StreamOptions(streams=streams, steps=steps, **share)
            self._sentences = SentenceOptions(words=words, longest=longest, **share)
        except ValueError as error:
            raise ConfigurationError(f"lm_stream: {error}") from error
        self._mode = mode
        self._corpus, self._spans = reader.open(data_path)
        self._batches_per_epoch = batches_per_epoch
        self._max_characters = max_characters_per_token
        self._sorted = sorted_vocabulary
        self._batches: Optional[Union[StreamBatches, SentenceBatches]] = None
        self._device: Optional[torch.device] = None
        self._epoch = self._number = 0
        self._skip = 0

    def index_with(self, vocab: Vocabulary) -> None:
        """Takes the words to predict.

        Raises:
            ConfigurationError: They are not sorted by frequency, or the text is too short.
        """
        words = predicted_words(vocab)
        encoder = Encoder(self._corpus, words, max_characters=self._max_characters)
        try:
            if self._sorted:
                words.check_order(encoder.counts(len(words)))
            if self._mode == "streams":
                self._batches = StreamBatches(encoder, self._spans, self._streams)
            else:
                self._batches = SentenceBatches(encoder, self._spans, self._sentences)
        except ValueError as error:
            raise ConfigurationError(f"lm_stream: {error}") from error

    def set_target_device(self, device: torch.device) -> None:
        """Where batches are put."""
        self._device = device

    def iter_instances(self) -> Iterator[Instance]:
        """None: words to predict are given, not gathered from the text."""
        return iter(())

    def skip(self, epochs: int, batches: int) -> None:
        """Says that so many epochs, and batches of the next one, are not needed: they will be empty."""
        if self._batches_per_epoch:
            self._skip = epochs * self._batches_per_epoch + batches
        else:
            self._skip = sum(self._ready.count(epoch) for epoch in range(epochs)) + batches

    def __len__(self) -> int:
        return self._batches_per_epoch or self._ready.count(self._place()[0])

    def __iter__(self) -> Iterator[TensorDict]:
        making: Deque[Future[Optional[LmBatch]]] = deque()
        # one thread: batches are made in their order, and while the device computes
        with ThreadPoolExecutor(1) as thread:
            for _ in range(len(self)):
                making.append(thread.submit(self._make, *self._next()))
                if len(making) > _AHEAD:
                    yield self._placed(making.popleft().result())
            while making:
                yield self._placed(making.popleft().result())

    @property
    def _ready(self) -> Union[StreamBatches, SentenceBatches]:
        if self._batches is None:
            raise ConfigurationError("lm_stream: index_with must be called before batches are taken")
        return self._batches

    def _next(self) -> Tuple[int, int, bool]:
        """Place of the next batch, and whether it is needed."""
        epoch, number = self._place()
        self._epoch, self._number = epoch, number + 1
        self._skip -= 1
        return epoch, number, self._skip < 0

    def _place(self) -> Tuple[int, int]:
        """The next batch, as pass over the text and number in it."""
        if self._number < self._ready.count(self._epoch):
            return self._epoch, self._number
        return self._epoch + 1, 0

    def _make(self, epoch: int, number: int, needed: bool) -> Optional[LmBatch]:
        return self._ready.batch(epoch, number) if needed else None

    def _placed(self, batch: Optional[LmBatch]) -> TensorDict:
        if batch is None:
            return {}
        tensors: Dict[str, Any] = {name: getattr(batch, name) for name in ("character_ids", "rows", "targets")}
        if self._device is not None and self._device.type == "cuda":
            tensors = {name: each.pin_memory().to(self._device, non_blocking=True) for name, each in tensors.items()}
        return {**tensors, "sizes": batch.sizes, "carried": batch.carried}


def _rank() -> int:
    return torch.distributed.get_rank() if is_distributed() else 0


def _processes() -> int:
    return torch.distributed.get_world_size() if is_distributed() else 1
