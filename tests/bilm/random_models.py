"""Random biLMs of any shape, for the tests of this folder."""

from __future__ import annotations

import torch

from elmo_tagger.bilm import Bilm, Options
from elmo_tagger.bilm.cuda.inference import CudaInference
from elmo_tagger.bilm.loading.hdf5_weights import slots

# float32 on a CPU: sums of some hundred terms of size 1. Set once for the folder.
TOLERANCE = 1e-5

WORDS = [
    "Nell",
    "sat",
    "in",
    "",
    "Reykjavík",
    "1987",
    "—",
    "日本語",
    "<S>",
    "a\x00b",
    "Donaudampfschifffahrtsgesellschaft" * 3,
]


def raw_options(**changes):
    """An options.json of a tiny biLM; `changes` go to whichever part has the name."""
    lstm = {"dim": 6, "projection_dim": 5, "n_layers": 2, "cell_clip": 3, "proj_clip": 3, "use_skip_connections": True}
    cnn = {
        "embedding": {"dim": 3},
        "filters": [[1, 2], [3, 4], [5, 2]],
        "n_highway": 1,
        "activation": "relu",
        "n_characters": 262,
        "max_characters_per_token": 12,
    }
    for name, value in changes.items():
        (lstm if name in lstm else cnn)[name] = value
    return {"lstm": lstm, "char_cnn": cnn}


def random_bilm(raw=None, *, seed=0, scale=0.7, dtype=torch.float32, **arguments):
    """A biLM whose weights are large enough to reach the clips now and then."""
    generator = torch.Generator().manual_seed(seed)
    bilm = Bilm(Options.from_dict(raw or raw_options()), **arguments)
    with torch.no_grad():
        for parameter in bilm.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return bilm.to(dtype).requires_grad_(False)


class CudaOnCpu(CudaInference):
    """The implementation for CUDA on a CPU, where recorded work is simply done again."""

    @staticmethod
    def suits(device, *, gradients):
        return device.type == "cpu" and not gradients


def implementation(bilm):
    """The name of what computes a biLM's layers now."""
    return bilm.implementation().name


def named_weights(bilm):
    """The weights as NumPy arrays by their names in a file."""
    parameters = dict(bilm.named_parameters())
    return {slot.dataset: slot.of(parameters).detach().double().numpy() for slot in slots(bilm.options)}
