"""`nlp.add_pipe("elmo_tagger", config={"model": ...})`: the tagger as a component of a spaCy pipeline.

It tags the Doc's own tokens, so no entity can fall between two of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import srsly
from spacy.language import Language
from spacy.pipeline import Sentencizer
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example
from spacy.util import filter_spans, minibatch

from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.tagger import Tagger, load
from elmo_tagger.tagger.predictions import Prediction
from elmo_tagger.text.sentence_bounds import sentence_bounds

ANNOTATE = ("ents", "spans", "both")
_MARKS = frozenset(Sentencizer.default_punct_chars) | {"...", "…"}


@Language.factory(
    "elmo_tagger",
    assigns=["doc.ents", "doc.spans", "span._.confidence"],
    default_config={
        "model": "en",
        "annotate": "ents",
        "spans_key": "elmo_tagger",
        "min_confidence": 0.0,
        "device": "cpu",
    },
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
)
def make_component(
    nlp: Language, name: str, model: str, annotate: str, spans_key: str, min_confidence: float, device: str
) -> ElmoTaggerComponent:
    """The component of a config; see `ElmoTaggerComponent`."""
    return ElmoTaggerComponent(
        model, annotate=annotate, spans_key=spans_key, min_confidence=min_confidence, device=device
    )


class ElmoTaggerComponent:
    """Writes the tagger's entities into Docs.

    Args:
        model: As of `elmo_tagger.load`. It is loaded when it is first needed: a pipeline that is read from disk brings
            its own.
        annotate: `"ents"` sets `doc.ents`, where entities of other components stay unless they overlap; `"spans"` sets
            `doc.spans[spans_key]` with their confidences in `attrs["scores"]`; `"both"` does both. Each entity's
            confidence is in `span._.confidence` too.
        spans_key: For `doc.spans`.
        min_confidence: Entities that are less probable are left out.
        device: Where to compute.

    Raises:
        ElmoTaggerError: `annotate` or `min_confidence` is out of range.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        annotate: str = "ents",
        spans_key: str = "elmo_tagger",
        min_confidence: float = 0.0,
        device: str = "cpu",
    ) -> None:
        if annotate not in ANNOTATE:
            raise ElmoTaggerError(f"annotate: expected one of {', '.join(ANNOTATE)}, received {annotate!r}")
        if not 0.0 <= min_confidence <= 1.0:
            raise ElmoTaggerError(f"min_confidence: expected a probability, 0 to 1, received {min_confidence}")
        self._model = model
        self._annotate = annotate
        self._spans_key = spans_key
        self._min_confidence = min_confidence
        self._device = device
        if not Span.has_extension("confidence"):
            Span.set_extension("confidence", default=None)

    @cached_property
    def tagger(self) -> Tagger:
        """The tagger itself."""
        return load(self._model, device=self._device)

    @property
    def labels(self) -> tuple[str, ...]:
        """The types of entities that it finds; none before the tagger is loaded, which spaCy asks for them earlier."""
        loaded = self.__dict__.get("tagger")
        return tuple(loaded.labels) if loaded is not None else ()

    def __call__(self, doc: Doc) -> Doc:
        """Tag a Doc."""
        return next(self.pipe([doc]))

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 256) -> Iterator[Doc]:
        """Tag a stream of Docs, in order, `batch_size` at a time.

        Raises:
            ElmoTaggerError: `batch_size` is below 1.
        """
        if batch_size < 1:  # spaCy's batches would be empty, and no Doc would come back
            raise ElmoTaggerError(f"batch_size: expected 1 or more, received {batch_size}")
        for docs in minibatch(stream, batch_size):  # type: ignore[no-untyped-call]
            sentences = [list(_sentences(doc)) for doc in docs]
            pairs = [(doc, places) for doc, found in zip(docs, sentences, strict=True) for places in found]
            words = [[doc[place].text for place in places] for doc, places in pairs]
            predictions = iter(self.tagger.predict_sentences(words))
            for doc, found in zip(docs, sentences, strict=True):
                self._write(doc, [(places, next(predictions)) for places in found])
                yield doc

    def _write(self, doc: Doc, predictions: Iterable[tuple[list[int], Prediction]]) -> None:
        spans = []
        for places, prediction in predictions:
            for entity in prediction.entities:
                if entity.confidence >= self._min_confidence:
                    span = Span(doc, places[entity.start], places[entity.end - 1] + 1, label=entity.type)
                    span._.confidence = entity.confidence
                    spans.append(span)
        if self._annotate != "spans":
            taken = {place for span in spans for place in range(span.start, span.end)}
            others = [span for span in doc.ents if not taken.intersection(range(span.start, span.end))]
            doc.ents = filter_spans([*spans, *others])
        if self._annotate != "ents":
            scores = np.array([span._.confidence for span in spans], dtype=np.float32)
            doc.spans[self._spans_key] = SpanGroup(doc, name=self._spans_key, spans=spans, attrs={"scores": scores})

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Precision, recall and F1 of entities, as spaCy's `ner` reports them; `nlp.evaluate` calls it."""
        scores: dict[str, Any] = get_ner_prf(examples)
        return scores

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the whole tagger, as a model folder; spaCy calls it when a pipeline is saved."""
        self.tagger.save(path, force=True)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> ElmoTaggerComponent:
        """Read it back."""
        self.tagger = load(Path(path), device=self._device)
        return self

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The files of the model folder as one message."""
        with tempfile.TemporaryDirectory() as folder:
            self.to_disk(folder)
            packed: bytes = srsly.msgpack_dumps({file.name: file.read_bytes() for file in Path(folder).iterdir()})
            return packed

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> ElmoTaggerComponent:
        """The inverse of `to_bytes`."""
        with tempfile.TemporaryDirectory() as folder:
            for name, content in srsly.msgpack_loads(data).items():
                (Path(folder) / Path(name).name).write_bytes(content)
            return self.from_disk(folder)


def _sentences(doc: Doc) -> Iterator[list[int]]:
    """The places of each sentence's tokens; those that are white space are left out, as in training data."""
    if doc.has_annotation("SENT_START"):
        for sent in doc.sents:
            if places := [token.i for token in sent if not token.is_space]:
                yield places
        return
    places = [token.i for token in doc if not token.is_space]
    starts = [doc[place].idx for place in places]
    ends = [doc[place].idx + len(doc[place]) for place in places]
    for first, last in sentence_bounds(doc.text, starts, ends, marks=_MARKS, max_tokens=1000):
        yield places[first:last]
