"""What tells one biLM's vectors from another's."""

from __future__ import annotations

import hashlib
import json

import torch

from elmo_tagger.bilm.model import Bilm

_VERSION = 1  # to be raised when the same weights begin to mean other vectors


def weights_hash(bilm: Bilm) -> str:
    """A hash of options, weights and their precision, 32 hexadecimal digits: the same on every device."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([_VERSION, bilm.options.to_dict()], sort_keys=True).encode())
    for name, parameter in sorted(bilm.named_parameters()):
        values = parameter.detach().cpu().contiguous()
        digest.update(f"{name} {tuple(values.shape)} {values.dtype}".encode())
        digest.update(values.view(torch.uint8).numpy().data)
    return digest.hexdigest()
