"""Vectors as points of a plane, and a picture of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.text.outputs import Target, new_file
from elmo_tagger.vectors.nearest import Vectors


class PictureError(ElmoTaggerError):
    """A picture that cannot be drawn: software is missing, or the format is not known."""


def plane(vectors: Vectors) -> tuple[Vectors, tuple[float, float]]:
    """The first two principal components.

    Args:
        vectors: (N, D).

    Returns:
        (N, 2), each axis so directed that its largest value is positive; and the share of the variance of each.
    """
    centred = torch.from_numpy(vectors).double()
    centred = centred - centred.mean(0)
    left, scale, _ = torch.linalg.svd(centred, full_matrices=False)
    points = torch.zeros(len(vectors), 2, dtype=torch.float64)
    count = min(2, len(scale))
    points[:, :count] = left[:, :count] * scale[:count]
    largest = points.gather(0, points.abs().argmax(0, keepdim=True))
    points = points * torch.where(largest < 0, -1.0, 1.0)
    variance = [*(scale**2 / (scale**2).sum().clamp(min=1e-30)).tolist(), 0.0, 0.0]
    return points.numpy().astype(np.float32), (variance[0], variance[1])


def draw(vectors: Vectors, labels: Sequence[str], groups: Sequence[int], path: Target, *, title: str) -> None:
    """Draw vectors as labelled points, a colour a group.

    Args:
        vectors: (N, D).
        labels: N texts.
        groups: N numbers; points of one have one colour.
        path: Of the picture; its ending tells the format (.png, .svg, .pdf).
        title: Above the picture.

    Raises:
        PictureError: matplotlib is not installed, or does not know the format.
        OSError: The file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PictureError("drawing needs matplotlib: run `pip install 'elmo-tagger[plot]'`") from error
    points, (first, second) = plane(vectors)
    figure = Figure(figsize=(9, 7), layout="constrained")
    axes = figure.subplots()
    axes.scatter(points[:, 0], points[:, 1], c=[f"C{group % 10}" for group in groups], s=18)
    for (x, y), label, group in zip(points.tolist(), labels, groups, strict=True):
        # a word of a corpus is no formula, whatever dollar signs it has
        axes.annotate(
            label,
            (x, y),
            xytext=(3, 3),
            textcoords="offset points",
            fontsize=8,
            color=f"C{group % 10}",
            parse_math=False,
        )
    axes.set_xlabel(f"first component, {first:.0%} of the variance")
    axes.set_ylabel(f"second component, {second:.0%}")
    axes.set_title(title, parse_math=False)
    with new_file(path) as file:
        try:
            figure.savefig(file, format=Path(path).suffix[1:] or "png")
        except ValueError as error:
            raise PictureError(f"{path}: {error}") from error
