"""What an archive knows of its biLM, so that loading it opens no other file.

AllenNLP builds a model from its config before it loads the weights, and the config names the options and weights that
it was trained with. Those files may be gone, or be URLs. So the embedder keeps a description of itself as the extra
state of its state dict and, when it is built where trained weights already lie, reads it from there.
"""

import json
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional

import torch

KIND = "elmo_hdf5"
# In an archive; in the directory of a training run.
WEIGHTS_NAMES = ("weights.th", "best.th")
SUFFIX = "_extra_state"


class TrainedState(NamedTuple):
    """What trained weights say of one embedder.

    Attributes:
        description: As the embedder described itself: `options` of the biLM, `options_file` and `weight_file` as its
            config gave them, `static_dim`.
        tensors: The embedder's part of the state dict.
    """

    description: Dict[str, Any]
    tensors: Dict[str, torch.Tensor]


def encode(description: Dict[str, Any]) -> torch.Tensor:
    """A description as the bytes of its JSON text, (N,) uint8, which any loader of tensors takes."""
    text = json.dumps({"kind": KIND, **description}, sort_keys=True)
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def decode(state: Any) -> Optional[Dict[str, Any]]:
    """The inverse of `encode`; None for what is no description of ours."""
    try:
        description = json.loads(bytes(state.tolist()).decode())
        return description if description.pop("kind") == KIND else None
    except (AttributeError, ValueError, TypeError, KeyError):
        return None


def find(
    serialization_dir: Optional[str], options_file: Optional[str], weight_file: Optional[str]
) -> Optional[TrainedState]:
    """The trained state of the embedder with these arguments in a directory, or None.

    If the directory's weights hold one embedder it is that one, whatever the files are called now; of several, the one
    whose files are named alike.

    Args:
        serialization_dir: The directory in which AllenNLP builds the model; None outside of training and loading.
        options_file: As in the config.
        weight_file: As in the config.
    """
    if serialization_dir is None:
        return None
    paths = (Path(serialization_dir) / name for name in WEIGHTS_NAMES)
    path = next((each for each in paths if each.is_file()), None)
    if path is None:
        return None
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    found = {}
    for key, value in state.items():
        description = decode(value) if key.endswith(SUFFIX) else None
        if description is not None:
            found[key[: -len(SUFFIX)]] = description
    if len(found) > 1:
        wanted = (options_file, weight_file)
        found = {k: d for k, d in found.items() if (d["options_file"], d["weight_file"]) == wanted}
    if not found:
        return None
    prefix, description = next(iter(found.items()))
    tensors = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
    return TrainedState(description, tensors)
