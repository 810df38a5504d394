"""`elmo_bilstm_crf`: embedder -> dropout -> encoder -> optional feed-forward -> CRF."""

from dataclasses import asdict
from typing import Any, Dict, List, Optional, Tuple, TypeVar, Union

import torch
from allennlp.common import Lazy, Params
from allennlp.common.checks import ConfigurationError, check_dimensions_match
from allennlp.data import TextFieldTensors, Vocabulary
from allennlp.models.model import Model
from allennlp.modules import FeedForward, Seq2SeqEncoder, TextFieldEmbedder, TimeDistributed
from allennlp.nn import InitializerApplicator, RegularizerApplicator
from allennlp.nn.util import get_text_field_mask

from elmo_tagger.plugin.embedder import mix_metrics
from elmo_tagger.plugin.faster_parts import with_faster_parts
from elmo_tagger.plugin.metric import EntityF1, TagScores, partial_labels
from elmo_tagger.tagger.model import SequenceTagger
from elmo_tagger.tagger.predictions import Decoder
from elmo_tagger.tagging.checks import CrfInputError
from elmo_tagger.tagging.class_weights import STRATEGIES
from elmo_tagger.tagging.crf import ConditionalRandomField
from elmo_tagger.tagging.schemes import OUTSIDE, allowed_transitions
from elmo_tagger.tagging.span_arrays import PADDING

T = TypeVar("T")

REDUCTIONS = ("mean", "sum")


@Model.register("elmo_bilstm_crf")
class ElmoBilstmCrf(SequenceTagger, Model):
    """The package's tagger as a model that AllenNLP trains.

    Takes the arguments of AllenNLP's `crf_tagger` with the same meaning, and those marked with a star.

    Args:
        vocab: The vocabulary.
        text_field_embedder: Words to vectors.
        encoder: Context; any Seq2SeqEncoder. Its `input_size` may be left out.
        label_namespace: Vocabulary namespace of the tags.
        feedforward: Between encoder and CRF. Its `input_dim` may be left out.
        label_encoding: The tags' scheme, such as `"BIOUL"`. Needed for constraints and for F1.
        include_start_end_transitions: Whether the CRF scores which tags begin and end a sentence.
        constrain_crf_decoding: Whether decoding gives legal sequences alone; true by default if `label_encoding` is
            given.
        calculate_span_f1: Whether to count entities; true by default if `label_encoding` is given.
        dropout: On the embedder's and on the encoder's output.
        verbose_metrics: Whether to report each entity type at the end of an epoch, or each tag if entities are not
            counted. Unlike AllenNLP's it is true by default.
        initializer: Of the parameters.
        top_k: How many taggings a sentence gets in the output, with their probabilities.
        ignore_loss_on_o_tags: The loss is that of the tags other than `O`; what stands at the others is summed over.
        label_weights: Weights of tags in the loss, 1 for those not named.
        weight_strategy: `"emission"` (default), `"emission_transition"` or `"lannoy"`.
        constrain_training: * Whether the constraints hold in the loss and in confidences too. False equals AllenNLP.
        loss_reduction: * `"mean"` over sentences, or `"sum"`, which is AllenNLP's.
        training_f1: * Whether to decode on training steps too, as `crf_tagger` does, for the scores on training data.
        calibrate: * Whether a training ends with finding the CRF's temperature on the validation data (see
            `plugin.calibration`), so that confidences mean what they say. No tag depends on it.
        regularizer: Of the parameters.
        serialization_dir: Given by AllenNLP.
    """

    default_predictor = "entities"
    adds_metrics_when_reset = True

    def __init__(
        self,
        vocab: Vocabulary,
        text_field_embedder: TextFieldEmbedder,
        encoder: Lazy[Seq2SeqEncoder],
        label_namespace: str = "labels",
        feedforward: Optional[Lazy[FeedForward]] = None,
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
        training_f1: bool = True,
        calibrate: bool = True,
        regularizer: Optional[RegularizerApplicator] = None,
        serialization_dir: Optional[str] = None,
    ) -> None:
        if loss_reduction not in REDUCTIONS:
            raise ConfigurationError(f"loss_reduction {loss_reduction!r}: expected one of {', '.join(REDUCTIONS)}")
        tags = _tags(vocab, label_namespace)
        built_encoder, built_feedforward, width = _fitted(text_field_embedder, encoder, feedforward)
        # TimeDistributed for the sake of the parameter's name in old archives.
        projection = TimeDistributed(torch.nn.Linear(width, len(tags)))
        crf = ConditionalRandomField(
            num_tags=len(tags),
            constraints=_constraints(tags, label_encoding, constrain_crf_decoding),
            constrain_training=constrain_training,
            include_start_end_transitions=include_start_end_transitions,
            label_weights=_weights(tags, label_weights, weight_strategy),
            weight_strategy=weight_strategy or "emission",
        )
        super().__init__(
            text_field_embedder=text_field_embedder,
            encoder=built_encoder,
            feedforward=built_feedforward,
            tag_projection_layer=projection,
            crf=crf,
            dropout=dropout or 0.0,
            vocab=vocab,
            regularizer=regularizer,
            serialization_dir=serialization_dir,
        )
        self.tags = tags
        self.label_encoding = label_encoding
        self.top_k = top_k
        self.ignore_loss_on_o_tags = ignore_loss_on_o_tags
        self.loss_reduction = loss_reduction
        self.training_f1 = training_f1
        self.calibrate = calibrate
        self._f1: Optional[EntityF1] = None
        if _scheme_wanted("calculate_span_f1", calculate_span_f1, label_encoding):
            self._f1 = EntityF1(vocab, label_namespace, label_encoding, per_type=verbose_metrics)
        self._of_tags = TagScores(tags, per_tag=verbose_metrics and self._f1 is None)
        self._decoder = Decoder(self.crf, self.tags, label_encoding)
        with_faster_parts(self)
        initializer(self)

    def forward(  # type: ignore[override]
        self,
        tokens: TextFieldTensors,
        tags: Optional[torch.LongTensor] = None,
        metadata: Optional[List[Dict[str, Any]]] = None,
        ignore_loss_on_o_tags: Optional[bool] = None,
        **ignored: Any,
    ) -> Dict[str, Any]:
        """Scores a batch and decodes it, on training steps only with `training_f1`.

        Args:
            tokens: From a TextField.
            tags: (B, T) int64, ids of the true tags; or (B, T, K) bool, the tags that each token may have.
            metadata: For each sentence its `words`.
            ignore_loss_on_o_tags: Overrides the constructor's.
            **ignored: Other fields of a reader's instances, such as `pos_tags`; ignored as by `crf_tagger`.

        Returns:
            `emissions` (B, T, K); `mask` (B, T) bool; with `tags`, `loss` and, as given, `gold`; decoded, `decoded`
            (B, T) tag ids, -1 where masked; with `metadata`, `tokens`, the words. `make_output_human_readable` turns
            them into tags and entities.
        """
        mask = get_text_field_mask(tokens)
        emissions = self.emissions(tokens, mask)
        output: Dict[str, Any] = {"emissions": emissions, "mask": mask}
        if metadata is not None:
            output["tokens"] = [each["words"] for each in metadata]
        if tags is not None:
            ignore = self.ignore_loss_on_o_tags if ignore_loss_on_o_tags is None else ignore_loss_on_o_tags
            output["loss"], output["gold"] = self._loss(emissions, tags, mask, ignore), tags
        if not self.training or self.training_f1:
            output["decoded"], _ = self.crf.decode(emissions, mask)
            if tags is not None:
                self._count(output["decoded"], tags, mask)
        return output

    def make_output_human_readable(self, output_dict: Dict[str, Any]) -> Dict[str, Any]:
        """From ids to what people read.

        Returns:
            For each sentence `tokens`, `tags`, `entities` (`type`, `start` and `end` in tokens, end exclusive, and
            `confidence`: the posterior probability), `gold_tags` if they are known, and, for a `top_k` over 1, `n_best`
            (`tags`, `probability` and `log_probability`, in nats, of each).
        """
        emissions, mask, decoded = (output_dict.pop(name) for name in ("emissions", "mask", "decoded"))
        gold = output_dict.pop("gold", None)
        predictions = self._decoder.predict(emissions, mask, decoded=decoded, n=self.top_k)
        output_dict["tags"] = [each.tags for each in predictions]
        output_dict["entities"] = [list(map(asdict, each.entities)) for each in predictions]
        if gold is not None:
            output_dict["gold_tags"] = self._gold_names(gold, mask)
        if self.top_k > 1:
            output_dict["n_best"] = [list(map(asdict, each.n_best)) for each in predictions]
        return output_dict

    def get_metrics(self, reset: bool = False) -> Dict[str, float]:
        """The scores of `crf_tagger` and of `EntityF1`; at the end of an epoch also the learnt mixes of ELMo layers.

        Returns:
            `accuracy`, the fraction of tokens with the right tag; `accuracy3`, `crf_tagger`'s: it counts a token too if
            its tag is one of two that do not depend on the sentence, since all but the predicted one rank alike;
            `EntityF1`'s, or, with `reset` and `verbose_metrics` where entities are not counted, each tag's.
        """
        metrics: Dict[str, float] = {}
        if not self.training or self.training_f1:
            metrics.update(self._of_tags.get_metric(reset))
            if self._f1 is not None:
                metrics.update(self._f1.get_metric(reset))
        if reset:
            metrics.update(mix_metrics(self))
        return metrics

    def _count(self, decoded: torch.Tensor, tags: torch.Tensor, mask: torch.Tensor) -> None:
        """Counts a batch: ids (B, T) of decoded and true tags; or the tags that may be true, (B, T, K) bool."""
        if self._f1 is not None:
            self._f1(decoded, tags, mask)
        if tags.dtype == torch.bool:  # then the tokens count that have one tag
            mask, tags = mask & (tags.sum(-1) == 1), tags.int().argmax(-1)
        self._of_tags(decoded, tags, mask)

    def _gold_names(self, gold: torch.Tensor, mask: torch.Tensor) -> List[List[str]]:
        """The true tags or partial labels as a file has them."""
        if gold.dtype == torch.bool:
            return partial_labels(gold, mask, self.tags)
        return self._decoder.names(gold.masked_fill(~mask, PADDING).cpu().numpy())

    def _loss(self, emissions: torch.Tensor, tags: torch.Tensor, mask: torch.Tensor, ignore_o: bool) -> torch.Tensor:
        """Negative log-likelihood in nats, mean over sentences or sum."""
        wanted = tags
        if ignore_o and OUTSIDE in self.tags:
            wanted = tags if tags.dtype == torch.bool else torch.nn.functional.one_hot(tags, len(self.tags)).bool()
            wanted = wanted | wanted[..., self.tags.index(OUTSIDE), None]
        try:
            likelihood = self.crf.log_likelihood(emissions, wanted, mask)
        except CrfInputError as error:
            hint = (
                f"are the reader's tags (coding_scheme) in the model's scheme (label_encoding {self.label_encoding})?"
            )
            raise CrfInputError(f"{error}; {hint}") from None
        return -(likelihood.mean() if self.loss_reduction == "mean" else likelihood.sum())


def _tags(vocab: Vocabulary, namespace: str) -> List[str]:
    """The tags by id."""
    names = vocab.get_index_to_token_vocabulary(namespace)
    if not names:
        raise ConfigurationError(f"the vocabulary has no tags in its namespace {namespace!r}")
    return [names[index] for index in range(len(names))]


def _fitted(
    embedder: TextFieldEmbedder, encoder: Lazy[Seq2SeqEncoder], feedforward: Optional[Lazy[FeedForward]]
) -> Tuple[Seq2SeqEncoder, Optional[FeedForward], int]:
    """Encoder and feed-forward, each as wide as what precedes it, and the width of what they give."""
    width = embedder.get_output_dim()
    built_encoder = built(encoder, width)
    check_dimensions_match(width, built_encoder.get_input_dim(), "embedder output dim", "encoder input dim")
    width = built_encoder.get_output_dim()
    if feedforward is None:
        return built_encoder, None, width
    dense = built(feedforward, width)
    check_dimensions_match(width, dense.get_input_dim(), "encoder output dim", "feedforward input dim")
    return built_encoder, dense, dense.get_output_dim()


def _scheme_wanted(argument: str, value: Optional[bool], label_encoding: Optional[str]) -> bool:
    """Whether to do what needs the tags' scheme: as told, by default if there is one."""
    if value and label_encoding is None:
        raise ConfigurationError(f"{argument} is true, but no label_encoding is given")
    return label_encoding is not None if value is None else value


def _constraints(
    tags: List[str], label_encoding: Optional[str], constrain: Optional[bool]
) -> Optional[List[Tuple[int, int]]]:
    if not _scheme_wanted("constrain_crf_decoding", constrain, label_encoding):
        return None
    assert label_encoding is not None
    return allowed_transitions(tags, label_encoding)


def _weights(
    tags: List[str], label_weights: Optional[Dict[str, float]], strategy: Optional[str]
) -> Optional[List[float]]:
    """A weight for each tag, 1 where none is given."""
    if strategy is not None and strategy not in STRATEGIES:
        raise ConfigurationError(f"weight_strategy {strategy!r}: expected one of {', '.join(STRATEGIES)}")
    if label_weights is None:
        if strategy is not None:
            raise ConfigurationError("weight_strategy is given, but label_weights is not")
        return None
    unknown = sorted(set(label_weights) - set(tags))
    if unknown:
        raise ConfigurationError(f"label_weights: {', '.join(unknown)} not among the tags: {', '.join(sorted(tags))}")
    return [label_weights.get(tag, 1.0) for tag in tags]


def built(part: Union[Lazy[T], T], width: int) -> T:
    """A part whose input has this width. Its config may repeat the width, under any of AllenNLP's names for it."""
    if not isinstance(part, Lazy):
        return part
    given = part._params.keys() if isinstance(part._params, Params) else ()  # else the short form, a type's name
    return part.construct(**{name: width for name in ("input_size", "input_dim", "embedding_dim") if name not in given})
