"""Weights of AllenNLP's `elmo_token_embedder`, as its archives hold them, under the names of this package.

The arithmetic is what AllenNLP does to bilm-tf's weights when it loads them, backwards: transposed matrices, gates in
another order, a carry gate of the other sign, the forget gate's constant in the bias.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from elmo_tagger.bilm.options import CharCnnOptions, LstmOptions, Options

OLD = "_elmo._elmo_lstm."
"""What the biLM's names begin with in such an archive."""
CACHED_WORDS = f"{OLD}_word_embedding.weight"
"""What the character CNN says of words that a training looked up; not needed."""


def translate(state: dict[str, Tensor], prefix: str) -> bool:
    """Renames and rearranges, in place, an old embedder's part of a state dict; what it does not know keeps its name.

    Args:
        state: A state dict.
        prefix: The embedder's.

    Returns:
        Whether there was an old embedder.
    """
    old = {key[len(prefix) :]: key for key in state if key.startswith(f"{prefix}_elmo.")}
    if not old:
        return False
    taken = {name: state.pop(key) for name, key in old.items()}
    taken.pop(CACHED_WORDS, None)
    mix = {name.removeprefix("_elmo."): value for name, value in taken.items() if not name.startswith(OLD)}
    bilm = {name.removeprefix(OLD): value for name, value in taken.items() if name.startswith(OLD)}
    cnn = {name.removeprefix("_token_embedder."): v for name, v in bilm.items() if name.startswith("_token_embedder.")}
    lstm = {name.removeprefix("_elmo_lstm."): v for name, v in bilm.items() if name.startswith("_elmo_lstm.")}
    state.update({prefix + name: value for name, value in mix.items()})
    state.update({f"{prefix}bilm.char_cnn.{name}": value for name, value in _character_cnn(cnn).items()})
    state.update({f"{prefix}bilm.lstm.layers.{name}": value for name, value in _lstm(lstm).items()})
    known = ("_token_embedder.", "_elmo_lstm.")
    rest = {name: value for name, value in bilm.items() if not name.startswith(known)}
    for part, left in zip(("", *known), (rest, cnn, lstm), strict=True):
        state.update({f"{prefix}{OLD}{part}{name}": value for name, value in left.items()})
    return True


def _character_cnn(old: dict[str, Tensor]) -> dict[str, Tensor]:
    """The character CNN's tensors, which are taken out of `old`."""
    new = {
        # AllenNLP has a row of zeros for padding.
        "char_embed": old.pop("_char_embedding_weights")[1:],
        "W_proj": old.pop("_projection.weight").T,
        "b_proj": old.pop("_projection.bias"),
    }
    for number in range(_count(old, "char_conv_{}.weight")):
        # (out, in, width) -> (1, width, in, out)
        new[f"convolutions.{number}.W_cnn"] = old.pop(f"char_conv_{number}.weight").permute(2, 1, 0).unsqueeze(0)
        new[f"convolutions.{number}.b_cnn"] = old.pop(f"char_conv_{number}.bias")
    for number in range(_count(old, "_highways._layers.{}.weight")):
        transform, carry = old.pop(f"_highways._layers.{number}.weight").chunk(2)
        new[f"highways.{number}.W_transform"], new[f"highways.{number}.W_carry"] = transform.T, -carry.T
        transform, carry = old.pop(f"_highways._layers.{number}.bias").chunk(2)
        new[f"highways.{number}.b_transform"], new[f"highways.{number}.b_carry"] = transform, -carry
    return new


def _lstm(old: dict[str, Tensor]) -> dict[str, Tensor]:
    """Both directions of each layer, stacked; they are taken out of `old`."""
    new = {}
    for layer in range(_count(old, "forward_layer_{}.state_projection.weight")):
        weights, biases, projections = [], [], []
        for direction in ("forward", "backward"):
            name = f"{direction}_layer_{layer}"
            packed = torch.cat([old.pop(f"{name}.{part}_linearity.weight") for part in ("input", "state")], dim=1)
            weights.append(_gates(packed).T)
            biases.append(_gates(old.pop(f"{name}.state_linearity.bias"), forget=-1.0))
            projections.append(old.pop(f"{name}.state_projection.weight").T)
        new[f"{layer}.W_0"] = torch.stack(weights)
        new[f"{layer}.B"] = torch.stack(biases)
        new[f"{layer}.W_P_0"] = torch.stack(projections)
    return new


def _gates(packed: Tensor, forget: float = 0.0) -> Tensor:
    """Gates i f j o, along the first axis, in bilm-tf's order i j f o; something is added to f."""
    i, f, j, o = packed.chunk(4)
    return torch.cat([i, j, f + forget, o])


def _count(names: Mapping[str, Tensor], pattern: str) -> int:
    number = 0
    while pattern.format(number) in names:
        number += 1
    return number


def published_options(weights: Mapping[str, Tensor], prefix: str) -> Options | None:
    """The options of a biLM of AllenNLP's embedder, if its shape is that of a published one.

    Archives do not hold them. Sizes can be read off the weights; for the rest, all published option files agree.

    Args:
        weights: A state dict, already translated.
        prefix: The embedder's.
    """
    cnn, lstm = f"{prefix}bilm.char_cnn.", f"{prefix}bilm.lstm.layers."
    convolutions = _shapes(weights, cnn + "convolutions.{}.W_cnn")
    projections = _shapes(weights, lstm + "{}.W_P_0")
    highways = len(_shapes(weights, cnn + "highways.{}.W_carry"))
    filters = tuple((shape[1], shape[3]) for shape in convolutions)
    _, dim, projection_dim = projections[0]
    if (filters, len(projections), highways, dim, projection_dim) not in _PUBLISHED:
        return None
    return Options(
        char_cnn=CharCnnOptions(embedding_dim=16, filters=filters, n_highway=highways),
        lstm=LstmOptions(
            dim=dim,
            projection_dim=projection_dim,
            n_layers=len(projections),
            cell_clip=3,
            proj_clip=3,
            use_skip_connections=True,
        ),
    )


def _shapes(weights: Mapping[str, Tensor], pattern: str) -> list[torch.Size]:
    return [weights[pattern.format(number)].shape for number in range(_count(weights, pattern))]


_FILTERS = ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024))
_PUBLISHED = (
    # small, medium, and the size of the original, 5.5B, PubMed and the other languages
    (_FILTERS, 2, 1, 1024, 128),
    (_FILTERS, 2, 1, 2048, 256),
    (_FILTERS, 2, 2, 4096, 512),
)
