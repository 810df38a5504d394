"""What trained weights know of their biLM, so that loading them opens no other file.

AllenNLP builds a model from its config before it loads the weights, and the config names the options and weights that
it was trained with. Those files may be gone, or be URLs. So the embedder keeps a description of itself as the extra
state of its state dict; whoever finds trained weights reads it from there, with AllenNLP or without.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elmo_tagger.bilm.loading.uninitialized import Uninitialized
from elmo_tagger.bilm.mixing import ScalarMix
from elmo_tagger.bilm.model import Bilm
from elmo_tagger.bilm.options import Options
from elmo_tagger.errors import ElmoTaggerError

KIND = "elmo_hdf5"
# In an archive; in the directory of a training run.
WEIGHTS_NAMES = ("weights.th", "best.th")
SUFFIX = "_extra_state"
_BILM, _MIX = "bilm.", "scalar_mix_0."


class CheckpointError(ElmoTaggerError):
    """Trained weights from which no biLM, or no mix, can be taken."""


@dataclass(frozen=True)
class Checkpoint:
    """What trained weights say of one embedder.

    Attributes:
        description: As the embedder described itself: `options` of the biLM, `options_file` and `weight_file` as its
            config gave them, `static` (width by namespace), `layers` (the mode) and `layer_norm` of the mix.
        tensors: The embedder's part of the state dict.
        source: Where it comes from, for messages.
    """

    description: dict[str, Any]
    tensors: dict[str, Tensor]
    source: str = "the archive"

    def bilm(self, **arguments: Any) -> Bilm:
        """The biLM, as training left it; `arguments` are the constructor's."""
        options = Options.from_dict(self.description["options"], source=f"{self.source}'s weights")
        with Uninitialized():
            bilm = Bilm(options, **arguments)
        bilm.load_state_dict(self._part(_BILM))
        return bilm

    def mix(self) -> ScalarMix:
        """The learnt mix of the layers.

        Raises:
            CheckpointError: The model does not mix layers, or mixes them in a way that depends on the batch.
        """
        parameters = self._part(_MIX)
        if not parameters:
            mode = self.description.get("layers", "another mode")
            raise CheckpointError(f"{self.source}: expected a learnt mix of layers, but the model uses layers {mode!r}")
        # archives from before the description had it were trained without
        layer_norm = self.description.get("layer_norm") or "none"
        if layer_norm == "batch":
            raise CheckpointError(
                f"{self.source}: the mix normalises over the whole batch (layer_norm batch), so a sentence has no "
                "vectors of its own: expected a mix trained with layer_norm none or token"
            )
        mix = ScalarMix(len(parameters) - 1, layer_norm=layer_norm)
        mix.load_state_dict(parameters)
        return mix.requires_grad_(False)

    def _part(self, prefix: str) -> dict[str, Tensor]:
        return {key[len(prefix) :]: value for key, value in self.tensors.items() if key.startswith(prefix)}


def encode(description: dict[str, Any]) -> Tensor:
    """A description as the bytes of its JSON text, (N,) uint8, which any loader of tensors takes."""
    text = json.dumps({"kind": KIND, **description}, sort_keys=True)
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)


def decode(state: Any) -> dict[str, Any] | None:
    """The inverse of `encode`; None for what is no description of ours."""
    try:
        description: dict[str, Any] = json.loads(bytes(state.tolist()).decode())
        return description if description.pop("kind") == KIND else None
    except (AttributeError, ValueError, TypeError, KeyError):
        return None


def read(path: Path, *, source: str) -> list[Checkpoint]:
    """All embedders that a weight file of PyTorch describes.

    Args:
        path: The file. It may hold tensors alone: nothing in it is executed.
        source: Where it comes from, for messages.

    Raises:
        CheckpointError: It is damaged, or holds anything but tensors.
        OSError: It cannot be read.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{source}: expected weights as PyTorch stores tensors: {reason}") from error
    found = []
    for key, value in state.items():
        description = decode(value) if key.endswith(SUFFIX) else None
        if description is not None:
            prefix = key[: -len(SUFFIX)]
            tensors = {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}
            found.append(Checkpoint(description, tensors, source))
    return found


def weights_in(directory: str | Path) -> Path | None:
    """The file with trained weights in a directory, or None."""
    paths = (Path(directory) / name for name in WEIGHTS_NAMES)
    return next((each for each in paths if each.is_file()), None)


def find(serialization_dir: str | None, options_file: str | None, weight_file: str | None) -> list[Checkpoint]:
    """The trained states that the embedder with these arguments may have in a directory; none if nothing was trained.

    If the directory's weights hold one embedder it is that one, whatever the files are called now; of several, those
    whose files are named alike.

    Args:
        serialization_dir: The directory in which AllenNLP builds the model; None outside of training and loading.
        options_file: As in the config.
        weight_file: As in the config.

    Raises:
        CheckpointError: The weights of an archive are damaged. (Those of an interrupted training are passed over.)
    """
    path = weights_in(serialization_dir) if serialization_dir is not None else None
    if path is None:
        return []
    try:
        found = read(path, source=str(path))
    except CheckpointError:
        if path.name == WEIGHTS_NAMES[0]:
            raise
        return []
    if len(found) > 1:
        wanted = (options_file, weight_file)
        found = [s for s in found if (s.description["options_file"], s.description["weight_file"]) == wanted]
    return found
