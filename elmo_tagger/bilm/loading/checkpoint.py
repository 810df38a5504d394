"""What trained weights know of their biLM, so that loading them opens no other file.

AllenNLP builds a model from its config before it loads the weights, and the config names the options and weights that
it was trained with. Those files may be gone, or be URLs. So the embedder keeps a description of itself as the extra
state of its state dict; whoever finds trained weights reads it from there, with AllenNLP or without.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elmo_tagger.archives import ArchiveError, open_archive, read_weights, weights_in
from elmo_tagger.bilm.loading.hdf5_weights import check_parameters
from elmo_tagger.bilm.loading.uninitialized import Uninitialized
from elmo_tagger.bilm.mixing import ScalarMix
from elmo_tagger.bilm.model import Bilm
from elmo_tagger.bilm.options import Options
from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.text.strict_json import parse_object

KIND = "elmo_hdf5"
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
        """The biLM, as training left it; `arguments` are the constructor's.

        Raises:
            OptionsError: The options are not those of a biLM.
            WeightsError: They describe another biLM than the tensors.
        """
        options = Options.from_dict(self.description.get("options", {}), source=f"{self.source}'s weights")
        tensors = self._part(_BILM)
        check_parameters(options, tensors, source=self.source)
        with Uninitialized():
            bilm = Bilm(options, **arguments)
        bilm.load_state_dict(tensors)
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
        try:
            mix = ScalarMix(len(parameters) - 1, layer_norm=layer_norm)
            mix.load_state_dict(parameters)
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise CheckpointError(f"{self.source}: expected a learnt mix of layers: {reason}") from error
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
        description = parse_object(bytes(state.tolist()), name=SUFFIX)
    except (AttributeError, ValueError, TypeError):
        return None
    return description if description.pop("kind", None) == KIND else None


def described(state: Mapping[str, Tensor], *, source: str) -> list[Checkpoint]:
    """All embedders that a state dict describes.

    Args:
        state: The tensors of a trained model.
        source: Where they come from, for messages.
    """
    found = []
    for key, value in state.items():
        description = decode(value) if key.endswith(SUFFIX) else None
        if description is not None:
            prefix = key[: -len(SUFFIX)]
            tensors = {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}
            found.append(Checkpoint(description, tensors, source))
    return found


def read_archive(path: str | Path) -> Checkpoint:
    """The one embedder `elmo_hdf5` of an archive (`model.tar.gz`) or of the directory of a training run.

    Raises:
        ArchiveError: It is damaged, or has no weights.
        CheckpointError: Its model has no embedder `elmo_hdf5` or several.
        OSError: It cannot be read.
    """
    with open_archive(path) as archive:
        found = described(archive.weights(), source=str(path))
    if len(found) != 1:
        raise CheckpointError(f"{path}: expected a model with one embedder elmo_hdf5, this one has {len(found)}")
    return found[0]


def find(serialization_dir: str | None, options_file: str | None, weight_file: str | None) -> list[Checkpoint]:
    """The trained states that the embedder with these arguments may have in a directory; none if nothing was trained.

    If the directory's weights hold one embedder it is that one, whatever the files are called now; of several, those
    whose files are named alike.

    Args:
        serialization_dir: The directory in which AllenNLP builds the model; None outside of training and loading.
        options_file: As in the config.
        weight_file: As in the config.

    Raises:
        ArchiveError: The weights of an archive are damaged. (Those of an interrupted training are passed over.)
    """
    path = None if serialization_dir is None else weights_in(serialization_dir)
    if path is None:
        return []
    try:
        found = described(read_weights(path), source=str(path))
    except ArchiveError:
        if path.name == "best.th":
            return []
        raise
    if len(found) > 1:
        wanted = (options_file, weight_file)
        found = [s for s in found if (s.description["options_file"], s.description["weight_file"]) == wanted]
    return found
