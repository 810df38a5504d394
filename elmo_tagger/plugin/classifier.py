"""`elmo_classifier`: one label for a text, and `label`, its predictor."""

from typing import Any, Dict, List, Optional

import torch
from allennlp.common import Lazy
from allennlp.common.checks import ConfigurationError
from allennlp.common.util import JsonDict
from allennlp.data import Instance, TextFieldTensors, Vocabulary
from allennlp.models.model import Model
from allennlp.modules import FeedForward, Seq2SeqEncoder, Seq2VecEncoder, TextFieldEmbedder
from allennlp.modules.seq2vec_encoders import BagOfEmbeddingsEncoder
from allennlp.nn import InitializerApplicator, RegularizerApplicator
from allennlp.nn.util import get_text_field_mask
from allennlp.predictors import Predictor
from allennlp.training.metrics import CategoricalAccuracy, FBetaMeasure

from elmo_tagger.errors import shown
from elmo_tagger.plugin.embedder import mix_metrics
from elmo_tagger.plugin.faster_parts import with_faster_parts
from elmo_tagger.plugin.model import built
from elmo_tagger.text.files import DataError

_SCORES = {"precision": "precision", "recall": "recall", "fscore": "f1-measure"}
"""AllenNLP's names of the scores of a class, and ours."""


@Model.register("elmo_classifier")
class ElmoClassifier(Model):
    """Embedder -> optional encoder -> one vector a text -> optional feed-forward -> label.

    As AllenNLP's `basic_classifier`, but every width that follows from another one (`input_size`, `input_dim`,
    `embedding_dim`) may be left out. Its metrics are `accuracy` and, at the end of an epoch, precision, recall and
    F1 of each label (`f1-measure-LABEL`), and their means over the labels (`f1-measure-macro`).

    Args:
        vocab: The vocabulary.
        text_field_embedder: Words to vectors.
        seq2seq_encoder: Context; by default the embedder's alone.
        seq2vec_encoder: The words' vectors to one; by default their mean.
        feedforward: Between that vector and the labels.
        dropout: On that vector.
        label_namespace: Vocabulary namespace of the labels.
        initializer: Of the parameters.
        regularizer: Of the parameters.
        serialization_dir: Given by AllenNLP.
    """

    default_predictor = "label"
    adds_metrics_when_reset = True

    def __init__(
        self,
        vocab: Vocabulary,
        text_field_embedder: TextFieldEmbedder,
        seq2seq_encoder: Optional[Lazy[Seq2SeqEncoder]] = None,
        seq2vec_encoder: Optional[Lazy[Seq2VecEncoder]] = None,
        feedforward: Optional[Lazy[FeedForward]] = None,
        dropout: float = 0.0,
        label_namespace: str = "labels",
        initializer: InitializerApplicator = InitializerApplicator(),
        regularizer: Optional[RegularizerApplicator] = None,
        serialization_dir: Optional[str] = None,
    ) -> None:
        super().__init__(vocab, regularizer, serialization_dir)
        names = vocab.get_index_to_token_vocabulary(label_namespace)
        self.labels = [names[index] for index in range(len(names))]
        if not self.labels:
            raise ConfigurationError(f"the vocabulary has no labels in its namespace {label_namespace!r}")
        width = text_field_embedder.get_output_dim()
        self._text_field_embedder = text_field_embedder
        self._seq2seq_encoder = None if seq2seq_encoder is None else built(seq2seq_encoder, width)
        width = width if self._seq2seq_encoder is None else self._seq2seq_encoder.get_output_dim()
        mean = BagOfEmbeddingsEncoder(width, averaged=True)
        self._seq2vec_encoder = mean if seq2vec_encoder is None else built(seq2vec_encoder, width)
        width = self._seq2vec_encoder.get_output_dim()
        self._dropout = torch.nn.Dropout(dropout)
        self._feedforward = None if feedforward is None else built(feedforward, width)
        width = width if self._feedforward is None else self._feedforward.get_output_dim()
        self._classification_layer = torch.nn.Linear(width, len(self.labels))
        self._accuracy, self._of_labels = CategoricalAccuracy(), FBetaMeasure()
        with_faster_parts(self)
        initializer(self)

    def forward(  # type: ignore[override]
        self,
        tokens: TextFieldTensors,
        label: Optional[torch.Tensor] = None,
        metadata: Optional[List[Dict[str, Any]]] = None,
    ) -> Dict[str, Any]:
        """Scores a batch.

        Args:
            tokens: From a TextField.
            label: (B,) ids of the true labels.
            metadata: For each text its `words`.

        Returns:
            `logits` and `probs`, (B, labels); `loss`, where labels are given: nats, mean over texts; `tokens`, the
            words, where they are given.
        """
        mask = get_text_field_mask(tokens)
        vectors = self._text_field_embedder(tokens)
        if self._seq2seq_encoder is not None:
            vectors = self._seq2seq_encoder(vectors, mask)
        pooled = self._dropout(self._seq2vec_encoder(vectors, mask))
        if self._feedforward is not None:
            pooled = self._feedforward(pooled)
        logits = self._classification_layer(pooled)
        output: Dict[str, Any] = {"logits": logits, "probs": logits.softmax(-1)}
        if label is not None:
            output["loss"] = torch.nn.functional.cross_entropy(logits, label.long())
            self._accuracy(logits, label)
            self._of_labels(output["probs"], label)
        if metadata is not None:
            output["tokens"] = [each["words"] for each in metadata]
        return output

    def make_output_human_readable(self, output_dict: Dict[str, Any]) -> Dict[str, Any]:
        """For each text `label`, its `probability`, `probabilities` of all labels by name, and `tokens`, the words."""
        rows = output_dict["probs"].tolist()
        readable: Dict[str, Any] = {
            "label": [self.labels[row.index(max(row))] for row in rows],
            "probability": [max(row) for row in rows],
            "probabilities": [dict(zip(self.labels, row, strict=True)) for row in rows],
        }
        return readable | ({"tokens": output_dict["tokens"]} if "tokens" in output_dict else {})

    def get_metrics(self, reset: bool = False) -> Dict[str, float]:
        """The accuracy; with `reset` also the scores of each label, and the learnt mix of ELMo layers."""
        metrics: Dict[str, float] = {"accuracy": self._accuracy.get_metric(reset)}
        if not reset:  # to keep progress bars short
            return metrics
        try:
            scores = self._of_labels.get_metric(reset=True)
        except RuntimeError:  # nothing was counted
            scores = {score: [0.0] * len(self.labels) for score in _SCORES}
        for score, name in _SCORES.items():
            values = scores[score]
            metrics |= {f"{name}-{label}": value for label, value in zip(self.labels, values, strict=True)}
            metrics[f"{name}-macro"] = sum(values) / len(values)
        return metrics | mix_metrics(self)


@Predictor.register("label")
class LabelPredictor(Predictor):
    """Labels texts with an `elmo_classifier`.

    An input is a JSON object with `text` (or `sentence`); its other keys are passed on. An output has `label`, its
    `probability`, the `probabilities` of all labels, and `tokens`, the words.

    Args:
        model: The classifier.
        dataset_reader: Its reader, which finds the words.
        frozen: Whether to switch the model to evaluation.
    """

    def __init__(self, model: Model, dataset_reader: Any, frozen: bool = True) -> None:
        super().__init__(model, dataset_reader, frozen)

    def predict_batch_json(self, inputs: List[JsonDict]) -> List[JsonDict]:
        """The labels of several texts.

        Raises:
            DataError: An input has no text.
        """
        labelled = self.predict_batch_instance(self._batch_json_to_instances(inputs))
        return [{**given, **found} for given, found in zip(inputs, labelled, strict=True)]

    def predict_json(self, inputs: JsonDict) -> JsonDict:
        """The label of a text."""
        (output,) = self.predict_batch_json([inputs])
        return output

    def _json_to_instance(self, json_dict: JsonDict) -> Instance:
        text = json_dict.get("text", json_dict.get("sentence"))
        if not isinstance(text, str):
            raise DataError(f'expected a JSON object with "text", a string, received {shown(json_dict)}')
        return self._dataset_reader.text_to_instance(text)
