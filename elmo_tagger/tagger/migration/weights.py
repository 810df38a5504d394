"""Tensors of older archives under the names of today."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from elmo_tagger.tagging.schemes import allowed_transitions

_OLD_ENCODER = "stacked_encoder."  # AllenNLP's simple_tagger before 0.3
_WITHOUT_CELL = re.compile(r"(encoder\.(?:.+\.)?(?:forward|backward)_layer_\d+)\.((?:input|state)_linearity\.\w+)")
MASK = "crf._constraint_mask"


def lstms_without_cell(names: Collection[str]) -> bool:
    """Whether LSTMs of the encoder have the names that AllenNLP 0.x gave them."""
    return any(map(_WITHOUT_CELL.fullmatch, names))


def rename(weights: dict[str, Tensor], changes: list[str]) -> None:
    """Gives an encoder's tensors their names of today, in place.

    Args:
        weights: A state dict.
        changes: Where each change is told.
    """
    for old in list(weights):
        new = old.removeprefix("stacked_") if old.startswith(_OLD_ENCODER) else old
        new = _WITHOUT_CELL.sub(r"\1.cell.\2", new) if _WITHOUT_CELL.fullmatch(new) else new
        if new != old:
            weights[new] = weights.pop(old)
            changes.append(f"weights: {old} -> {new}")


def add_constraints(weights: dict[str, Tensor], tags: Sequence[str], scheme: str | None, changes: list[str]) -> None:
    """Adds which tag may follow which, where the weights do not say it.

    Args:
        weights: A state dict.
        tags: By id.
        scheme: Theirs, if it is to be kept; None to allow everything.
        changes: Where the change is told.

    Raises:
        TagSchemeError: A tag does not belong to the scheme, or there is no such scheme.
    """
    if MASK in weights:
        return
    size = len(tags) + 2  # with the start and the end
    weights[MASK] = torch.full((size, size), scheme is None)
    if scheme is not None:
        weights[MASK][tuple(torch.tensor(allowed_transitions(tags, scheme)).T)] = True
    changes.append(f"weights: {MASK} added: {f'the rules of {scheme}' if scheme else 'any tag may follow any'}")


def add_crf(weights: dict[str, Tensor], tags: Sequence[str], changes: list[str]) -> None:
    """Adds the transitions of a CRF that has a softmax for each token: all 0."""
    weights["crf.transitions"] = torch.zeros(len(tags), len(tags))
    changes.append("weights: crf.transitions added: 0, so that each token has a softmax of its own")
