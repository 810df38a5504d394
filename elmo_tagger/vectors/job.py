"""Embedding a whole input, window by window; what is done is kept, and continued where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import torch

from elmo_tagger.bilm import Bilm, ScalarMix
from elmo_tagger.bilm.weights_hash import weights_hash
from elmo_tagger.vectors.compute import Array, Request, SentenceVectors
from elmo_tagger.vectors.sentences import SentenceSource
from elmo_tagger.vectors.shards import ShardFolder
from elmo_tagger.vectors.windows import Window, windows

# A window's arrays are held in memory at once, and are what an interruption may cost. Its batches by length waste less
# padding the more of them there are.
BATCHES_PER_WINDOW = 4

Report = Callable[[Window, bool], None]
"""Takes each window when it is done, and whether it was skipped because an earlier run did it."""


def settings(source: SentenceSource, request: Request, bilm: Bilm, mix: ScalarMix | None) -> dict[str, Any]:
    """All that the numbers depend on beside the sentences, as JSON values."""
    return {
        **asdict(request),
        "weights": weights_hash(bilm),
        "precision": bilm.precision,
        "mix": None if mix is None else [*mix.weights().tolist(), mix.gamma.item(), mix.layer_norm],
        "layout": source.layout,
        "raw": source.tokenizer is not None,
    }


def computed_on(device: torch.device) -> str:
    """What the last bits depend on beside the settings: the kind of processor, and PyTorch's version."""
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    return f"{device.type} {kind}, torch {torch.__version__}"


def run(
    source: SentenceSource, vectors: SentenceVectors, shards: ShardFolder, *, report: Report = lambda window, done: None
) -> int:
    """Embeds all sentences of an input.

    Memory depends on the batch size and the longest sentence, not on the input. If anything fails, the shards that are
    there stay, and a later run with a folder that is opened to resume makes the others.

    Args:
        source: The input.
        vectors: Computes the arrays.
        shards: Takes them.
        report: See `Report`.

    Returns:
        The number of sentences.

    Raises:
        OutputError: The folder that is resumed belongs to another input.
        DataError: A line of the input is wrong.
        OSError: Reading or writing failed.
    """
    number = sentences = 0
    for window in _windows(source, vectors):
        there = shards.has(number, window.digest)
        if not there:
            shards.write(number, window, vectors([sentence.tokens for sentence in window.sentences]))
        report(window, there)
        number += 1
        sentences += len(window.sentences)
    shards.finish(number, sentences=sentences)
    return sentences


def stream(
    source: SentenceSource, vectors: SentenceVectors, *, report: Report = lambda window, done: None
) -> Iterator[tuple[Window, list[Array]]]:
    """As `run`, but the arrays are given and not kept."""
    for window in _windows(source, vectors):
        yield window, vectors([sentence.tokens for sentence in window.sentences])
        report(window, False)


def _windows(source: SentenceSource, vectors: SentenceVectors) -> Iterator[Window]:
    return windows(source.read(), max_tokens=BATCHES_PER_WINDOW * vectors.request.batch_tokens)
