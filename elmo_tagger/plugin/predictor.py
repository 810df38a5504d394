"""`entities`: from raw text, a sentence or tokens to entities with their places in the text."""

import itertools
import json
import locale
import sys
from typing import Iterator, List

from allennlp.common.checks import ConfigurationError
from allennlp.common.util import JsonDict, sanitize
from allennlp.data import DatasetReader, Instance
from allennlp.data.tokenizers import Token
from allennlp.models import Model
from allennlp.predictors import Predictor

from elmo_tagger.plugin.reader import ConllColumnsReader
from elmo_tagger.tagger.documents import Untagged, batches_by_length, check_input, joined, read_input
from elmo_tagger.tagger.predictions import Prediction, Tagging, TokenSpan
from elmo_tagger.text.files import DataError
from elmo_tagger.text.tokenize import Tokenizer


class BadInput(dict):  # type: ignore[type-arg]
    """A line that is no input; `problem` says why."""


class _Refused(list):  # type: ignore[type-arg]
    """Outputs, after the last of which comes an error."""

    def __init__(self, outputs: List[JsonDict], problem: str) -> None:
        super().__init__(outputs)
        self._problem = problem

    def __iter__(self) -> Iterator[JsonDict]:
        yield from super().__iter__()
        raise DataError(self._problem)


@Predictor.register("entities")
class EntitiesPredictor(Predictor):
    """Tags documents.

    An input has one of `text` (split into sentences and tokens), `sentence` (split into tokens) or `tokens` (taken as
    they are, joined by spaces for the offsets). Its other keys are passed on. An output has

        text, tokens, tags
        sentences   first and last token (exclusive) of each sentence
        entities    type, text, start, end (characters of `text`, end exclusive: `text[start:end]` is the entity),
                    token_start, token_end, confidence (the entity's posterior probability, in [0, 1])
        n_best      if the model's `top_k` is over 1: for each sentence its taggings with their probabilities

    Args:
        model: An `elmo_bilstm_crf`.
        dataset_reader: Its reader, `conll_columns` or any of AllenNLP's whose `text_to_instance` takes tokens.
        language: spaCy's code of the language whose word rules split raw text.
        min_confidence: Leave out entities that are less probable than this. Tags stay.
        frozen: Whether to switch the model to evaluation.

    Raises:
        ConfigurationError: `min_confidence` is no probability.
    """

    def __init__(
        self,
        model: Model,
        dataset_reader: DatasetReader,
        language: str = "en",
        min_confidence: float = 0.0,
        frozen: bool = True,
    ) -> None:
        super().__init__(model, dataset_reader, frozen)
        if not 0.0 <= min_confidence <= 1.0:
            raise ConfigurationError(f"min_confidence: expected a probability, 0 to 1, received {min_confidence}")
        self._tokenizer = Tokenizer(language=language)
        self._min_confidence = min_confidence
        self._inputs_read = 0

    def load_line(self, line: str) -> JsonDict:
        """One input.

        What is no input is given back as `BadInput`, which prediction refuses when its turn comes: AllenNLP reads a
        batch before it predicts any of it, and good inputs before a bad one are not to be lost.
        """
        self._inputs_read += 1
        try:
            inputs = json.loads(line.removeprefix("\ufeff"))
            check_input(inputs)
        except ValueError as error:
            problem = f"no JSON ({error})" if isinstance(error, json.JSONDecodeError) else str(error)
            where = f"input {self._inputs_read} (lines that are blank not counted)"
            return BadInput(problem=f"{where}: {problem}; received {_excerpt(line)}")
        return inputs

    def dump_line(self, outputs: JsonDict) -> str:
        """One line of JSON; escaped where this machine's encoding lacks a character."""
        line = json.dumps(outputs, ensure_ascii=False) + "\n"
        encodings = (locale.getpreferredencoding(False), getattr(sys.stdout, "encoding", None) or "ascii")
        try:
            for encoding in encodings:
                line.encode(encoding)
        except UnicodeEncodeError:
            return json.dumps(outputs) + "\n"
        return line

    def predict_json(self, inputs: JsonDict) -> JsonDict:
        """The entities of one document."""
        (output,) = self.predict_batch_json([inputs])
        return output

    def predict_batch_json(self, inputs: List[JsonDict]) -> List[JsonDict]:
        """The entities of several documents; equal to `predict_json` of each.

        Raises:
            DataError: An input is not one of those above. From the command line, what precedes it is predicted first.
        """
        good = list(itertools.takewhile(lambda each: not isinstance(each, BadInput), inputs))
        if len(good) < len(inputs):
            return _Refused(self.predict_batch_json(good) if good else [], inputs[len(good)]["problem"])
        documents = [read_input(each, self._tokenizer) for each in inputs]
        instances = [self._instance(sentence.tokens) for document in documents for sentence in document.sentences]
        return self._assembled(documents, self._predict_by_length(instances))

    def predict_instance(self, instance: Instance) -> JsonDict:
        """The entities of one instance of the reader (`--use-dataset-reader`)."""
        return self.predict_batch_instance([instance])[0]

    def predict_batch_instance(self, instances: List[Instance]) -> List[JsonDict]:
        """The entities of several instances; offsets are those of the words joined by spaces."""
        documents = [joined(instance["metadata"]["words"]) for instance in instances]  # type: ignore[index]
        # Known tags would only have a loss computed that nobody asked for.
        untagged = [Instance({n: f for n, f in instance.fields.items() if n != "tags"}) for instance in instances]
        return self._assembled(documents, self._predict_by_length(untagged))

    def _assembled(self, documents: List[Untagged], predictions: List[Prediction]) -> List[JsonDict]:
        """What is printed of documents, given the predictions for all of their sentences."""
        rest = iter(predictions)
        return [
            document.assemble(
                itertools.islice(rest, len(document.sentences)), min_confidence=self._min_confidence
            ).to_json()
            for document in documents
        ]

    def _instance(self, words: List[str]) -> Instance:
        """The reader's instance; one of another kind, as an old archive has, takes tokens as AllenNLP's do."""
        ours = isinstance(self._dataset_reader, ConllColumnsReader)
        return self._dataset_reader.text_to_instance(words if ours else [Token(word) for word in words])

    def _predict_by_length(self, instances: List[Instance]) -> List[Prediction]:
        """The model's predictions, in order; batches are made of sentences of like length and bounded."""
        for instance in instances:
            self._dataset_reader.apply_token_indexers(instance)
        lengths = [len(instance["tokens"]) for instance in instances]  # type: ignore[arg-type]
        predictions = [Prediction([], [])] * len(instances)
        for batch in batches_by_length(lengths):
            results = self._model.forward_on_instances([instances[index] for index in batch])
            for index, result in zip(batch, results, strict=True):
                predictions[index] = _prediction(sanitize(result))
        return predictions


def _prediction(output: JsonDict) -> Prediction:
    """The model's output for a sentence."""
    if "entities" not in output:
        raise DataError("the predictor `entities` needs an elmo_bilstm_crf model: -o '{\"model.type\": ...}'")
    return Prediction(
        output["tags"],
        [TokenSpan(**entity) for entity in output["entities"]],
        [Tagging(**tagging) for tagging in output.get("n_best", [])],
    )


def _excerpt(line: str, width: int = 80) -> str:
    line = line.strip()
    return repr(line if len(line) <= width else line[:width] + "...")
