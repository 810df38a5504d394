"""Weights of AllenNLP's `elmo_token_embedder`, as archives of its time hold them, under the names of `elmo_hdf5`.

The arithmetic is what AllenNLP does to bilm-tf's weights when it loads them, backwards: transposed matrices, gates in
another order, a carry gate of the other sign, the forget gate's constant in the bias.
"""

from typing import Dict

import torch

OLD = "_elmo._elmo_lstm."
"""What the biLM's names begin with in such an archive."""


def translate(state: Dict[str, torch.Tensor], prefix: str) -> bool:
    """Renames and rearranges, in place, an old embedder's part of a state dict.

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
    mix = {name.removeprefix("_elmo."): value for name, value in taken.items() if not name.startswith(OLD)}
    bilm = {name.removeprefix(OLD): value for name, value in taken.items() if name.startswith(OLD)}
    cnn = {name.removeprefix("_token_embedder."): v for name, v in bilm.items() if name.startswith("_token_embedder.")}
    lstm = {name.removeprefix("_elmo_lstm."): v for name, v in bilm.items() if name.startswith("_elmo_lstm.")}
    state.update({prefix + name: value for name, value in mix.items()})
    state.update({f"{prefix}bilm.char_cnn.{name}": value for name, value in _character_cnn(cnn).items()})
    state.update({f"{prefix}bilm.lstm.layers.{name}": value for name, value in _lstm(lstm).items()})
    return True


def _character_cnn(old: Dict[str, torch.Tensor]) -> Dict[str, torch.Tensor]:
    new = {
        # AllenNLP has a row of zeros for padding.
        "char_embed": old["_char_embedding_weights"][1:],
        "W_proj": old["_projection.weight"].T,
        "b_proj": old["_projection.bias"],
    }
    for number in range(_count(old, "char_conv_{}.weight")):
        # (out, in, width) -> (1, width, in, out)
        new[f"convolutions.{number}.W_cnn"] = old[f"char_conv_{number}.weight"].permute(2, 1, 0).unsqueeze(0)
        new[f"convolutions.{number}.b_cnn"] = old[f"char_conv_{number}.bias"]
    for number in range(_count(old, "_highways._layers.{}.weight")):
        transform, carry = old[f"_highways._layers.{number}.weight"].chunk(2)
        new[f"highways.{number}.W_transform"], new[f"highways.{number}.W_carry"] = transform.T, -carry.T
        transform, carry = old[f"_highways._layers.{number}.bias"].chunk(2)
        new[f"highways.{number}.b_transform"], new[f"highways.{number}.b_carry"] = transform, -carry
    return new


def _lstm(old: Dict[str, torch.Tensor]) -> Dict[str, torch.Tensor]:
    """Both directions of each layer, stacked."""
    new = {}
    for layer in range(_count(old, "forward_layer_{}.state_projection.weight")):
        weights, biases, projections = [], [], []
        for direction in ("forward", "backward"):
            name = f"{direction}_layer_{layer}"
            packed = torch.cat([old[f"{name}.{part}_linearity.weight"] for part in ("input", "state")], dim=1)
            weights.append(_gates(packed).T)
            biases.append(_gates(old[f"{name}.state_linearity.bias"], forget=-1.0))
            projections.append(old[f"{name}.state_projection.weight"].T)
        new[f"{layer}.W_0"] = torch.stack(weights)
        new[f"{layer}.B"] = torch.stack(biases)
        new[f"{layer}.W_P_0"] = torch.stack(projections)
    return new


def _gates(packed: torch.Tensor, forget: float = 0.0) -> torch.Tensor:
    """Gates i f j o, along the first axis, in bilm-tf's order i j f o; something is added to f."""
    i, f, j, o = packed.chunk(4)
    return torch.cat([i, j, f + forget, o])


def _count(names: Dict[str, torch.Tensor], pattern: str) -> int:
    number = 0
    while pattern.format(number) in names:
        number += 1
    return number
