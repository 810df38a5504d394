"""The parts of a model put together: a network, and the tensors that become its parameters."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from elmo_tagger.archives import bounded_by
from elmo_tagger.bilm.factors import fit
from elmo_tagger.bilm.loading.uninitialized import Uninitialized
from elmo_tagger.errors import ElmoTaggerError, naming
from elmo_tagger.tagger.folder import Parts
from elmo_tagger.tagger.model import build_model
from elmo_tagger.tagger.tagger import Tagger


class LoadError(ElmoTaggerError):
    """Weights that do not fit their config, or a name that stands for no tagger."""


def build(parts: Parts, *, name: str, device: str | torch.device = "cpu", language: str | None = None) -> Tagger:
    """The tagger of a model's parts.

    Args:
        parts: Its parts.
        name: Of the model, for messages.
        device: As of `elmo_tagger.load`.
        language: As of `elmo_tagger.load`.

    Raises:
        ConfigError: Parts do not fit together.
        LoadError: Weights and config do not fit together, or the config has sizes that no model has.
        ArchiveError: Its config claims sizes that its tensors do not have.
    """
    claimed = parts.config.to_dict()["model"]
    # nothing is allocated that no tensor fills, and no random start is drawn that the weights would only overwrite
    with naming(name):
        try:
            with bounded_by(parts.weights, claimed, name=name), Uninitialized():
                network = build_model(parts.config, parts.vocabulary)
        except ElmoTaggerError:
            raise
        except (ValueError, RuntimeError) as error:  # PyTorch's, of sizes below 1
            raise LoadError(f"{name}: config.json: describes no model: {str(error).splitlines()[0]}") from error
        load_weights(network, parts.weights, name=name)
        return Tagger(parts.config, parts.vocabulary, network.to(device), language=language, card=parts.card)


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], *, name: str) -> None:
    """Make tensors the parameters of a network, without copying those that have its types.

    Args:
        network: The network.
        weights: By the parameters' names.
        name: Of the model, for messages.

    Raises:
        LoadError: A parameter is missing, a tensor is foreign, or their shapes differ.
    """
    weights = dict(weights)
    fit(network, weights)  # those of a biLM may be rounded otherwise than the config says
    expected = {**dict(network.named_parameters(remove_duplicate=False)), **dict(network.named_buffers())}
    problems = [
        f"{key} is missing, expected with shape {tuple(value.shape)}"
        for key, value in network.state_dict().items()  # without what has a default, as the CRF's temperature
        if key not in weights
    ]
    for key, value in weights.items():
        if key not in expected:
            problems.append(f"{key}, of shape {tuple(value.shape)}, is foreign: the config has no such part")
        elif value.shape != expected[key].shape:
            shapes = tuple(expected[key].shape), tuple(value.shape)
            problems.append(f"{key}: expected shape {shapes[0]}, received {shapes[1]}")
        elif value.is_complex():
            problems.append(f"{key}: expected real numbers, received {value.dtype}")
    if problems:
        more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
        raise LoadError(f"{name}: the weights do not fit the config: {'; '.join(problems[:5])}{more}")
    fitting = {key: value.to(expected[key].dtype) for key, value in weights.items()}
    network.load_state_dict(fitting, assign=True)
