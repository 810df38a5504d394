"""A recogniser of personal data for Presidio; needs the extra `presidio`.

    registry = RecognizerRegistry()
    registry.add_recognizer(ElmoRecognizer("model.tar.gz"))

In a registry's YAML, which knows the classes that a program has imported (so import this module first), and whose later
versions pass on none but their own keys, so that the variable `ELMO_TAGGER_MODEL` says which model:

    recognizers:
      - name: ElmoRecognizer
        type: predefined

Source: `LocalRecognizer` of presidio-analyzer 2.2.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from elmo_tagger import __version__
from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.tagger import Document, Tagger, load

try:
    from presidio_analyzer import AnalysisExplanation, LocalRecognizer, RecognizerResult
    from presidio_analyzer.nlp_engine import NlpArtifacts
except ImportError as error:
    raise ImportError("the recogniser needs presidio-analyzer: pip install 'elmo-tagger[presidio]'") from error

MODEL_VARIABLE = "ELMO_TAGGER_MODEL"
ENTITIES = {"PER": "PERSON", "LOC": "LOCATION", "ORG": "ORGANIZATION"}
"""Presidio's names of the CoNLL-2003 types."""


class ElmoRecognizer(LocalRecognizer):
    """Finds what a tagger finds, in texts of any length; scores are the entities' posterior probabilities.

    Args:
        model: What `elmo_tagger.load` takes, or a tagger; by default what the environment variable
            `ELMO_TAGGER_MODEL` says.
        supported_entities: Presidio's names of the entities that are wanted; by default all that the tagger knows.
        label_mapping: Presidio's name for each of the tagger's types; one that is missing keeps its own, and None
            leaves it out. By default `ENTITIES`.
        device: Where to compute.
        name: As of every recogniser.
        supported_language: As of every recogniser. Whose word rules split the text is said by the model.
        version: As of every recogniser.
        context: As of every recogniser; a tagger reads the context by itself.

    Raises:
        ElmoTaggerError: There is no model, or the tagger knows none of the wanted entities, or from `load`.
    """

    def __init__(
        self,
        model: str | Path | Tagger | None = None,
        supported_entities: Sequence[str] | None = None,
        label_mapping: Mapping[str, str | None] | None = None,
        device: str = "cpu",
        name: str | None = None,
        supported_language: str = "en",
        version: str = __version__,
        context: list[str] | None = None,
    ) -> None:
        self.name: str  # set by the base class, whose own types are not known
        self._model = os.environ.get(MODEL_VARIABLE) if model is None else model
        if self._model is None:
            raise ElmoTaggerError(f"expected a model, as an argument or in the variable {MODEL_VARIABLE}")
        self._device = device
        self._mapping = ENTITIES if label_mapping is None else label_mapping
        super().__init__(
            supported_entities=[],
            name=name or type(self).__name__,
            supported_language=supported_language,
            version=version,
            context=context,
        )
        known = sorted({found for label in self.tagger.labels if (found := self._name(label)) is not None})
        self.supported_entities = known if supported_entities is None else list(supported_entities)
        foreign = sorted(set(self.supported_entities) - set(known))
        if foreign:
            raise ElmoTaggerError(
                f"supported_entities: expected some of {', '.join(known)}, which the tagger knows, "
                f"received {', '.join(map(str, foreign))}"
            )

    def load(self) -> None:
        """Load the tagger; called when a recogniser is made."""
        assert self._model is not None
        self.tagger = self._model if isinstance(self._model, Tagger) else load(self._model, device=self._device)

    def analyze(
        self, text: str, entities: list[str] | None = None, nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """The entities of a text, all of it.

        Args:
            text: The text.
            entities: Presidio's names of those that are wanted; none, or None, for all supported ones.
            nlp_artifacts: Not needed.
        """
        return self._results(self.tagger(text), entities)

    def analyze_batch(self, texts: Iterable[str], entities: list[str] | None = None) -> list[list[RecognizerResult]]:
        """`analyze` for many texts, several times as fast."""
        return [self._results(document, entities) for document in self.tagger.pipe(texts)]

    def _name(self, label: str) -> str | None:
        return self._mapping.get(label, label)

    def _results(self, document: Document, entities: list[str] | None) -> list[RecognizerResult]:
        wanted = set(self.supported_entities).intersection(entities or self.supported_entities)
        found = []
        for entity in document.entities:
            name = self._name(entity.type)
            if name in wanted:
                why = f"{self.name} tagged it as {entity.type}"
                explanation = AnalysisExplanation(self.name, entity.confidence, textual_explanation=why)
                metadata = {
                    RecognizerResult.RECOGNIZER_NAME_KEY: self.name,
                    RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
                }
                found.append(RecognizerResult(name, entity.start, entity.end, entity.confidence, explanation, metadata))
        return found
