"""A benchmark's command line, its rows as text while it runs, and all of them as JSON at its end."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import measure
import torch


def command_line(description: str, *, seconds: float, rounds: int) -> argparse.ArgumentParser:
    """The options of every benchmark that measures on one device in rounds.

    Args:
        description: The script's docstring.
        seconds: No round of a row begins later, by default.
        rounds: Of a row at most, by default.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=seconds, help="no round of a row begins later")
    parser.add_argument("--rounds", type=int, default=rounds, help="of a row, at most")
    parser.add_argument("--text", type=Path, help="directory with tokenised text, one sentence a line, *.xz")
    parser.add_argument("--json", type=Path, help="file to write")
    return parser


class Table:
    """Rows of numbers.

    Args:
        columns: For each column's title the key in a row and the format of its values, as `("ratio", ">7.1f")`.
        device: Where is measured.
    """

    def __init__(self, columns: Mapping[str, tuple[str, str]], *, device: str) -> None:
        self._columns = columns
        self.report: dict[str, Any] = {"machine": measure.machine(device), "rows": []}
        print(self.report["machine"])
        print(" ".join(f"{title:{_width(form)}}" for title, (_, form) in columns.items()), flush=True)

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row and print it."""
        self.report["rows"].append(row)
        print(" ".join(f"{row[key]:{form}}" for key, form in self._columns.values()), flush=True)

    def save(self, path: Path | None) -> None:
        """Write the machine, the rows, and what else was put into `report`."""
        if path is not None:
            path.write_text(json.dumps(self.report, indent=1) + "\n", encoding="utf-8")


def _width(form: str) -> str:
    """Alignment and width of a format, without its number's part."""
    return form.rstrip("abcdefghijklmnopqrstuvwxyz%").split(".")[0]
