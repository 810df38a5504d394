"""The scores of a training as a table."""

import re
from typing import Any, Dict, List

_SCORES = ("precision", "recall", "f1-measure")
# What says how a run went, not how good its model is.
_LEFT_OUT = re.compile(r"mix(_\d+)?_(layer_\d+|gamma)|reg_loss|.*_memory_MB|tokens_per_second")


def score_table(sides: Dict[str, Dict[str, Any]]) -> str:
    """Scores of types of entities, or of labels, in per cent, one a line, and below them the other metrics.

    Args:
        sides: Metrics by name, for each set of sentences that was scored; those without metrics are left out.

    Returns:
        Lines, each with a line feed; none if there are no metrics.
    """
    sides = {name: numbers for name, metrics in sides.items() if (numbers := _numbers(metrics))}
    if not sides:
        return ""
    f1 = "f1-measure-"
    types = {name[len(f1) :] for metrics in sides.values() for name in metrics if name.startswith(f1)}
    means = {"macro", "overall"}
    ordered = [*sorted(types - means), *sorted(types & means)]
    of_entities = {f"{score}-{kind}" for score in _SCORES for kind in types}
    others = [name for name in dict.fromkeys(n for m in sides.values() for n in m) if name not in of_entities]

    rows: List[List[str]] = []
    if ordered:
        rows.append(["", *(cell for name in sides for cell in ("", name, ""))])
        rows.append(["", *("precision", "recall", "F1") * len(sides)])
        for kind in ordered:
            cells = [metrics.get(f"{score}-{kind}") for metrics in sides.values() for score in _SCORES]
            rows.append([kind, *("" if cell is None else f"{100 * cell:.2f}" for cell in cells)])
    text = _aligned(rows)
    rows = [["", *sides]]
    for name in others:
        cells = [metrics.get(name) for metrics in sides.values()]
        rows.append([name, *("" if cell is None else f"{cell:.4f}" for cell in cells)])
    return text + _aligned(rows)


def _numbers(metrics: Dict[str, Any]) -> Dict[str, float]:
    return {
        name: value
        for name, value in metrics.items()
        if isinstance(value, (int, float)) and not _LEFT_OUT.fullmatch(name)
    }


def _aligned(rows: List[List[str]]) -> str:
    """The first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]  # noqa: B905 - rows are as long as each other
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))])  # noqa: B905
        for row in rows
    ]
    return "".join(f"{line.rstrip()}\n" for line in lines)
