"""The curves of a training run, from the metrics that AllenNLP writes after every epoch."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.text.outputs import Target, new_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What a run is judged by, the first that it has: entity F1 of the tagger, F1 of others, accuracy of a classifier.
SCORES = ("f1-measure-overall", "f1", "accuracy")
_EPOCH = re.compile(r"metrics_epoch_(\d+)\.json")
_MIX = re.compile(r"(?:training_)?(mix(?:_\d+)?)_(layer_\d+|gamma)")


class RunError(ElmoTaggerError):
    """A directory that holds no curves, or software that is missing to draw them."""


@dataclass(frozen=True)
class Curves:
    """The numbers of a run by epoch.

    Attributes:
        epochs: Their numbers, from 0.
        loss: Lines by name (`training`, `validation`), a value an epoch; None where an epoch has none.
        score_name: What `score` shows; empty if nothing of `SCORES` was measured.
        score: As `loss`.
        mix: As `loss`: the layers' shares and gamma.
        best_epoch: Whose weights the run kept; None if it does not say.
    """

    epochs: list[int]
    loss: dict[str, list[float | None]]
    score_name: str
    score: dict[str, list[float | None]]
    mix: dict[str, list[float | None]]
    best_epoch: int | None


def read_curves(run: str | Path) -> Curves:
    """Read the curves of a training directory (`allennlp train -s DIRECTORY`).

    Raises:
        RunError: It holds no metrics of any epoch, or a damaged file.
        OSError: It cannot be read.
    """
    run = Path(run)
    files = {int(match[1]): path for path in run.iterdir() if (match := _EPOCH.fullmatch(path.name))}
    if not files:
        seeds = sorted(path.parent.name for path in run.glob("*/metrics_epoch_0.json"))
        hint = f"; it holds several: give one of {', '.join(seeds)}" if seeds else ""
        raise RunError(f"{run}: expected a training directory with metrics_epoch_0.json and so on{hint}")
    epochs = sorted(files)
    metrics = [_read(files[epoch]) for epoch in epochs]
    name = next((each for each in SCORES if any(f"validation_{each}" in epoch for epoch in metrics)), "")
    name = name or next((each for each in SCORES if any(f"training_{each}" in epoch for epoch in metrics)), "")
    mixes = {key: match for epoch in metrics for key in epoch if (match := _MIX.fullmatch(key))}
    several = len({match[1] for match in mixes.values()}) > 1
    summary = _read(run / "metrics.json") if (run / "metrics.json").exists() else {}
    return Curves(
        epochs=epochs,
        loss=_sides(metrics, "loss"),
        score_name=name,
        score=_sides(metrics, name),
        mix={
            (f"{match[1]} " if several else "") + match[2].replace("_", " "): _line(metrics, key)
            for key, match in sorted(mixes.items())
        },
        best_epoch=summary.get("best_epoch"),
    )


def draw(curves: Curves, path: Target, *, title: str = "") -> None:
    """Draw loss, score and mix, whatever of them there is, into one picture.

    Args:
        curves: The curves.
        path: Of the picture; its ending tells the format (.png, .svg, .pdf).
        title: Above the picture.

    Raises:
        RunError: matplotlib is not installed, or does not know the format.
        OSError: The file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise RunError("drawing needs matplotlib: run `pip install 'elmo-tagger[plot]'`") from error
    panels = [("loss", curves.loss), (curves.score_name, curves.score), ("mix", curves.mix)]
    panels = [(name, lines) for name, lines in panels if lines]
    figure = Figure(figsize=(5 * len(panels), 4), layout="constrained")
    for axes, (name, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _panel(axes, name, lines, curves)
    figure.suptitle(title)
    with new_file(path) as file:
        try:
            figure.savefig(file, format=Path(path).suffix[1:] or "png")
        except ValueError as error:
            raise RunError(f"{path}: {error}") from error


def _panel(axes: Axes, name: str, lines: dict[str, list[float | None]], curves: Curves) -> None:
    from matplotlib.ticker import MaxNLocator

    for number, (label, values) in enumerate(lines.items()):
        known = [(epoch, value) for epoch, value in zip(curves.epochs, values, strict=True) if value is not None]
        style = "--" if label.endswith("gamma") else "-"
        # each line is thinner than those below it, so that none hides another that has the same values
        width = 1.5 * (len(lines) - number)
        axes.plot(*zip(*known, strict=True), style, linewidth=width, marker=".", label=label)
    if curves.best_epoch is not None:
        axes.axvline(curves.best_epoch, color="gray", linewidth=0.8, linestyle=":", label="best epoch")
    axes.set_xlabel("epoch")
    axes.set_title(name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()


def _read(path: Path) -> dict[str, Any]:
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{path}: expected JSON: {error}") from error
    if not isinstance(metrics, dict):
        raise RunError(f"{path}: expected a JSON object with metrics")
    return metrics


def _sides(metrics: list[dict[str, Any]], name: str) -> dict[str, list[float | None]]:
    sides = {side: _line(metrics, f"{side}_{name}") for side in ("training", "validation")}
    return {side: line for side, line in sides.items() if any(value is not None for value in line)}


def _line(metrics: list[dict[str, Any]], key: str) -> list[float | None]:
    values = (epoch.get(key) for epoch in metrics)
    return [float(value) if isinstance(value, (int, float)) else None for value in values]
