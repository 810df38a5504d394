"""Every command of the README, run in the order in which a new user would."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import ROOT, Block, blocks_of, run

pytest.importorskip("allennlp")
README = ROOT / "README.md"
# Inside the tests the environment exists already, and they do not run themselves. The first command is started as users
# start it, the others without importing AllenNLP anew.
PREAMBLE = """\
pip() { :; }
uv() { shift; if [ "$1" != pytest ]; then "$@" && PATH="$COMMANDS:$PATH"; fi; }
"""


def blocks(language: str) -> list[Block]:
    return [block for block in blocks_of(README) if block.language == language]


@pytest.fixture(scope="module")
def outcome(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A directory with what a clone holds, after the commands, and all they printed."""
    clone = tmp_path_factory.mktemp("clone")
    for name in ("fixtures", "training_configs"):
        shutil.copytree(ROOT / name, clone / name)
    shutil.copy(ROOT / ".allennlp_plugins", clone)
    script = PREAMBLE + "\n".join(block.text for block in blocks("bash"))
    return clone, run(script, clone, path=str(Path(sys.executable).parent), COMMANDS=str(commands))


def test_the_quickstart_learns(outcome: tuple[Path, str]) -> None:
    metrics = json.loads((outcome[0] / "runs" / "quickstart" / "metrics.json").read_text())
    # 56 % of the test set's entities are new; a list of the training's entities gets 0.56.
    assert metrics["test_f1-measure-overall"] > 0.9
    for kind in ("PER", "ORG", "LOC", "PRODUCT"):
        assert re.search(rf"^{kind} +(\d+\.\d\d *){{6}}$", outcome[1], re.MULTILINE), "a row of the table of scores"


def test_the_readmes_sentence_is_tagged_as_it_says(outcome: tuple[Path, str]) -> None:
    (line,) = re.findall(r"^{\"text\": .*$", outcome[1], re.MULTILINE)[:1]
    received = {(e["type"], e["text"], e["start"], e["end"]) for e in json.loads(line)["entities"]}
    (shown,) = blocks("json")
    for entity in json.loads(shown.text)["entities"]:
        assert (entity["type"], entity["text"], entity["start"], entity["end"]) in received


def test_a_normal_run_is_quiet(outcome: tuple[Path, str]) -> None:
    noise = re.findall(r".*(?:Warning|nltk|Traceback|Deprecat).*", outcome[1])
    assert noise == []


def test_the_readmes_python_runs(outcome: tuple[Path, str]) -> None:
    (block,) = blocks("python")
    result = subprocess.run(
        [sys.executable, "-c", block.text], cwd=outcome[0], capture_output=True, text=True, check=True, timeout=600
    )
    assert "PER Charles Babbage 25 40" in result.stdout
    assert sorted(path.name for path in (outcome[0] / "runs" / "english").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
