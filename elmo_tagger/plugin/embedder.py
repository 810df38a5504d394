"""`elmo_hdf5`, the token embedder: biLM layers, mixed or chosen, with static vectors beside them."""

import logging
from typing import Any, Dict, List, Optional, Tuple, Union

import torch
from allennlp.common import FromParams, Lazy
from allennlp.common.checks import ConfigurationError
from allennlp.common.file_utils import cached_path
from allennlp.data import Vocabulary
from allennlp.modules.token_embedders import TokenEmbedder

from elmo_tagger.bilm.cache.cached_bilm import CachedBilm
from elmo_tagger.bilm.cache.files import DTYPES as CACHE_DTYPES
from elmo_tagger.bilm.cache.store import LayerStore
from elmo_tagger.bilm.loading import allennlp_weights, checkpoint
from elmo_tagger.bilm.loading.bundled import files_of
from elmo_tagger.bilm.mixing import ScalarMix
from elmo_tagger.bilm.model import Bilm, BilmOutput
from elmo_tagger.bilm.precision import PRECISIONS
from elmo_tagger.plugin.static_embedding import StaticEmbedding
from elmo_tagger.tagger.elmo_embedder import ElmoEmbedder

logger = logging.getLogger(__name__)

ORIGINAL = (
    "https://allennlp.s3.amazonaws.com/models/elmo/2x4096_512_2048cnn_2xhighway/elmo_2x4096_512_2048cnn_2xhighway"
)
"""The ELMo paper's model, AllenNLP's default."""
DEFAULT_OPTIONS = f"{ORIGINAL}_options.json"
LAYER_MODES = ("mix", "average", "top", "concat")


class MixOptions(FromParams):
    """How layers are mixed.

    Args:
        initial: One number a layer, before the softmax: [.2, .3, .5] gives the shares .289, .320, .391. An even mix by
            default.
        initial_weights: One share a layer, in place of `initial`: [.2, .3, .5] gives just these.
        gamma: Initial factor.
        trainable: Whether training changes the layers' weights.
        trainable_gamma: Whether it changes gamma; as `trainable` by default.
        layer_norm: `"none"`, `"token"` or `"batch"` (AllenNLP's and bilm-tf's).
    """

    def __init__(
        self,
        initial: Optional[List[float]] = None,
        initial_weights: Optional[List[float]] = None,
        gamma: float = 1.0,
        trainable: bool = True,
        trainable_gamma: Optional[bool] = None,
        layer_norm: str = "none",
    ) -> None:
        self.initial = initial
        self.initial_weights = initial_weights
        self.gamma = gamma
        self.trainable = trainable
        self.trainable_gamma = trainable_gamma
        self.layer_norm = layer_norm

    def build(self, layers: int) -> ScalarMix:
        """The mix of this many layers."""
        return ScalarMix(
            layers,
            initial=self.initial,
            initial_weights=self.initial_weights,
            gamma=self.gamma,
            trainable=self.trainable,
            trainable_gamma=self.trainable_gamma,
            layer_norm=self.layer_norm,
        )


class CacheOptions(FromParams):
    """Where the layers of a frozen biLM are kept between epochs and runs.

    Args:
        directory: Of the files; several processes and runs may share it.
        max_gib: Bound on their size; what was longest not used makes room.
        dtype: `"float32"`, or `"float16"` for half the size.
    """

    def __init__(self, directory: str, max_gib: float = 20.0, dtype: str = "float32") -> None:
        if not max_gib > 0:
            raise ConfigurationError(f"cache: max_gib: expected a positive number, received {max_gib}")
        if dtype not in CACHE_DTYPES:
            raise ConfigurationError(f"cache: dtype: expected one of {', '.join(CACHE_DTYPES)}, received {dtype!r}")
        self.directory = directory
        self.max_bytes = int(max_gib * 2**30)
        self.dtype = dtype


@TokenEmbedder.register("elmo_hdf5")
class ElmoHdf5Embedder(ElmoEmbedder, TokenEmbedder):
    """ELMo vectors from `.hdf5` weights.

    Takes the arguments of AllenNLP's `elmo_token_embedder` with the same meaning (and the tensors of its indexer
    `elmo_characters`), and those marked with a star. Unlike there, a sentence's vectors depend on that sentence alone
    unless `stateful`.

    Args:
        options_file: The biLM's `options.json`: path or URL; by default the ELMo paper's, as in AllenNLP.
        weight_file: Its `.hdf5` weights: likewise. * Or `"starter"`, the biLM of the package, with its own options.
        do_layer_norm: As `mix.layer_norm: "batch"`.
        dropout: On the mixed layers.
        requires_grad: Whether training changes the biLM.
        projection_dim: Project to this width; 0 as if left out.
        vocab_to_cache: Accepted for old configs. Each word of a batch passes the character CNN once anyhow.
        scalar_mix_parameters: As `mix: {initial: [..], trainable: false}`; numbers before the softmax too.
        layers: * `"mix"`, `"average"`, `"top"`, `"concat"` or a layer's number, 0 being the character CNN.
        mix: * See `MixOptions`; for `layers: "mix"`.
        static: * See `StaticEmbedding`; its vectors follow the biLM's.
        stateful: * Carry the LSTM's state from batch to batch, as bilm-tf and AllenNLP do.
        max_tokens_per_pass: * Bound on the tokens that any intermediate result holds; by default memory grows with the
            batch.
        precision: * Of the products of a biLM that records no gradients: `"float32"`; `"float16"`, whose weights are
            rounded to half the bytes, almost without error; `"bfloat16"` for processors that know the type; `"int8"`,
            a quarter of the bytes; `"auto"`, the fastest whose error is at most that of `"float16"`; `"tf32"` on GPUs.
            See docs/howto/speed.md.
        rounded_weights: * Keep a frozen biLM's weights only as `precision` rounds them: the same vectors in a half or a
            quarter of the memory, and a smaller archive, which knows the rounded weights alone.
        cache: * See `CacheOptions`; for a frozen biLM. Opened by the first step of training: a model that only
            predicts reads and writes none.
        vocab: Given by AllenNLP.
        serialization_dir: Given by AllenNLP.
    """

    def __init__(
        self,
        options_file: str = DEFAULT_OPTIONS,
        weight_file: str = f"{ORIGINAL}_weights.hdf5",
        do_layer_norm: bool = False,
        dropout: float = 0.5,
        requires_grad: bool = False,
        projection_dim: Optional[int] = None,
        vocab_to_cache: Optional[List[str]] = None,
        scalar_mix_parameters: Optional[List[float]] = None,
        layers: Union[int, str] = "mix",
        mix: Optional[MixOptions] = None,
        static: Optional[Lazy[StaticEmbedding]] = None,
        stateful: bool = False,
        max_tokens_per_pass: Optional[int] = None,
        precision: str = "float32",
        rounded_weights: bool = False,
        cache: Optional[CacheOptions] = None,
        vocab: Optional[Vocabulary] = None,
        serialization_dir: Optional[str] = None,
    ) -> None:
        if cache is not None and (stateful or requires_grad):
            reason = (
                "stateful: a sentence's layers depend on those before" if stateful else "fine-tuned (requires_grad)"
            )
            raise ConfigurationError(f"cache: expected a biLM whose layers stay the same, this one is {reason}")
        if rounded_weights and requires_grad:
            raise ConfigurationError("rounded_weights: expected a biLM whose weights are not trained (requires_grad)")
        files = {"options_file": options_file, "weight_file": weight_file}
        trained = checkpoint.find(serialization_dir, options_file, weight_file)
        bilm = _build_bilm(
            trained,
            files,
            stateful=stateful,
            max_tokens_per_pass=max_tokens_per_pass,
            precision=precision,
            rounded_weights=rounded_weights,
        )
        bilm.requires_grad_(requires_grad)
        mixed = _build_mix(mix, layers, do_layer_norm, scalar_mix_parameters, bilm.num_layers)
        if isinstance(layers, bool) or layers not in (*LAYER_MODES, *range(bilm.num_layers)):
            raise ConfigurationError(
                f"layers: expected one of {', '.join(LAYER_MODES)} or a number from 0 (character CNN) to "
                f"{bilm.num_layers - 1}, received {layers!r}"
            )
        dims = {name: dim for state in trained for name, dim in (state.description.get("static") or {}).items()}
        super().__init__(
            bilm,
            layers=layers,
            mix=mixed,
            dropout=dropout,
            projection_dim=projection_dim or None,
            static=static.construct(vocab=vocab, trained_dims=dims) if static is not None else None,
        )
        self._cache_options = cache
        self._cache: Optional[CachedBilm] = None
        self._files = files
        self._trains_bilm = requires_grad
        self._mode = layers

    def get_output_dim(self) -> int:
        """Width of a token's vector."""
        return self.output_dim

    def forward(
        self,
        elmo_tokens: torch.Tensor,
        word_inputs: Optional[torch.Tensor] = None,
        static_ids: Optional[torch.Tensor] = None,
    ) -> torch.Tensor:
        """Embeds sentences.

        Args:
            elmo_tokens: (B, T, C) character ids, 0 where there is no token; further axes may precede T.
            word_inputs: Ignored, see `vocab_to_cache`.
            static_ids: (B, T) word ids, if there are static vectors.

        Returns:
            (B, T, D).
        """
        self._check(elmo_tokens, static_ids)
        return super().forward(elmo_tokens, static_ids)

    def run_bilm(self, characters: torch.Tensor, *, keep_boundaries: bool) -> BilmOutput:
        """The layers needed, from the cache where there is one."""
        if self._cache is None and self._cache_options is not None and self.training:
            store = LayerStore(self._cache_options.directory, max_bytes=self._cache_options.max_bytes)
            self._cache = CachedBilm(
                self.bilm,
                store,
                layers=self._selection.needed,
                keep_boundaries=keep_boundaries,
                dtype=self._cache_options.dtype,
            )
        if self._cache is not None:
            return self._cache(characters)
        # The biLM has a precision of its own; under autocast its parts would disagree about theirs.
        quiet = torch.autocast(characters.device.type, enabled=False)
        with quiet, torch.set_grad_enabled(self._trains_bilm and torch.is_grad_enabled()):
            return super().run_bilm(characters, keep_boundaries=keep_boundaries)

    def mix_weights(self) -> Dict[str, float]:
        """The learnt mix: each layer's share, which add up to 1, and gamma; empty where layers are not mixed."""
        if self.scalar_mix_0 is None:
            return {}
        shares = self.scalar_mix_0.weights().tolist()
        return {
            **{f"layer_{layer}": share for layer, share in enumerate(shares)},
            "gamma": self.scalar_mix_0.gamma.item(),
        }

    def get_extra_state(self) -> torch.Tensor:
        """The description that lets an archive be loaded without the files it was trained from."""
        return checkpoint.encode(
            {
                **self._files,
                "options": self.bilm.options.to_dict(),
                "static": {self.static.namespace: self.static.dim} if self.static is not None else {},
                "layers": self._mode,
                "layer_norm": self.scalar_mix_0.layer_norm if self.scalar_mix_0 is not None else None,
            }
        )

    def set_extra_state(self, state: Any) -> None:
        """Refuses weights of a biLM of another shape, naming what differs."""
        description = checkpoint.decode(state)
        if description is not None and description["options"] != self.bilm.options.to_dict():
            raise RuntimeError(
                f"the weights hold a biLM with the options {description['options']}, "
                f"but the model was built with {self.bilm.options.to_dict()}"
            )

    def _load_from_state_dict(self, state_dict: Dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Takes the weights of AllenNLP's embedder too."""
        if allennlp_weights.translate(state_dict, prefix):
            state_dict[f"{prefix}_extra_state"] = self.get_extra_state()
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _check(self, elmo_tokens: torch.Tensor, static_ids: Optional[torch.Tensor]) -> None:
        expected = self.bilm.options.char_cnn.max_characters_per_token
        if elmo_tokens.shape[-1] != expected:
            raise ConfigurationError(
                f"the indexer gives {elmo_tokens.shape[-1]} characters a token, but the biLM's options say {expected}: "
                f'set "max_characters_per_token": {expected} in the elmo_hdf5 indexer'
            )
        if (self.static is None) != (static_ids is None):
            raise ConfigurationError(
                "static vectors need both sides: the embedder's `static` and the indexer's `static_namespace`; "
                f"only the {'indexer has' if self.static is None else 'embedder has'} its one"
            )


def mix_metrics(model: torch.nn.Module) -> Dict[str, float]:
    """The learnt mixes of a model for its metrics: `mix_layer_0`, ..., `mix_gamma`; numbered if there are several."""
    mixes = [module.mix_weights() for module in model.modules() if isinstance(module, ElmoHdf5Embedder)]
    mixes = [mix for mix in mixes if mix]
    names = ["mix"] if len(mixes) == 1 else [f"mix_{number}" for number in range(len(mixes))]
    return {f"{name}_{key}": value for name, mix in zip(names, mixes, strict=True) for key, value in mix.items()}


def _build_mix(
    mix: Optional[MixOptions],
    layers: Union[int, str],
    do_layer_norm: bool,
    scalar_mix_parameters: Optional[List[float]],
    num_layers: int,
) -> Optional[ScalarMix]:
    """The mix, its options given in our way or in AllenNLP's but not in both; none where layers are not mixed."""
    if mix is not None and layers != "mix":
        raise ConfigurationError(f'mix is given, but layers is {layers!r}; expected "mix"')
    if mix is not None and (do_layer_norm or scalar_mix_parameters is not None):
        raise ConfigurationError("mix and do_layer_norm or scalar_mix_parameters are given; expected only mix")
    if layers != "mix":
        return None
    options = mix or MixOptions(
        initial=scalar_mix_parameters,
        trainable=scalar_mix_parameters is None,
        layer_norm="batch" if do_layer_norm else "none",
    )
    try:
        return options.build(num_layers)
    except ValueError as error:
        raise ConfigurationError(f"mix: {error}") from None


def _build_bilm(trained: List[checkpoint.Checkpoint], files: Dict[str, str], **arguments: Any) -> Bilm:
    """The biLM of a trained model, else that of the files; the other arguments are `Bilm`'s."""
    precision, bound = arguments["precision"], arguments["max_tokens_per_pass"]
    if precision not in PRECISIONS:
        raise ConfigurationError(f"precision: expected one of {', '.join(PRECISIONS)}, received {precision!r}")
    if bound is not None and bound < 1:
        raise ConfigurationError(f"max_tokens_per_pass: expected a positive number, received {bound}")
    if trained:
        return trained[0].bilm(**arguments)
    options_file, weight_file = _named(files) or (files["options_file"], files["weight_file"])
    return Bilm.load(cached_path(options_file), cached_path(weight_file), **arguments)


def _named(files: Dict[str, str]) -> Optional[Tuple[str, str]]:
    """The files of a biLM of the package, if one is meant."""
    given = files["options_file"]
    try:
        return files_of(files["weight_file"], None if given == DEFAULT_OPTIONS else given)
    except ValueError as error:
        raise ConfigurationError(f"weight_file, options_file: {error}") from error
