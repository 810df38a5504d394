"""The biLM: character ids in, one tensor a layer out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elmo_tagger.bilm.char_cnn import CharacterCnn
from elmo_tagger.bilm.characters import boundary_ids, encode_sentences
from elmo_tagger.bilm.device import to_device
from elmo_tagger.bilm.dispatch import Dispatch
from elmo_tagger.bilm.embedding import Embedding, words_of
from elmo_tagger.bilm.factors import keep_rounded
from elmo_tagger.bilm.loading import hdf5_weights
from elmo_tagger.bilm.loading.uninitialized import Uninitialized
from elmo_tagger.bilm.lstm import ProjectedLstm, State
from elmo_tagger.bilm.mixing import ScalarMix
from elmo_tagger.bilm.options import Options
from elmo_tagger.bilm.packing import NO_WORD
from elmo_tagger.bilm.precision import checked_precision
from elmo_tagger.bilm.reference import BEGIN, BOUNDARIES, END, Parts, Reference, WordTable
from elmo_tagger.bilm.stack import LstmStack
from elmo_tagger.text.outputs import Target

STORED_WORDS = 2**15
"""Words that a biLM keeps the vectors of by default: 64 MiB at a width of 512; 95 % of English text."""


@dataclass(frozen=True)
class BilmOutput:
    """What the biLM computed.

    Attributes:
        layers: For each layer asked for its vectors (B, T, 2P), forward then backward; 0 at padding. Layer 0, the
            character CNN, holds its P values twice.
        mask: (B, T) bool, true where there is a word (or, if kept, a boundary).
    """

    layers: dict[int, Tensor]
    mask: Tensor


class Bilm(nn.Module):
    """A bidirectional language model of bilm-tf's kind.

    Args:
        options: Its shape.
        stateful: Carry the LSTM's state from one call to the next, row by row of the batch, as bilm-tf does. By
            default a sentence's vectors depend on that sentence alone.
        max_tokens_per_pass: Bound on the words whose windows in the CNN and gates in the LSTM are held at once. What
            else is held is of the size of the character ids and of the layers asked for, unless gradients are recorded.
            None for no bound.
        precision: One of `PRECISIONS`: what the factors of products are rounded to while no gradients are recorded;
            cells and results stay float32. `auto` is the fastest, where the biLM is, whose error is at most that of
            `float16`.
        stored_words: Words whose vectors are kept from call to call, those asked for last, on a CPU and while no
            gradients are recorded. 0 for none.
        rounded_weights: Keep the weights of products only as `precision` rounds them: half the memory, or a quarter in
            `int8`, and the same vectors. For weights that are not trained.

    Raises:
        ValueError: `max_tokens_per_pass` is not positive, `stored_words` negative, or there is no such precision.

    Source: Peters et al. 2018 (arXiv:1802.05365), section 3, and https://github.com/allenai/bilm-tf, bilm/model.py.
    """

    def __init__(
        self,
        options: Options,
        *,
        stateful: bool = False,
        max_tokens_per_pass: int | None = None,
        precision: str = "float32",
        stored_words: int = STORED_WORDS,
        rounded_weights: bool = False,
    ) -> None:
        super().__init__()
        if max_tokens_per_pass is not None and max_tokens_per_pass < 1:
            raise ValueError(f"max_tokens_per_pass: expected a positive number or None, received {max_tokens_per_pass}")
        if stored_words < 0:
            raise ValueError(f"stored_words: expected a number of words, 0 or more, received {stored_words}")
        self.options = options
        self.max_tokens_per_pass = max_tokens_per_pass
        self.char_cnn = CharacterCnn(options.char_cnn, projection_dim=options.lstm.projection_dim)
        self.lstm = LstmStack(options.lstm, stateful=stateful)
        self._dispatch = Dispatch(Parts(self.char_cnn, self.lstm, checked_precision(precision), stored_words))
        if rounded_weights:
            # a choice for this machine; what is kept may be used on another
            keep_rounded(self, "float16" if precision == "auto" else precision)

    @classmethod
    def load(
        cls,
        options_file: str | Path,
        weight_file: str | Path,
        *,
        stateful: bool = False,
        max_tokens_per_pass: int | None = None,
        precision: str = "float32",
        stored_words: int = STORED_WORDS,
        rounded_weights: bool = False,
    ) -> Bilm:
        """Read a biLM from `options.json` and `weights.hdf5`; the other arguments are the constructor's.

        Raises:
            OptionsError: The options are not those of a biLM.
            WeightsError: The weights are damaged or do not fit the options.
            OSError: A file cannot be read.
        """
        options = Options.from_file(options_file)
        hdf5_weights.check(options, weight_file)  # before anything of the options' sizes is made
        # no random start is drawn that the file would only overwrite
        with Uninitialized():
            bilm = cls(
                options,
                stateful=stateful,
                max_tokens_per_pass=max_tokens_per_pass,
                precision=precision,
                stored_words=stored_words,
                rounded_weights=rounded_weights,
            )
        bilm.load_weights(weight_file)
        return bilm

    def load_weights(self, path: str | Path) -> None:
        """Overwrite all parameters with those of an .hdf5 file; see `hdf5_weights.load`."""
        hdf5_weights.load(self, self.options, path)

    def save(self, directory: Target, *, dtype: str = "float32") -> None:
        """Write `options.json` and `weights.hdf5`, which bilm-tf and AllenNLP read too; see `hdf5_weights.save`."""
        hdf5_weights.save(self, self.options, directory, dtype=dtype)

    @property
    def stateful(self) -> bool:
        """Whether the LSTM's state is carried from call to call."""
        return self.lstm.stateful

    @property
    def precision(self) -> str:
        """What the factors of products are rounded to while no gradients are recorded; what `auto` stands for here."""
        return self._dispatch.parts.precision

    @property
    def stored_words(self) -> int:
        """Words whose vectors are kept from call to call on a CPU; 0 for none."""
        return self._dispatch.parts.stored_words

    @stored_words.setter
    def stored_words(self, number: int) -> None:
        self._dispatch.parts.stored_words = number

    @property
    def output_dim(self) -> int:
        """2P, the width of a layer's vectors."""
        return 2 * self.options.lstm.projection_dim

    @property
    def num_layers(self) -> int:
        """L, the character CNN included."""
        return self.options.lstm.n_layers + 1

    def forward(
        self,
        character_ids: Tensor,
        mask: Tensor | None = None,
        *,
        layers: Sequence[int] | None = None,
        keep_boundaries: bool = False,
    ) -> BilmOutput:
        """Embed sentences.

        Args:
            character_ids: (B, T, C) integers as of `characters`, without boundaries. A position whose ids are all 0
                holds no word.
            mask: (B, T) bool, true where there is a word; None if the ids say it all. Positions in a gap are skipped,
                as if the sentence had been written without them.
            layers: The layers wanted, 0 the character CNN; no others are computed. None for all.
            keep_boundaries: Give the boundaries' vectors too: T grows by 2, word t is at t + 1.

        Raises:
            ValueError: A shape does not fit, an id is out of range, or there is no such layer.
        """
        characters = self.options.char_cnn.max_characters_per_token
        if character_ids.dim() != 3 or character_ids.shape[2] != characters:
            raise ValueError(
                f"expected character ids of shape (B, T, {characters}), as max_characters_per_token of the options "
                f"says, received {tuple(character_ids.shape)}"
            )
        present = (character_ids != 0).any(dim=-1)
        if mask is not None:
            present = present & _checked_mask(mask, present)
        implementation = self._dispatch.choose(self.char_cnn, character_ids)
        table = implementation.embed_batch(
            character_ids, present, self._boundary_ids(), max_words=self.max_tokens_per_pass
        )
        return self._contextualize(table, layers, keep_boundaries)

    def embed(
        self,
        sentences: Sequence[str] | Sequence[Sequence[str]],
        lengths: Sequence[int] | None = None,
        *,
        mix: ScalarMix | None = None,
    ) -> Embedding:
        """Embed sentences given as text, each independently of the others, with the five outputs of TF-Hub's module.

        No gradients are recorded in the biLM, but in a mix that is given.

        Args:
            sentences: Strings, split at spaces, or lists of words.
            lengths: For lists of words, how many of each count; all by default. As TF-Hub's `tokens`, whose lists are
                filled to one length.
            mix: Of the layers; an even one by default, as TF-Hub's before training.

        Raises:
            ValueError: The biLM is stateful, or `lengths` do not fit.
        """
        if self.stateful:
            raise ValueError("expected a stateless biLM: this one's vectors depend on the sentences before")
        words = words_of(sentences, lengths)
        ids = encode_sentences(words, max_characters=self.options.char_cnn.max_characters_per_token)
        with torch.no_grad():
            output = self(to_device(torch.from_numpy(ids), self.char_cnn.char_embed.device))
        layers = [output.layers[number] for number in range(self.num_layers)]
        mix = ScalarMix(len(layers), trainable=False).to(output.mask.device) if mix is None else mix
        return Embedding.of(layers, output.mask, elmo=mix(layers, output.mask))

    def embed_words(self, character_ids: Tensor) -> Tensor:
        """Character-CNN vectors (W, P) of words (W, C)."""
        implementation = self._dispatch.choose(self.char_cnn, character_ids)
        return implementation.embed_words(character_ids, max_words=self.max_tokens_per_pass)

    def embed_boundaries(self) -> Tensor:
        """Character-CNN vectors (2, P) of begin and end of sentence."""
        return self.embed_words(self._boundary_ids())

    def forward_words(
        self,
        word_vectors: Tensor,
        words: Tensor,
        *,
        boundary_vectors: Tensor | None = None,
        layers: Sequence[int] | None = None,
        keep_boundaries: bool = False,
        lengths: Sequence[int] | None = None,
    ) -> BilmOutput:
        """Embed sentences whose words' character-CNN vectors are at hand.

        Args:
            word_vectors: (W, P), from `embed_words`.
            words: (B, T) int64, for each position the row of its word in `word_vectors`; negative where there is none.
            boundary_vectors: (2, P), from `embed_boundaries`; computed if None.
            layers: As in `forward`.
            keep_boundaries: As in `forward`.
            lengths: Words of each sentence, if they are known; a GPU is asked otherwise, which waits for it.

        Raises:
            ValueError: There is no such layer.
        """
        if boundary_vectors is None:
            boundary_vectors = self.embed_boundaries()
        vectors = torch.cat([boundary_vectors, word_vectors])
        shifted = torch.where(words >= 0, words + BOUNDARIES, NO_WORD)
        return self._contextualize(WordTable(vectors, shifted, lengths), layers, keep_boundaries)

    def run_layer(self, number: int, inputs: Tensor, sizes: list[int], state: State) -> tuple[Tensor, State]:
        """Run one LSTM layer over a chunk of steps, as a training of the language model does.

        Args:
            number: Of the layer, counted from 0.
            inputs: As in `ProjectedLstm.forward`, like the arguments after it.
            sizes: See there.
            state: See there.

        Returns:
            Outputs and state, see there.
        """
        layer = cast(ProjectedLstm, self.lstm.layers[number])
        return self._dispatch.choose(layer, inputs).run_layer(layer, inputs, sizes, state)

    def implementation(self) -> Reference:
        """What computes the layers where the biLM is now, with gradients or without as they are recorded now."""
        return self._dispatch.choose(self.lstm, self.char_cnn.char_embed.detach())

    def reset_states(self) -> None:
        """Forget the state that earlier calls left (only a stateful biLM has any)."""
        self.lstm.reset_states()

    def _apply(self, *arguments: Any, **options: Any) -> Bilm:
        self._dispatch.forget()  # the weights may be leaving their device
        super()._apply(*arguments, **options)  # type: ignore[no-untyped-call]
        self._dispatch.choose_precision()
        return self

    def _boundary_ids(self) -> Tensor:
        ids = boundary_ids(max_characters=self.options.char_cnn.max_characters_per_token)
        return to_device(torch.from_numpy(ids), self.char_cnn.char_embed.device)

    def _wanted(self, layers: Sequence[int] | None) -> list[int]:
        if layers is None:
            return list(range(self.num_layers))
        for layer in layers:
            if layer not in range(self.num_layers):
                raise ValueError(f"layer {layer}: expected a number from 0 to {self.num_layers - 1} (0: character CNN)")
        return sorted(set(layers))

    def _contextualize(self, table: WordTable, layers: Sequence[int] | None, keep_boundaries: bool) -> BilmOutput:
        vectors, words, lengths = table.vectors, table.words, table.lengths
        wanted = self._wanted(layers)
        depths = [layer for layer in wanted if layer > 0]
        grid, ends = self._with_boundaries(words)
        if lengths is not None:
            lengths = [length + BOUNDARIES if length or self.stateful else 0 for length in lengths]
        states = self.lstm.carried_states(len(words), like=vectors) if self.stateful else None
        implementation = self._dispatch.choose(self.lstm, vectors)
        outputs = implementation.run_layers(
            vectors, grid, states, depths=depths, max_words=self.max_tokens_per_pass, lengths=lengths
        )
        if states is not None:
            self.lstm.carry(states)
        shown = grid if keep_boundaries else words
        if not keep_boundaries:
            # the place of a sentence's end is a place of padding once boundaries are gone
            rows = torch.arange(len(words), device=words.device)
            for layer in depths:
                # a number set by brackets would be a tensor on the CPU, for whose copy CUDA waits
                outputs[layer].index_put_((rows, ends), outputs[layer].new_zeros(()))
                outputs[layer] = outputs[layer][:, 1:-1]
        if 0 in wanted:
            outputs = {0: _twice(vectors, shown), **outputs}
        return BilmOutput(layers=outputs, mask=shown != NO_WORD)

    def _with_boundaries(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """Put boundaries around each sentence.

        Returns:
            The grid (B, T + 2), rows of the table of vectors, and the places (B,) of the ends in it.
        """
        places = torch.arange(1, words.shape[1] + 1, device=words.device)
        last = F.pad((words != NO_WORD) * places, (1, 0)).amax(dim=1, keepdim=True)  # 0 for an empty sentence
        # bilm-tf's rows step through the boundaries of an empty sentence too; without state that is lost work
        skipped = (last == 0) & (not self.stateful)
        grid = F.pad(words, (1, 1), value=NO_WORD)
        grid[:, :1] = torch.where(skipped, NO_WORD, BEGIN)
        return grid.scatter(1, last + 1, torch.where(skipped, NO_WORD, END)), last.squeeze(1) + 1


def _checked_mask(mask: Tensor, present: Tensor) -> Tensor:
    if mask.shape != present.shape:
        raise ValueError(f"expected a mask of shape {tuple(present.shape)}, received {tuple(mask.shape)}")
    return mask.bool()


def _twice(vectors: Tensor, words: Tensor) -> Tensor:
    """Layer 0: the vectors (W, P) laid out as (B, T, 2P), doubled to the width of the other layers."""
    once = vectors[words.clamp(min=0)] * (words != NO_WORD).unsqueeze(-1)
    return torch.cat([once, once], dim=-1)
