"""What a tagger is made of, read once from the `config.json` of an archive or of a model folder.

Names and meanings are AllenNLP's. What only training uses is accepted and left out; a part or an argument that would
change a prediction and that the engine does not have is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, ClassVar

from elmo_tagger.errors import shown
from elmo_tagger.tagger.json_fields import ConfigError, read_object, read_value

__all__ = ["ConfigError", "TaggerConfig"]

Keys = tuple[str | None, ...]

# ---- indexers: words to ids


@dataclass(frozen=True, kw_only=True)
class ElmoIndexerConfig:
    """Character ids of the biLM, and with `static_namespace` the ids of static words."""

    TYPES: ClassVar[Keys] = ("elmo_hdf5", "elmo_characters")
    UNUSED: ClassVar[Keys] = ("token_min_padding_length", "namespace")

    type: str
    static_namespace: str | None = None
    static_any_case: bool = False
    truecase: bool = False
    max_characters_per_token: int = 50


@dataclass(frozen=True, kw_only=True)
class SingleIdConfig:
    """One id a word."""

    TYPES: ClassVar[Keys] = ("single_id", None)  # None: AllenNLP's default
    UNUSED: ClassVar[Keys] = ("token_min_padding_length", "default_value")
    ONLY: ClassVar[Mapping[str, object]] = {"feature_name": "text", "start_tokens": [], "end_tokens": []}

    type: str = "single_id"
    namespace: str = "tokens"
    lowercase_tokens: bool = False


@dataclass(frozen=True, kw_only=True)
class CharacterTokenizerConfig:
    """How a word becomes characters: its own, or with `byte_encoding` the bytes of that encoding plus 1."""

    TYPES: ClassVar[Keys] = ("character", None)

    byte_encoding: str | None = None
    lowercase_characters: bool = False
    start_tokens: tuple[str | int, ...] = ()
    end_tokens: tuple[str | int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CharactersConfig:
    """The ids of a word's characters."""

    TYPES: ClassVar[Keys] = ("characters",)
    UNUSED: ClassVar[Keys] = ("token_min_padding_length",)
    ONLY: ClassVar[Mapping[str, object]] = {"start_tokens": [], "end_tokens": []}

    type: str = "characters"
    namespace: str = "token_characters"
    min_padding_length: int = 0
    character_tokenizer: CharacterTokenizerConfig = CharacterTokenizerConfig()


IndexerConfig = ElmoIndexerConfig | SingleIdConfig | CharactersConfig

# ---- embedders: ids to vectors


@dataclass(frozen=True, kw_only=True)
class MixConfig:
    """How the biLM's layers are mixed; the learnt numbers are among the weights."""

    UNUSED: ClassVar[Keys] = ("initial", "gamma", "trainable", "trainable_gamma")

    layer_norm: str = "none"


@dataclass(frozen=True, kw_only=True)
class StaticConfig:
    """Static word vectors; `dim`, their width, is in an archive known from the weights."""

    UNUSED: ClassVar[Keys] = ("pretrained_file", "trainable", "lowercase_fallback", "oov", "dropout")

    namespace: str
    dim: int = 0


@dataclass(frozen=True, kw_only=True)
class ElmoConfig:
    """A biLM's layers, mixed or chosen, with static vectors beside them.

    Attributes:
        options: The biLM's, as in bilm-tf's `options.json`; None while they are not known.
        bundled: The name of the biLM of the package, such as `"starter"`, whose weights a model folder leaves out; None
            where they are among the folder's own.
        stateful: Whether training carried the LSTM's state from batch to batch. The engine never does.
    """

    TYPES: ClassVar[Keys] = ("elmo_hdf5", "elmo_token_embedder")
    UNUSED: ClassVar[Keys] = (
        *("options_file", "weight_file", "dropout", "requires_grad", "vocab_to_cache", "scalar_mix_parameters"),
        *("cache",),
    )

    type: str
    options: dict[str, dict[str, Any]] | None = None
    bundled: str | None = None
    do_layer_norm: bool = False
    projection_dim: int | None = None
    layers: int | str = "mix"
    mix: MixConfig | None = None
    static: StaticConfig | None = None
    stateful: bool = False
    max_tokens_per_pass: int | None = None
    precision: str = "float32"
    rounded_weights: bool = False

    @property
    def layer_norm(self) -> str:
        """The mix's layer norm."""
        return "batch" if self.do_layer_norm else self.mix.layer_norm if self.mix is not None else "none"


@dataclass(frozen=True, kw_only=True)
class EmbeddingConfig:
    """A vector for each id of a vocabulary namespace."""

    TYPES: ClassVar[Keys] = ("embedding", None)  # None: AllenNLP's default
    UNUSED: ClassVar[Keys] = (
        *("padding_index", "trainable", "norm_type", "scale_grad_by_freq", "sparse", "pretrained_file"),
    )

    type: str = "embedding"
    embedding_dim: int
    num_embeddings: int | None = None
    projection_dim: int | None = None
    vocab_namespace: str = "tokens"


@dataclass(frozen=True, kw_only=True)
class CnnConfig:
    """Convolutions over a word's characters and the maximum of each filter.

    Attributes:
        masks_padding: Whether windows that reach beyond a word's last character are left out, as AllenNLP does since
            1.2.1. Before, all windows counted up to the longest word of the batch; here: of the sentence.
    """

    TYPES: ClassVar[Keys] = ("cnn",)

    type: str = "cnn"
    embedding_dim: int
    num_filters: int
    ngram_filter_sizes: tuple[int, ...] = (2, 3, 4, 5)
    conv_layer_activation: str | dict[str, Any] | None = None
    output_dim: int | None = None
    masks_padding: bool = True


@dataclass(frozen=True, kw_only=True)
class RnnConfig:
    """PyTorch's LSTM or GRU, for the words of a sentence or the characters of a word."""

    TYPES: ClassVar[Keys] = ("lstm", "gru")
    UNUSED: ClassVar[Keys] = ("input_size", "dropout")
    ONLY: ClassVar[Mapping[str, object]] = {"stateful": False}

    type: str
    hidden_size: int
    num_layers: int = 1
    bias: bool = True
    bidirectional: bool = False


@dataclass(frozen=True, kw_only=True)
class CharacterEncodingConfig:
    """A vector for each word, from its characters."""

    TYPES: ClassVar[Keys] = ("character_encoding",)
    UNUSED: ClassVar[Keys] = ("dropout",)

    type: str = "character_encoding"
    embedding: EmbeddingConfig
    encoder: CnnConfig | RnnConfig


@dataclass(frozen=True, kw_only=True)
class PassThroughConfig:
    """The indexer's numbers as they are."""

    TYPES: ClassVar[Keys] = ("pass_through",)

    type: str = "pass_through"
    hidden_dim: int


@dataclass(frozen=True, kw_only=True)
class EmptyConfig:
    """Nothing: the indexer's numbers are left out."""

    TYPES: ClassVar[Keys] = ("empty",)

    type: str = "empty"


EmbedderConfig = ElmoConfig | EmbeddingConfig | CharacterEncodingConfig | PassThroughConfig | EmptyConfig

# ---- encoders: words to words in context


@dataclass(frozen=True, kw_only=True)
class StackedLstmConfig:
    """Bidirectional LSTM layers, with highways from each one's input to its output."""

    TYPES: ClassVar[Keys] = ("stacked_bidirectional_lstm",)
    UNUSED: ClassVar[Keys] = ("input_size", "recurrent_dropout_probability", "layer_dropout_probability")
    ONLY: ClassVar[Mapping[str, object]] = {"stateful": False}

    type: str = "stacked_bidirectional_lstm"
    hidden_size: int
    num_layers: int
    use_highway: bool = True


@dataclass(frozen=True, kw_only=True)
class PassThroughEncoderConfig:
    """No context."""

    TYPES: ClassVar[Keys] = ("pass_through",)
    UNUSED: ClassVar[Keys] = ("input_dim", "input_size")

    type: str = "pass_through"


@dataclass(frozen=True, kw_only=True)
class ComposeConfig:
    """Encoders one after the other."""

    TYPES: ClassVar[Keys] = ("compose",)
    UNUSED: ClassVar[Keys] = ("input_size",)

    type: str = "compose"
    encoders: tuple[RnnConfig | StackedLstmConfig | PassThroughEncoderConfig | ComposeConfig, ...]


EncoderConfig = RnnConfig | StackedLstmConfig | PassThroughEncoderConfig | ComposeConfig


@dataclass(frozen=True, kw_only=True)
class FeedForwardConfig:
    """Dense layers; one width or activation stands for all layers."""

    UNUSED: ClassVar[Keys] = ("input_dim", "dropout")

    num_layers: int
    hidden_dims: int | tuple[int, ...]
    activations: str | dict[str, Any] | tuple[str | dict[str, Any], ...]


# ---- the whole


@dataclass(frozen=True, kw_only=True)
class TextFieldEmbedderConfig:
    """Embedders by the names of their indexers."""

    TYPES: ClassVar[Keys] = ("basic", None)

    token_embedders: dict[str, EmbedderConfig]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What a prediction needs of the arguments of AllenNLP's `crf_tagger`.

    Attributes:
        text_field_embedder: Words to vectors.
        encoder: Context.
        feedforward: Between encoder and CRF.
        label_namespace: Vocabulary namespace of the tags.
        label_encoding: The tags' scheme; without one no entities are read off them.
        include_start_end_transitions: Whether the CRF scores which tags begin and end a sentence.
        top_k: How many taggings a sentence gets unless a caller says otherwise.
    """

    UNUSED: ClassVar[Keys] = (
        *("constrain_crf_decoding", "constrain_training", "calculate_span_f1", "verbose_metrics", "training_f1"),
        *("dropout", "loss_reduction", "ignore_loss_on_o_tags", "label_weights", "weight_strategy"),
        *("initializer", "regularizer", "calibrate"),
    )

    TYPES: ClassVar[Keys] = ("elmo_bilstm_crf", "crf_tagger")

    type: str
    text_field_embedder: TextFieldEmbedderConfig
    encoder: EncoderConfig
    feedforward: FeedForwardConfig | None = None
    label_namespace: str = "labels"
    label_encoding: str | None = None
    include_start_end_transitions: bool = True
    top_k: int = 1


@dataclass(frozen=True, kw_only=True)
class TaggerConfig:
    """A whole tagger.

    Attributes:
        model: From ids to tags.
        token_indexers: From words to ids, by name.
        language: spaCy's code of the language whose word rules split raw text.
    """

    model: ModelConfig
    token_indexers: dict[str, IndexerConfig]
    language: str = "en"

    @classmethod
    def from_dict(cls, raw: object, *, source: str = "config.json") -> TaggerConfig:
        """Read the config of an archive of AllenNLP's or of a model folder.

        Args:
            raw: The parsed JSON.
            source: Where it comes from, for messages.

        Raises:
            ConfigError: It has a part or an argument that the engine does not have, or a value of a wrong type.
        """
        if not isinstance(raw, Mapping):
            raise ConfigError(f"{source}: expected an object, received {shown(raw)}")
        # AllenNLP's predictors read with the reader of the development set where it is another one
        reader = raw.get("validation_dataset_reader") or raw.get("dataset_reader") or raw
        indexers = reader.get("token_indexers") if isinstance(reader, Mapping) else None
        return cls(
            model=read_object(ModelConfig, raw.get("model"), f"{source}: model"),
            token_indexers=read_value(
                dict[str, IndexerConfig],
                {"tokens": {}} if indexers is None else indexers,  # AllenNLP's default
                f"{source}: token_indexers",
            ),
            language=read_value(str, raw.get("language", "en"), f"{source}: language"),
        )

    def to_dict(self) -> dict[str, Any]:
        """What `from_dict` reads; arguments that have their default are left out."""
        written = _without_defaults(self)
        assert isinstance(written, dict)
        return written


def _without_defaults(value: Any) -> Any:
    """A dataclass as a JSON object."""
    if is_dataclass(value):
        kept = {}
        for each in fields(value):
            content = getattr(value, each.name)
            default = each.default_factory() if each.default_factory is not MISSING else each.default
            if each.name == "type" or content != default:
                kept[each.name] = _without_defaults(content)
        return kept
    if isinstance(value, tuple):
        return [_without_defaults(each) for each in value]
    if isinstance(value, dict):
        return {key: _without_defaults(each) for key, each in value.items()}
    return value
