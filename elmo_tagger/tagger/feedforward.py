"""Dense layers, with the activations that AllenNLP knows by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from elmo_tagger.tagger.config import FeedForwardConfig
from elmo_tagger.tagger.json_fields import NOT_OURS, ConfigError
from elmo_tagger.tagger.linear import Linear


class FeedForward(nn.Module):
    """Dense layers with an activation after each.

    Args:
        input_dim: Width of its input.
        config: Widths and activations.
        where: The place in the config, for messages.

    Raises:
        ConfigError: As many widths or activations as layers were expected, or there is no such activation.
    """

    def __init__(self, input_dim: int, config: FeedForwardConfig, where: str = "model.feedforward") -> None:
        super().__init__()
        layers = config.num_layers
        widths = config.hidden_dims if isinstance(config.hidden_dims, tuple) else (config.hidden_dims,) * layers
        if isinstance(config.activations, tuple):
            activations = [build_activation(each, f"{where}.activations") for each in config.activations]
        else:  # one for all layers, with one parameter if it has one
            activations = [build_activation(config.activations, f"{where}.activations")] * layers
        for name, given in (("hidden_dims", widths), ("activations", activations)):
            if len(given) != layers:
                raise ConfigError(f"{where}.{name}: expected {layers}, one a layer, received {len(given)}")
        self._activations = nn.ModuleList(activations)
        pairs = zip((input_dim, *widths[:-1]), widths, strict=True)
        self._linear_layers = nn.ModuleList(Linear(before, after) for before, after in pairs)
        self.output_dim = widths[-1]

    def forward(self, inputs: Tensor) -> Tensor:
        """Vectors (..., D) to vectors of `output_dim`."""
        for layer, activation in zip(self._linear_layers, self._activations, strict=True):
            inputs = activation(layer(inputs))
        return inputs


class _Function(nn.Module):
    """An activation that PyTorch has no module for."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def forward(self, x: Tensor) -> Tensor:
        if self._name == "mish":
            return x * torch.tanh(nn.functional.softplus(x))
        if self._name == "swish":
            return x * torch.sigmoid(x)
        # two approximations of the Gaussian error linear unit; "fast" rounds the square root of 2 / pi
        factor = math.sqrt(2.0 / math.pi) if self._name == "gelu_new" else 0.7978845608
        return 0.5 * x * (1.0 + torch.tanh(factor * (x + 0.044715 * torch.pow(x, 3.0))))


_MODULES: dict[str, tuple[type[nn.Module], tuple[str, ...]]] = {
    "linear": (nn.Identity, ()),
    "relu": (nn.ReLU, ()),
    "relu6": (nn.ReLU6, ()),
    "elu": (nn.ELU, ("alpha",)),
    "gelu": (nn.GELU, ("approximate",)),
    "prelu": (nn.PReLU, ("num_parameters", "init")),
    "leaky_relu": (nn.LeakyReLU, ("negative_slope",)),
    "threshold": (nn.Threshold, ("threshold", "value")),
    "hardtanh": (nn.Hardtanh, ("min_val", "max_val")),
    "sigmoid": (nn.Sigmoid, ()),
    "tanh": (nn.Tanh, ()),
    "log_sigmoid": (nn.LogSigmoid, ()),
    "softplus": (nn.Softplus, ("beta", "threshold")),
    "softshrink": (nn.Softshrink, ("lambd",)),
    "softsign": (nn.Softsign, ()),
    "tanhshrink": (nn.Tanhshrink, ()),
    "selu": (nn.SELU, ()),
}
"""PyTorch's modules by AllenNLP's names, and their arguments."""
_FUNCTIONS = ("mish", "swish", "gelu_new", "gelu_fast")


def build_activation(config: str | Mapping[str, Any], where: str) -> nn.Module:
    """An activation by AllenNLP's name, or by an object with the name as "type" and PyTorch's arguments.

    Raises:
        ConfigError: There is no such activation or argument.
    """
    arguments = {} if isinstance(config, str) else {key: value for key, value in config.items() if key != "type"}
    name = config if isinstance(config, str) else config.get("type")
    if name in _FUNCTIONS and not arguments:
        return _Function(str(name))
    if not isinstance(name, str) or name not in _MODULES:
        raise ConfigError(
            f"{where}: received {config!r}, expected one of {', '.join((*_MODULES, *_FUNCTIONS))}: {NOT_OURS}"
        )
    module, known = _MODULES[name]
    if not set(arguments) <= set(known):
        raise ConfigError(f"{where}: {name} takes {', '.join(known) or 'no arguments'}, received {arguments!r}")
    try:
        return module(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {name}: {error}") from error
