"""Pages of the documentation as programs: their blocks in their order, as a reader would type them."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
RUN = ("bash", "python")
_BLOCK = re.compile(r'^```(\S*)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: its language, the file that it shows, if any, and its text."""

    language: str
    title: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, in its order."""
    return [Block(*match.groups(default="")) for match in _BLOCK.finditer(page.read_text(encoding="utf-8"))]


def script_of(blocks: list[Block]) -> str:
    """What runs commands and Python, and writes the files that are shown with a name."""
    parts = []
    for number, block in enumerate(blocks):
        name = block.title or (f"block_{number}.py" if block.language == "python" else "")
        if name:
            parts.append(f"cat > {name} <<'END_OF_BLOCK'\n{block.text}END_OF_BLOCK\n")
        if block.language == "bash":
            parts.append(block.text)
        elif block.language == "python" and not block.title:
            parts.append(f"python {name}\n")
    return "".join(parts)


def run(script: str, folder: Path, *, path: str, **environment: str) -> str:
    """Runs a script of the shell in a folder, and gives what it printed; a command that fails fails the test."""
    result = subprocess.run(
        ["bash", "-c", "set -euo pipefail\n" + script],
        cwd=folder,
        env={**os.environ, "PATH": f"{path}:{Path(sys.executable).parent}:{os.environ['PATH']}", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-3000:]
    return result.stdout
