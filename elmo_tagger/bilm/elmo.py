"""ELMo vectors as a layer of one's own network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from elmo_tagger.bilm.characters import encode_sentences
from elmo_tagger.bilm.device import to_device
from elmo_tagger.bilm.embedding import Embedding, words_of
from elmo_tagger.bilm.loading.source import load_bilm
from elmo_tagger.bilm.mixing import ScalarMix
from elmo_tagger.bilm.model import Bilm
from elmo_tagger.bilm.selection import LayerSelection


class Elmo(nn.Module):
    """A pretrained biLM and a combination of its layers, to train a network on.

        elmo = elmo_tagger.Elmo("starter")
        vectors = elmo([["Emma", "flew", "to", "Oslo"], ["Nice", "!"]]).elmo  # (2, 4, 256), 0 at padding

    Its parameters are those of the mix, which training learns by default, and those of the biLM, which it leaves as
    they are unless `trainable`. A sentence's vectors depend on that sentence alone.

    Args:
        source: A name of `bundled.BUNDLED`, such as `"starter"`; a directory with `options.json` and `weights.hdf5`; an
            archive of a training; or, if `weight_file` is given, the path of `options.json`.
        weight_file: The `.hdf5` file that belongs to the options.
        layers: What `elmo` is: `"mix"`, `"average"`, `"top"`, `"concat"` or a layer's number, 0 being the character
            CNN.
        mix: For `"mix"`, the learnt mix; by default an even one to begin with.
        trainable: Whether training changes the biLM too.

    Raises:
        ValueError: There is no such choice of layers, or a mix that does not fit it.
        WeightsSourceError: The source names no biLM.
        OptionsError: The options are not those of a biLM.
        WeightsError: The weights are damaged or do not fit the options.
        OSError: A file cannot be read.
    """

    def __init__(
        self,
        source: str | Path,
        weight_file: str | Path | None = None,
        *,
        layers: str | int = "mix",
        mix: ScalarMix | None = None,
        trainable: bool = False,
    ) -> None:
        super().__init__()
        bilm = load_bilm(source) if weight_file is None else Bilm.load(source, weight_file)
        if layers == "all" or (mix is not None and layers != "mix"):
            raise ValueError(
                f"layers: expected mix, average, top, concat or a number{', and mix with a mix' if mix else ''}, "
                f"received {layers!r}"
            )
        self.bilm = bilm.requires_grad_(trainable)
        self.mix = ScalarMix(bilm.num_layers) if mix is None and layers == "mix" else mix
        choice = "all" if layers == "mix" else layers
        self._selection = LayerSelection(choice, num_layers=bilm.num_layers, width=bilm.output_dim, mix=self.mix)

    @property
    def output_dim(self) -> int:
        """D, the width of `elmo` and `default`."""
        return self._selection.dim

    def forward(
        self, sentences: Sequence[str] | Sequence[Sequence[str]] | Tensor, lengths: Sequence[int] | None = None
    ) -> Embedding:
        """Embed sentences.

        Args:
            sentences: Strings, split at spaces; lists of words; or character ids (B, T, C), as `encode_sentences` makes
                them, all 0 where there is no word.
            lengths: For lists of words, how many of each count; all by default.

        Returns:
            The five outputs: `word_emb`, `lstm_outputs1`, `lstm_outputs2`, `elmo` (B, T, D), `default` (B, D), the mean
            of `elmo` over a sentence's words; and the `mask`.

        Raises:
            ValueError: `lengths` do not fit, or the ids are not those of this biLM.
        """
        if isinstance(sentences, Tensor):
            if lengths is not None:
                raise ValueError("lengths: expected them with lists of words only, received character ids")
            ids = sentences
        else:
            longest = self.bilm.options.char_cnn.max_characters_per_token
            ids = torch.from_numpy(encode_sentences(words_of(sentences, lengths), max_characters=longest))
        output = self.bilm(to_device(ids, self.bilm.char_cnn.char_embed.device))
        layers = [output.layers[number] for number in range(self.bilm.num_layers)]
        return Embedding.of(layers, output.mask, elmo=self._selection.combine(output.layers, output.mask))
