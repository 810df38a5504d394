"""Trust, but verify: whether an implementation computes here what the reference computes."""

from __future__ import annotations

import logging
import threading

import torch
from torch import Tensor

from elmo_tagger.bilm.characters import boundary_ids, encode_sentences
from elmo_tagger.bilm.lstm import ProjectedLstm, State
from elmo_tagger.bilm.parameter_cache import ParameterCache
from elmo_tagger.bilm.reference import Parts, Reference
from elmo_tagger.bilm.stack import LstmStack

logger = logging.getLogger(__name__)

_SENTENCES = (["Trust", ",", "but"], ["verify"])
# Largest difference, as a fraction of the largest value: rounding alone stays far below.
_TOLERANCES = {"float32": 1e-3, "tf32": 0.05, "float16": 0.05, "bfloat16": 0.2, "int8": 0.2}

_verdicts: dict[tuple[type[Reference], torch.device, str], bool] = {}
_checking = threading.Lock()


def is_trusted(implementation: Reference, device: torch.device, *, gradients: bool) -> bool:
    """Whether an implementation agrees with the reference on a few words.

    It is tried once in a process, on each device and in each precision. If it differs by more than the type of number
    allows, or raises, one warning says so.

    Args:
        implementation: With the biLM that it computes.
        device: Of the biLM.
        gradients: Whether gradients are compared too.
    """
    key = type(implementation), device, implementation.parts.precision
    with _checking:
        if key not in _verdicts:
            problem = disagreement(implementation, device, gradients=gradients)
            _verdicts[key] = problem is None
            if problem is not None:
                logger.warning(
                    "the biLM's fast path %r does not work on %s (%s): the reference computes from now on, which is "
                    "slower. Please report this, with what `elmo-tagger doctor` prints.",
                    implementation.name,
                    device,
                    problem,
                )
        return _verdicts[key]


def disagreement(implementation: Reference, device: torch.device, *, gradients: bool) -> str | None:
    """How an implementation differs from the reference, in words; None if it does not."""
    parts = implementation.parts
    try:
        with torch.inference_mode(False), torch.autocast(device.type, enabled=False):
            expected = _computed(_Frugal(parts), parts, device, gradients=gradients)
            received = _computed(implementation, parts, device, gradients=gradients)
            return _difference(expected, received, _TOLERANCES[parts.precision])
    except Exception as error:  # whatever is broken must not stop what the reference can do
        return f"{type(error).__name__}: {error}"


class _Frugal(Reference):
    """The reference, which holds the rounded copy of one layer at a time: it is used once, and memory may be short."""

    def _lstm(self, vectors: Tensor) -> LstmStack:
        return self.parts.lstm

    def run_layer(self, layer: ProjectedLstm, inputs: Tensor, sizes: list[int], state: State) -> tuple[Tensor, State]:
        rounded = self._rounded(layer, ParameterCache(), inputs=inputs, parameters=inputs.dtype)
        return super().run_layer(rounded, inputs, sizes, state)


def _computed(implementation: Reference, parts: Parts, device: torch.device, *, gradients: bool) -> list[Tensor]:
    """All layers of the sentences, and their gradients with respect to the words' vectors."""
    limit = parts.char_cnn.options.max_characters_per_token
    ids = torch.from_numpy(encode_sentences(_SENTENCES, max_characters=limit)).to(device)
    boundaries = torch.from_numpy(boundary_ids(max_characters=limit)).to(device)
    depths = list(range(1, len(parts.lstm.layers) + 1))
    with torch.set_grad_enabled(gradients):
        table = implementation.embed_batch(ids, (ids != 0).any(dim=-1), boundaries, max_words=None)
        vectors = table.vectors.detach().requires_grad_(gradients)
        layers = implementation.run_layers(
            vectors, table.words, None, depths=depths, max_words=None, lengths=table.lengths
        )
        found = [vectors[table.words], *layers.values()]
        if gradients:
            found += torch.autograd.grad(
                torch.stack([layer.square().sum() for layer in layers.values()]).sum(), vectors
            )
    # words may lie in another order in the table
    if gradients:
        found[-1] = found[-1][table.words]
    return [each.detach() * (table.words >= 0).unsqueeze(-1) for each in found]


def _difference(expected: list[Tensor], received: list[Tensor], tolerance: float) -> str | None:
    for one, other in zip(expected, received, strict=True):
        if not torch.isfinite(one).all():  # damaged weights, which no implementation can help
            continue
        largest = float((one - other).abs().max())
        allowed = tolerance * max(1.0, float(one.abs().max()))
        if not largest <= allowed:
            return f"results differ by {largest:.3g}, expected at most {allowed:.3g}"
    return None
