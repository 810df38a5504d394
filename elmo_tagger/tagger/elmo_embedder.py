"""ELMo vectors of words: a biLM's layers, mixed or chosen, with static vectors beside them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from elmo_tagger.bilm.mixing import ScalarMix
from elmo_tagger.bilm.model import Bilm, BilmOutput
from elmo_tagger.bilm.options import Options
from elmo_tagger.bilm.selection import LayerSelection
from elmo_tagger.errors import shown
from elmo_tagger.tagger.config import ConfigError, ElmoConfig, ElmoIndexerConfig
from elmo_tagger.tagger.embedding import StaticEmbedding
from elmo_tagger.tagger.linear import Linear
from elmo_tagger.tagger.vocabulary import Vocabulary


class ElmoEmbedder(nn.Module):
    """Character ids -> biLM -> one tensor of its layers -> dropout -> optional projection; static vectors follow.

    Args:
        bilm: Its parameters say whether gradients are recorded.
        layers: `"mix"`, `"average"`, `"top"`, `"concat"` or a layer's number, 0 being the character CNN.
        mix: For `"mix"`, the learnt mix.
        dropout: On the layers' combination.
        projection_dim: Project to this width; None for no projection.
        static: Vectors of whole words, to follow.

    Raises:
        ValueError: There is no such layer, or the mix is of another number of layers.
    """

    def __init__(
        self,
        bilm: Bilm,
        *,
        layers: str | int = "mix",
        mix: ScalarMix | None = None,
        dropout: float = 0.0,
        projection_dim: int | None = None,
        static: StaticEmbedding | None = None,
        **base: object,
    ) -> None:
        super().__init__(**base)
        self.bilm = bilm
        # AllenNLP's name: regularisers and optimizer groups written for `scalar_mix_0` or `scalar_parameters` match.
        self.scalar_mix_0 = mix
        choice = "all" if mix is not None else layers
        self._selection = LayerSelection(choice, num_layers=bilm.num_layers, width=bilm.output_dim, mix=mix)
        self._dropout = nn.Dropout(dropout)
        self._projection = Linear(self._selection.dim, projection_dim) if projection_dim else None
        self.output_dim = projection_dim or self._selection.dim
        self.static = static
        if static is not None:
            self.output_dim += static.dim

    @property
    def depends_on_batch(self) -> bool:
        """Whether a sentence's vectors depend on the others of its batch, as AllenNLP's layer norm makes them."""
        return self.scalar_mix_0 is not None and self.scalar_mix_0.layer_norm == "batch"

    def forward(self, elmo_tokens: Tensor, static_ids: Tensor | None = None) -> Tensor:
        """Embed sentences.

        Args:
            elmo_tokens: (B, T, C) character ids, 0 where there is no token; further axes may precede T.
            static_ids: (B, T) word ids, if there are static vectors.

        Returns:
            (B, T, D).
        """
        characters = elmo_tokens.flatten(0, -3)
        # Only AllenNLP's layer norm sees the boundaries, which count in its mean and variance.
        output = self.run_bilm(characters, keep_boundaries=self.depends_on_batch)
        vectors = self._selection.combine(output.layers, output.mask)
        if self.depends_on_batch:
            present = (characters != 0).any(-1)
            vectors = vectors[:, 1:-1] * present.unsqueeze(-1)
        vectors = self._dropout(vectors.reshape(*elmo_tokens.shape[:-1], vectors.shape[-1]))
        if self._projection is not None:
            vectors = self._projection(vectors)
        if self.static is not None:
            vectors = torch.cat([vectors, self.static(static_ids)], dim=-1)
        return vectors

    def run_bilm(self, characters: Tensor, *, keep_boundaries: bool) -> BilmOutput:
        """The layers needed, for character ids (B, T, C)."""
        output: BilmOutput = self.bilm(characters, layers=self._selection.needed, keep_boundaries=keep_boundaries)
        return output


def build_elmo(config: ElmoConfig, indexer: ElmoIndexerConfig, vocabulary: Vocabulary, where: str) -> ElmoEmbedder:
    """The embedder of a config, for the tensors of an indexer.

    Raises:
        ConfigError: The options of the biLM are not known, or indexer and embedder do not fit together.
        OptionsError: They are not those of a biLM.
    """
    if config.options is None:
        raise ConfigError(
            f"{where}: the options of its biLM are missing: give its options.json as options_file, or --options"
        )
    options = Options.from_dict(config.options, source=where)
    longest = options.char_cnn.max_characters_per_token
    if indexer.max_characters_per_token != longest:
        raise ConfigError(
            f"{where}: the indexer gives {shown(indexer.max_characters_per_token)} characters a token, but the biLM's "
            f"options say {longest}"
        )
    names = config.static and config.static.namespace, indexer.static_namespace
    if names[0] != names[1]:
        raise ConfigError(f"{where}: the static words of the embedder are {names[0]}, those of the indexer {names[1]}")
    try:
        bilm = Bilm(
            options,
            max_tokens_per_pass=config.max_tokens_per_pass,
            precision=config.precision,
            rounded_weights=config.rounded_weights,
        )
        mix = ScalarMix(bilm.num_layers, layer_norm=config.layer_norm) if config.layers == "mix" else None
        static = None
        if config.static is not None:
            static = StaticEmbedding(torch.empty(len(vocabulary[config.static.namespace]), config.static.dim))
        return ElmoEmbedder(
            bilm, layers=config.layers, mix=mix, projection_dim=config.projection_dim or None, static=static
        )
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
