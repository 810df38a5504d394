"""`Tagger`: text in, entities out."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elmo_tagger.tagger.calibration import Calibration, Truth, find_temperature
from elmo_tagger.tagger.card import Card
from elmo_tagger.tagger.config import TaggerConfig
from elmo_tagger.tagger.documents import Document, Input, Untagged, batches_by_length, read_input
from elmo_tagger.tagger.elmo_embedder import ElmoEmbedder
from elmo_tagger.tagger.folder import Parts, write_folder
from elmo_tagger.tagger.indexers import build_indexers
from elmo_tagger.tagger.model import SequenceTagger
from elmo_tagger.tagger.predictions import Decoder, Prediction
from elmo_tagger.tagger.vocabulary import Vocabulary
from elmo_tagger.text.files import DataError
from elmo_tagger.text.sentence import Sentence
from elmo_tagger.text.tokenize import Tokenizer


class Tagger:
    """Finds entities in texts: `elmo_tagger.load(model)` makes one.

        tagger = elmo_tagger.load("model.tar.gz")
        doc = tagger("Tim Cook met Merkel in Berlin.")
        for entity in doc.entities:
            print(entity.type, entity.text, entity.start, entity.end, entity.confidence)

    What it says of a sentence depends on that sentence alone, not on its batch nor on what was tagged before: to the
    bit on a CPU whose PyTorch has oneDNN, elsewhere up to the last digits that float32 holds. It may be used by several
    threads at once; they take turns at the network.

    Args:
        config: What it is made of.
        vocabulary: Its words, characters and tags.
        model: Its network, with its weights.
        language: spaCy's code of the language whose word rules split raw text; by default the config's.
        card: What else is known of it.

    Raises:
        ConfigError: Config and vocabulary do not fit together.
        TagSchemeError: The tags are not of the config's scheme.
    """

    def __init__(
        self,
        config: TaggerConfig,
        vocabulary: Vocabulary,
        model: SequenceTagger,
        *,
        language: str | None = None,
        card: Card | None = None,
    ) -> None:
        self.config = config if language is None else replace(config, language=language)
        self.card = card or Card()
        self.vocabulary = vocabulary
        self.model = model.eval().requires_grad_(False)
        self._tokenizer = Tokenizer(language=self.config.language)
        self._indexers = build_indexers(config.token_indexers, vocabulary)
        self._decoder = Decoder(model.crf, vocabulary[config.model.label_namespace].tokens, config.model.label_encoding)
        self._one_by_one = any(each.depends_on_batch for each in model.modules() if isinstance(each, ElmoEmbedder))
        self._turn = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """What makes up a copy, as `multiprocessing` makes one for each of its processes; it gets a lock of its own."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_turn", "_indexers")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The inverse of `__getstate__`."""
        indexers = build_indexers(state["config"].token_indexers, state["vocabulary"])
        self.__dict__.update(state, _turn=threading.Lock(), _indexers=indexers)

    @property
    def tags(self) -> list[str]:
        """The tags that a token may get, by id."""
        return list(self._decoder.tags)

    @property
    def labels(self) -> list[str]:
        """The types of entities that it knows, sorted; none if its tags have no scheme."""
        return list(self._decoder.types)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.model.crf.transitions.device

    def __call__(self, given: Input, *, min_confidence: float = 0.0, top_k: int | None = None) -> Document:
        """Tag one document.

        Args:
            given: A text, which is split into sentences and tokens; a list of tokens, taken as one sentence; or an
                object with one of the keys `text`, `sentence` (split into tokens only) and `tokens`, whose other keys
                come back in `Document.extra`.
            min_confidence: Entities that are less probable are left out; tags stay.
            top_k: For each sentence list this many of the most probable taggings with their probabilities; by default
                what the model's config says, mostly 1 for no list.

        Raises:
            DataError: The input is none of these, or an argument is out of range.
        """
        top_k = self._checked(min_confidence, top_k)
        (document,) = self._tag([self.read(given)], min_confidence, top_k)
        return document

    def read(self, given: Input) -> Untagged:
        """Split an input into sentences of tokens, as `__call__` does before it tags them.

        Raises:
            DataError: It is no input.
        """
        return read_input(given, self._tokenizer)

    def tag(self, tokens: Sequence[str], *, min_confidence: float = 0.0, top_k: int | None = None) -> Document:
        """Tag one sentence of given tokens; its `text` is the tokens joined by spaces. See `__call__`."""
        return self({"tokens": tokens}, min_confidence=min_confidence, top_k=top_k)

    def pipe(
        self,
        inputs: Iterable[Input],
        *,
        batch_size: int = 256,
        min_confidence: float = 0.0,
        top_k: int | None = None,
    ) -> Iterator[Document]:
        """Tag a stream of documents, in order; equal to a call for each, and faster.

        No more than `batch_size` inputs are read ahead, and the network sees a bounded number of tokens at once, so
        memory does not grow with the stream.

        Args:
            inputs: As of `__call__`, mixed as you like.
            batch_size: Documents that are taken together; of short ones many are faster.
            min_confidence: As of `__call__`.
            top_k: As of `__call__`.

        Yields:
            For each input its document. What precedes a bad input is tagged and given first.

        Raises:
            DataError: An input is no input; the message counts inputs from 1. Or an argument is out of range.
        """
        if batch_size < 1:
            raise DataError(f"batch_size: expected 1 or more, received {batch_size}")
        return self._pipe(iter(inputs), batch_size, min_confidence, self._checked(min_confidence, top_k))

    def _checked(self, min_confidence: float, top_k: int | None) -> int:
        """The `top_k` that is meant, once both arguments are in range."""
        if not 0.0 <= min_confidence <= 1.0:
            raise DataError(f"min_confidence: expected a probability, 0 to 1, received {min_confidence}")
        top_k = self.config.model.top_k if top_k is None else top_k
        if top_k < 1:
            raise DataError(f"top_k: expected 1 or more, received {top_k}")
        return top_k

    def _pipe(self, inputs: Iterator[Input], batch_size: int, min_confidence: float, top_k: int) -> Iterator[Document]:
        number = 0
        while True:
            documents: list[Untagged] = []
            problem: Exception | None = None
            try:
                for given in islice(inputs, batch_size):
                    number += 1
                    documents.append(self.read(given))
            except DataError as error:
                problem = DataError(f"input {number}: {error}", path=error.path, line=error.line)
            except Exception as error:  # the stream's own; what it gave before is not lost
                problem = error
            yield from self._tag(documents, min_confidence, top_k)
            if problem is not None:
                raise problem
            if not documents:
                return

    def _tag(self, documents: Sequence[Untagged], min_confidence: float, top_k: int) -> Iterator[Document]:
        sentences = [sentence.tokens for document in documents for sentence in document.sentences]
        predictions = iter(self.predict_sentences(sentences, top_k=top_k))
        for document in documents:
            yield document.assemble(islice(predictions, len(document.sentences)), min_confidence=min_confidence)

    def predict_sentences(self, sentences: Sequence[Sequence[str]], *, top_k: int = 1) -> list[Prediction]:
        """Tag sentences of tokens, without a document around them.

        Args:
            sentences: Their tokens.
            top_k: How many taggings of each to list; 1 for no list.
        """
        predictions = [Prediction([], [])] * len(sentences)
        for batch in self._batches(sentences):
            with self._turn:
                results = self._decoder.predict(*self._score([sentences[index] for index in batch]), n=top_k)
            for index, result in zip(batch, results, strict=True):
                predictions[index] = result
        return predictions

    def calibrate(self, sentences: Iterable[Sentence], *, scheme: str | None = None) -> Calibration:
        """Find the temperature with which confidences mean what they say, and take it on; no tag changes.

        Args:
            sentences: With tags, such as `read_columns("dev.conll")` of a file that the model was not trained on; they
                may have partial labels. What has tags that the model does not know is left out.
            scheme: Of their tags; found by default.

        Raises:
            TemperatureError: There is no sentence by which one could be found.
            TagSchemeError: Ill-formed tags; names the place.
        """
        truth = Truth.of(sentences, self._decoder.tags, source=scheme, target=self.config.model.label_encoding)
        with self._turn:
            scored = [
                (batch, *self._score([truth.sentences[index].tokens for index in batch]))
                for batch in self._batches([sentence.tokens for sentence in truth.sentences])
            ]
            found = find_temperature(self._decoder, self.model.crf, truth, scored)
        self.card = self.card.calibrated(temperature=found.fit.temperature, sentences=found.fit.sentences)
        return found

    def _batches(self, sentences: Sequence[Sequence[str]]) -> Iterator[list[int]]:
        """Sentences that are computed together, without those that have no tokens."""
        filled = [index for index, sentence in enumerate(sentences) if sentence]
        lengths = [len(sentences[index]) for index in filled]
        groups = ([place] for place in range(len(filled))) if self._one_by_one else batches_by_length(lengths)
        for group in groups:
            yield [filled[place] for place in group]

    def _score(self, sentences: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        """Scores of tags (B, T, K) and mask (B, T); for who has the turn."""
        lengths = torch.tensor([len(sentence) for sentence in sentences])
        indexed = {
            name: {key: tensor.to(self.device) for key, tensor in indexer(sentences).items()}
            for name, indexer in self._indexers.items()
        }
        mask = (torch.arange(int(lengths.max())) < lengths.unsqueeze(1)).to(self.device)
        with torch.no_grad():
            return self.model.emissions(indexed, mask), mask

    def save(self, folder: str | Path, *, card: Card | None = None, force: bool = False) -> None:
        """Write the tagger as a model folder: `config.json`, `model.safetensors` and `README.md`.

        The folder has all weights, so that it works elsewhere; of a tagger such as `en`, which shares those of a biLM
        of the package, they are more than the package's own folder has. They keep their type.

        Args:
            folder: Made if need be.
            card: Data, scores and licence for the `README.md`; by default what is known of the model, with the
                sections (`## ...`) of the `README.md` that it was loaded with.
            force: Whether files that are there already may be written over.

        Raises:
            OutputError: One of the files is there already.
            OSError: The folder cannot be written.
        """
        parts = Parts(self.config, self.vocabulary, self.model.state_dict(), card or self.card)
        write_folder(folder, parts, force=force)
