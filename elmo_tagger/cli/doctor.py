"""`elmo-tagger doctor`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import torch

    from elmo_tagger.bilm import Bilm

_PACKAGES = ("torch", "triton", "numpy", "h5py", "allennlp")
_SENTENCES, _WORDS = 32, 20  # of the batch whose speed is measured
_ROUNDS = 3


def doctor() -> None:
    """Print the machine, the versions, and how the biLM is computed here: one thing to paste into a report of a bug."""
    import platform

    import torch

    from elmo_tagger import __version__
    from elmo_tagger.bilm.dispatch import PATH_VARIABLE
    from elmo_tagger.bilm.loading.source import load_bilm

    _print("elmo-tagger", __version__)
    _print("Python", f"{platform.python_version()} on {platform.platform()}")
    for name in _PACKAGES:
        _print(name, _version(name))
    _print("instruction set", f"{torch.backends.cpu.get_cpu_capability()} ({platform.machine()})")
    _print("bfloat16", f"multiplied as {_bfloat16()}")
    _print(PATH_VARIABLE, _path_variable())
    bilm = load_bilm("starter").requires_grad_(False)
    devices = [torch.device("cpu"), *(torch.device("cuda", number) for number in range(torch.cuda.device_count()))]
    for device in devices:
        _examine(bilm.to(device), device)


def _examine(bilm: Bilm, device: torch.device) -> None:
    """Print the path that a device takes, what its check says, and how fast it is with the biLM of the package."""
    import torch

    from elmo_tagger.bilm import encode_sentences
    from elmo_tagger.bilm.device import device_name
    from elmo_tagger.bilm.verification import disagreement

    chosen = bilm.implementation()
    problem = disagreement(chosen, device, gradients=False)
    ids = torch.from_numpy(
        encode_sentences([[f"w{line}x{word}" for word in range(_WORDS)] for line in range(_SENTENCES)])
    )
    seconds = []
    for _ in range(_ROUNDS):
        begin = time.perf_counter()
        bilm(ids.to(device)).layers[0].sum().item()
        seconds.append(time.perf_counter() - begin)
    _print("device", device_name(device))
    _print("  path", chosen.name)
    _print("  check", "agrees with the reference" if problem is None else problem)
    _print("  speed", f"{_SENTENCES * _WORDS / min(seconds):,.0f} tokens a second with the starter")


def _print(name: str, value: str) -> None:
    typer.echo(f"{name}: {value}")


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _bfloat16() -> str:
    import torch

    from elmo_tagger.bilm.cpu.prepacked_linear import PrepackedLinear

    return str(PrepackedLinear(torch.eye(8), dtype=torch.bfloat16).computed_in).removeprefix("torch.")


def _path_variable() -> str:
    import os

    from elmo_tagger.bilm.dispatch import PATH_VARIABLE

    return os.environ.get(PATH_VARIABLE) or "not set"
