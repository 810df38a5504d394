"""The character CNN: one vector for each word, from its characters alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elmo_tagger.bilm.characters import LARGEST_ID, PAD_CHARACTER
from elmo_tagger.bilm.factors import Factors
from elmo_tagger.bilm.options import CHARACTERS, CharCnnOptions

# Values that the windows of one pass may hold: small enough for a CPU's cache, large enough for a GPU's many cores.
_VALUES_PER_PASS = {"cpu": 2**22, "other": 2**27}
# Words that go through the highway layers at once: the more, the fewer times their weights are read.
_WORDS_TRANSFORMED = {"cpu": 1024, "other": 8192}


class Stages(Protocol):
    """What becomes of words of similar length, whoever computes it."""

    @property
    def char_embed(self) -> Tensor:
        """(261, embedding_dim), the characters' vectors."""

    def pool(self, characters: Tensor) -> Tensor:
        """See `CharacterCnn.pool`."""

    def transform(self, vectors: Tensor) -> Tensor:
        """See `CharacterCnn.transform`; may overwrite its argument."""


class CharacterCnn(Factors):
    """Character vectors -> convolutions, largest over the word -> highway layers -> projection.

    The parameters have bilm-tf's names and shapes, except that bilm-tf knows no id 0 (see `characters`).

    Args:
        options: Its shape.
        projection_dim: P.

    Source: https://github.com/allenai/bilm-tf, bilm/model.py, _build_word_char_embeddings.
    """

    def __init__(self, options: CharCnnOptions, *, projection_dim: int) -> None:
        super().__init__()
        self.options = options
        self.char_embed = nn.Parameter(torch.empty(CHARACTERS, options.embedding_dim))
        self.convolutions = nn.ModuleList(
            _Convolution(options.embedding_dim, width=width, count=count) for width, count in options.filters
        )
        self.highways = nn.ModuleList(_Highway(options.n_filters) for _ in range(options.n_highway))
        self.W_proj = nn.Parameter(torch.empty(options.n_filters, projection_dim))
        self.b_proj = nn.Parameter(torch.empty(projection_dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the start of a training, scaled as in bilm-tf."""
        nn.init.uniform_(self.char_embed, -1.0, 1.0)
        nn.init.normal_(self.W_proj, std=1.0 / math.sqrt(self.options.n_filters))
        nn.init.zeros_(self.b_proj)

    def forward(self, character_ids: Tensor, *, max_words: int | None = None, stages: Stages | None = None) -> Tensor:
        """Embed words.

        Args:
            character_ids: (W, C) integers, 1-261, and 0 which has a zero vector.
            max_words: Words of one pass; memory is bounded by it.
            stages: What computes; this module itself by default.

        Returns:
            (W, P).

        Raises:
            ValueError: The ids have another C than the options, or an id is out of range.
        """
        self.check(character_ids)
        if len(character_ids) == 0:
            return self.char_embed.new_zeros(0, self.W_proj.shape[1])
        counts, order = character_counts(character_ids).sort(descending=True)
        vectors = self.embed_sorted(character_ids[order], counts.tolist(), max_words=max_words, stages=stages)
        return vectors[order.argsort()]

    def embed_sorted(
        self,
        character_ids: Tensor,
        counts: Sequence[int],
        *,
        max_words: int | None = None,
        stages: Stages | None = None,
    ) -> Tensor:
        """Embed words that are known to be right, those of most characters first.

        Similar lengths go together, so that a pass computes few windows behind the end of its words.

        Args:
            character_ids: (W, C), W at least 1.
            counts: `character_counts` of each word.
            max_words: As in `forward`.
            stages: As in `forward`.

        Returns:
            (W, P).
        """
        stages = self if stages is None else stages
        device = character_ids.device.type
        most = _WORDS_TRANSFORMED.get(device, _WORDS_TRANSFORMED["other"])
        values = _VALUES_PER_PASS.get(device, _VALUES_PER_PASS["other"])
        words_per_pass = max(1, values // (self.options.max_characters_per_token * self.options.n_filters))
        size = min(most, max_words or most)
        table = F.pad(stages.char_embed, (0, 0, 1, 0))
        blocks = []
        for first in range(0, len(counts), size):
            ids, own = character_ids[first : first + size].long(), counts[first : first + size]
            pooled = [
                stages.pool(F.embedding(ids[start : start + words_per_pass, : self._columns(own[start])], table))
                for start in range(0, len(own), words_per_pass)
            ]
            blocks.append(stages.transform(torch.cat(pooled)).to(self.b_proj.dtype))
        return torch.cat(blocks)

    def check(self, character_ids: Tensor) -> None:
        """Refuse what `forward` would refuse."""
        columns = self.options.max_characters_per_token
        if character_ids.dim() != 2 or character_ids.shape[1] != columns:
            raise ValueError(
                f"expected character ids of shape (words, {columns}), as max_characters_per_token of the options says, "
                f"received {tuple(character_ids.shape)}"
            )
        if character_ids.numel():
            self.check_range(*torch.stack(torch.aminmax(character_ids)).tolist())

    def check_range(self, low: int, high: int) -> None:
        """Refuse ids that `forward` would refuse, from the lowest to the highest."""
        if low < 0 or high > LARGEST_ID:
            raise ValueError(f"expected character ids of 0 to {LARGEST_ID}, received {low} to {high}")

    def _columns(self, longest: int) -> int:
        """Characters that suffice for words of `longest` characters.

        All windows that lie wholly in the padding have the same value; the widest filter needs one of them, and the
        maximum over the word does not change with more.
        """
        widest = max(width for width, _ in self.options.filters)
        return min(self.options.max_characters_per_token, longest + widest)

    def pool(self, characters: Tensor, *, largest: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The largest value (W, F) of each filter over the word, from its characters (W, C', embedding_dim).

        Args:
            characters: As above.
            largest: What finds it, (W, windows, f) -> (W, f), if autograd is not to do so.
        """
        activation = torch.relu if self.options.activation == "relu" else torch.tanh
        return activation(torch.cat([convolution(characters, largest) for convolution in self.convolutions], dim=-1))

    def transform(self, vectors: Tensor) -> Tensor:
        """Highway layers and projection: (W, F) -> (W, P)."""
        for highway in self.highways:
            vectors = highway(vectors)
        return torch.addmm(self.b_proj, vectors, self.W_proj)


class _Convolution(Factors):
    """All filters of one width, and their largest value over the word."""

    def __init__(self, embedding_dim: int, *, width: int, count: int) -> None:
        super().__init__()
        self.W_cnn = nn.Parameter(torch.empty(1, width, embedding_dim, count))
        self.b_cnn = nn.Parameter(torch.empty(count))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.W_cnn, std=1.0 / math.sqrt(self.W_cnn.shape[1] * self.W_cnn.shape[2]))
        nn.init.zeros_(self.b_cnn)

    def forward(self, characters: Tensor, largest: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Convolve and pool: (W, C, embedding_dim) -> (W, count)."""
        width = self.W_cnn.shape[1]
        if torch.is_autocast_enabled(characters.device.type):
            # before they are repeated for each window, not after
            characters = characters.to(torch.get_autocast_dtype(characters.device.type))
        windows = characters.shape[1] - width + 1
        # As a matrix product over windows laid side by side: several times faster than a convolution of few channels.
        unfolded = torch.cat([characters[:, i : i + windows] for i in range(width)], dim=-1)
        # the bias is the same for all windows, so it can wait until after the maximum
        filtered = unfolded @ self.W_cnn.flatten(0, 2)
        return (filtered.amax(dim=1) if largest is None else largest(filtered)) + self.b_cnn


class _Highway(Factors):
    """carry * relu(transform) + (1 - carry) * input; bilm-tf calls the gate "carry" though it opens the transform."""

    def __init__(self, n_filters: int) -> None:
        super().__init__()
        self.W_carry = nn.Parameter(torch.empty(n_filters, n_filters))
        self.b_carry = nn.Parameter(torch.empty(n_filters))
        self.W_transform = nn.Parameter(torch.empty(n_filters, n_filters))
        self.b_transform = nn.Parameter(torch.empty(n_filters))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for weight in (self.W_carry, self.W_transform):
            nn.init.normal_(weight, std=1.0 / math.sqrt(weight.shape[0]))
        nn.init.constant_(self.b_carry, -2.0)  # bilm-tf, model.py: mostly closed at the start
        nn.init.zeros_(self.b_transform)

    def forward(self, vectors: Tensor) -> Tensor:
        carry = torch.addmm(self.b_carry, vectors, self.W_carry).sigmoid()
        transformed = torch.addmm(self.b_transform, vectors, self.W_transform).relu()
        # under autocast the products have its type, and lerp wants one for all three
        return torch.lerp(vectors, transformed.to(vectors.dtype), carry.to(vectors.dtype))


def character_counts(character_ids: Tensor) -> Tensor:
    """Characters (W,) up to the last one that is not padding."""
    places = torch.arange(1, character_ids.shape[1] + 1, device=character_ids.device)
    return ((character_ids != PAD_CHARACTER) * places).amax(dim=1)
