"""`elmo_bilstm_crf`: embedder -> dropout -> encoder -> optional feed-forward -> CRF."""

from typing import Any, Dict, List, Optional

import torch
from allennlp.common.checks import ConfigurationError, check_dimensions_match
from allennlp.data import TextFieldTensors, Vocabulary
from allennlp.models.model import Model
from allennlp.modules import FeedForward, Seq2SeqEncoder, TextFieldEmbedder, TimeDistributed
from allennlp.nn import InitializerApplicator, RegularizerApplicator
from allennlp.nn.util import get_text_field_mask

from elmo_tagger.plugin.embedder import mixes_of
from elmo_tagger.plugin.metric import EntityF1
from elmo_tagger.tagging.crf import ConditionalRandomField
from elmo_tagger.tagging.schemes import OUTSIDE, allowed_transitions, conlleval_spans

REDUCTIONS = ("mean", "sum")
# AllenNLP's names of the strategies, and the CRF's.
WEIGHT_STRATEGIES = {"emission": "emission", "emission_transition": "transition", "lannoy": "lannoy"}


@Model.register("elmo_bilstm_crf")
class ElmoBilstmCrf(Model):
    """A sequence tagger.

    Takes the arguments of AllenNLP's `crf_tagger` with the same meaning, and those marked with a star.

    Args:
        vocab: The vocabulary.
        text_field_embedder: Words to vectors.
        encoder: Context; any Seq2SeqEncoder.
        label_namespace: Vocabulary namespace of the tags.
        feedforward: Between encoder and CRF.
        label_encoding: The tags' scheme, such as `"BIOUL"`. Needed for constraints and for F1.
        include_start_end_transitions: Whether the CRF scores which tags begin and end a sentence.
        constrain_crf_decoding: Whether decoding gives legal sequences alone; true by default if `label_encoding` is
            given.
        calculate_span_f1: Whether to count entities; true by default if `label_encoding` is given.
        dropout: On the embedder's and on the encoder's output.
        verbose_metrics: Whether to report each entity type at the end of an epoch.
        initializer: Of the parameters.
        top_k: How many taggings a sentence gets in the output, with their probabilities.
        ignore_loss_on_o_tags: The loss is that of the tags other than `O`; what stands at the others is summed over.
        label_weights: Weights of tags in the loss, 1 for those not named.
        weight_strategy: `"emission"` (default), `"emission_transition"` or `"lannoy"`.
        constrain_training: * Whether the constraints hold in the loss and in confidences too. False equals AllenNLP.
        loss_reduction: * `"mean"` over sentences, or `"sum"`, which is AllenNLP's.
        training_f1: * Whether to decode on training steps, for the F1 on training data.
        regularizer: Of the parameters.
        serialization_dir: Given by AllenNLP.
    """

    default_predictor = "entities"

    def __init__(
        self,
        vocab: Vocabulary,
        text_field_embedder: TextFieldEmbedder,
        encoder: Seq2SeqEncoder,
        label_namespace: str = "labels",
        feedforward: Optional[FeedForward] = None,
        label_encoding: Optional[str] = None,
        include_start_end_transitions: bool = True,
        constrain_crf_decoding: Optional[bool] = None,
        calculate_span_f1: Optional[bool] = None,
        dropout: Optional[float] = None,
        verbose_metrics: bool = True,
        initializer: InitializerApplicator = InitializerApplicator(),
        top_k: int = 1,
        ignore_loss_on_o_tags: bool = False,
        label_weights: Optional[Dict[str, float]] = None,
        weight_strategy: Optional[str] = None,
        constrain_training: bool = True,
        loss_reduction: str = "mean",
        training_f1: bool = False,
        regularizer: Optional[RegularizerApplicator] = None,
        serialization_dir: Optional[str] = None,
    ) -> None:
        super().__init__(vocab, regularizer, serialization_dir)
        if loss_reduction not in REDUCTIONS:
            raise ConfigurationError(f"loss_reduction {loss_reduction!r}: expected one of {', '.join(REDUCTIONS)}")
        names = vocab.get_index_to_token_vocabulary(label_namespace)
        self.tags = [names[index] for index in range(len(names))]
        if not self.tags:
            raise ConfigurationError(f"the vocabulary has no tags in its namespace {label_namespace!r}")
        self.label_encoding = label_encoding
        self.top_k = top_k
        self.ignore_loss_on_o_tags = ignore_loss_on_o_tags
        self.loss_reduction = loss_reduction
        self.training_f1 = training_f1

        self.text_field_embedder = text_field_embedder
        self.dropout = torch.nn.Dropout(dropout or 0.0)
        self.encoder = encoder
        self._feedforward = feedforward
        check_dimensions_match(
            text_field_embedder.get_output_dim(), encoder.get_input_dim(), "embedder output dim", "encoder input dim"
        )
        width = encoder.get_output_dim()
        if feedforward is not None:
            check_dimensions_match(width, feedforward.get_input_dim(), "encoder output dim", "feedforward input dim")
            width = feedforward.get_output_dim()
        # TimeDistributed for the sake of the parameter's name in old archives.
        self.tag_projection_layer = TimeDistributed(torch.nn.Linear(width, len(self.tags)))
        self.crf = self._build_crf(
            self._needs_encoding("constrain_crf_decoding", constrain_crf_decoding),
            constrain_training,
            include_start_end_transitions,
            self._weights(label_weights, weight_strategy, label_namespace),
            weight_strategy or "emission",
        )
        self._f1: Optional[EntityF1] = None
        if self._needs_encoding("calculate_span_f1", calculate_span_f1):
            self._f1 = EntityF1(vocab, label_namespace, label_encoding, per_type=verbose_metrics)
        initializer(self)
