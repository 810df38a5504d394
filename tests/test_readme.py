"""Every command of the README, run in the order in which a new user would."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("allennlp")
ROOT = Path(__file__).parent.parent
# Inside the tests the environment exists already, and they do not run themselves. The first command is started as users
# start it, the others without importing AllenNLP anew.
PREAMBLE = """\
set -euo pipefail
pip() { :; }
uv() { shift; if [ "$1" != pytest ]; then "$@" && PATH="$COMMANDS:$PATH"; fi; }
"""


@pytest.fixture(scope="module")
def outcome(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A directory with what a clone holds, after the commands, and all they printed."""
    clone = tmp_path_factory.mktemp("clone")
    for name in ("fixtures", "training_configs"):
        shutil.copytree(ROOT / name, clone / name)
    shutil.copy(ROOT / ".allennlp_plugins", clone)
    blocks = re.findall(r"^```bash\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 5
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", "-c", PREAMBLE + "\n".join(blocks)],
        cwd=clone,
        env={**os.environ, "PATH": path, "COMMANDS": str(commands)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-3000:]
    return clone, result.stdout


def test_the_quickstart_learns(outcome: tuple[Path, str]) -> None:
    metrics = json.loads((outcome[0] / "runs" / "quickstart" / "metrics.json").read_text())
    # 56 % of the test set's entities are new; a list of the training's entities gets 0.56.
    assert metrics["test_f1-measure-overall"] > 0.9
    for kind in ("PER", "ORG", "LOC", "PRODUCT"):
        assert re.search(rf"^{kind} +(\d+\.\d\d *){{6}}$", outcome[1], re.MULTILINE), "a row of the table of scores"


def test_the_readmes_sentence_is_tagged_as_it_says(outcome: tuple[Path, str]) -> None:
    (line,) = re.findall(r"^{\"text\": .*$", outcome[1], re.MULTILINE)[:1]
    received = {(e["type"], e["text"], e["start"], e["end"]) for e in json.loads(line)["entities"]}
    shown = re.search(r"^```json\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert shown is not None
    for entity in json.loads(shown[1])["entities"]:
        assert (entity["type"], entity["text"], entity["start"], entity["end"]) in received


def test_a_normal_run_is_quiet(outcome: tuple[Path, str]) -> None:
    noise = re.findall(r".*(?:Warning|nltk|Traceback|Deprecat).*", outcome[1])
    assert noise == []


def test_reports_and_predictions_are_written(outcome: tuple[Path, str]) -> None:
    assert "f1" in (outcome[0] / "runs" / "report.html").read_text().lower()
    lines = (outcome[0] / "runs" / "test.predictions.jsonl").read_text().splitlines()
    assert {"tokens", "tags", "entities"} <= set(json.loads(lines[0]))


def test_the_readmes_python_runs(outcome: tuple[Path, str]) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    result = subprocess.run(
        [sys.executable, "-c", block], cwd=outcome[0], capture_output=True, text=True, check=True, timeout=600
    )
    assert "ORG Hartdal Energy 17 31" in result.stdout
    assert sorted(path.name for path in (outcome[0] / "runs" / "quickstart-folder").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
