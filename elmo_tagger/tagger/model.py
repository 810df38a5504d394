"""The tagger's network: ids of words -> vectors -> words in context -> scores of tags -> CRF."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from elmo_tagger.tagger.character_encoders import PerToken
from elmo_tagger.tagger.config import TaggerConfig
from elmo_tagger.tagger.embedders import TextFieldEmbedder
from elmo_tagger.tagger.encoders import build_encoder
from elmo_tagger.tagger.feedforward import FeedForward
from elmo_tagger.tagger.linear import Linear
from elmo_tagger.tagger.vocabulary import Vocabulary, find_namespace
from elmo_tagger.tagging.crf import ConditionalRandomField


class SequenceTagger(nn.Module):
    """Scores of each token's tags, and the CRF that chooses among them.

    The parts may be this package's or AllenNLP's; their names here are those of the parameters in an archive.

    Args:
        text_field_embedder: The indexers' tensors to vectors (B, T, D).
        encoder: Vectors (B, T, D) and mask (B, T) to vectors in context.
        feedforward: Between encoder and scores; None for none.
        tag_projection_layer: To scores (B, T, K).
        crf: The transitions between tags.
        dropout: On the embedder's and on the encoder's output; in training alone.
        base: Of a class that this one is combined with.
    """

    def __init__(
        self,
        *,
        text_field_embedder: nn.Module,
        encoder: nn.Module,
        feedforward: nn.Module | None,
        tag_projection_layer: nn.Module,
        crf: ConditionalRandomField,
        dropout: float = 0.0,
        **base: object,
    ) -> None:
        super().__init__(**base)
        self.text_field_embedder = text_field_embedder
        self.encoder = encoder
        self._feedforward = feedforward
        self.tag_projection_layer = tag_projection_layer
        self.crf = crf
        self.dropout = nn.Dropout(dropout)

    def emissions(self, indexed: Mapping[str, Mapping[str, Tensor]], mask: Tensor) -> Tensor:
        """Scores of tags, without those of transitions.

        Args:
            indexed: The tensors of each indexer, by their names.
            mask: (B, T) bool.

        Returns:
            (B, T, K).
        """
        vectors = self.dropout(self.text_field_embedder(indexed))
        encoded = self.dropout(self.encoder(vectors, mask))
        if self._feedforward is not None:
            encoded = self._feedforward(encoded)
        emissions: Tensor = self.tag_projection_layer(encoded)
        return emissions


def build_model(config: TaggerConfig, vocabulary: Vocabulary) -> SequenceTagger:
    """The network of a config, its weights yet to be loaded.

    Raises:
        ConfigError: Parts do not fit together, or a namespace of the vocabulary is missing.
    """
    embedder = TextFieldEmbedder(config, vocabulary)
    encoder = build_encoder(config.model.encoder, embedder.output_dim)
    width = encoder.output_dim
    feedforward = None
    if config.model.feedforward is not None:
        feedforward = FeedForward(width, config.model.feedforward)
        width = feedforward.output_dim
    tags = len(find_namespace(vocabulary, config.model.label_namespace, "model.label_namespace"))
    return SequenceTagger(
        text_field_embedder=embedder,
        encoder=encoder,
        feedforward=feedforward,
        tag_projection_layer=PerToken(Linear(width, tags)),
        crf=ConditionalRandomField(
            num_tags=tags, include_start_end_transitions=config.model.include_start_end_transitions
        ),
    )
