"""Whatever is typed, no command changes a file that it read, nor another one without --force."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from elmo_tagger.cli.app import app
from tests.bilm.random_models import random_bilm

ROWS = "Ann B-PER\nsings O\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of every kind that commands read."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.conll", "gold", "pred", "other.conll"):
        Path(name).write_text(ROWS)
    for folder in ("folder", "annotated"):
        Path(folder).mkdir()
    Path("folder/d.txt").write_text("Ann sings")
    Path("folder/d.ann").write_text("T1\tPER 0 3\tAnn\nR1\tof Arg1:T1 Arg2:T1\n")
    for suffix in (".txt", ".ann"):
        Path(f"annotated/document000001{suffix}").write_text("by hand")
    Path("run").mkdir()
    Path("run/metrics_epoch_0.json").write_text(json.dumps({"training_loss": 1.0}))
    random_bilm().save("bilm")
    Path("there").mkdir()
    Path("there/config.json").write_text(ROWS)
    Path("link.conll").symlink_to("a.conll")
    os.link("a.conll", "hard.conll")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


OVER_AN_INPUT = [
    "convert a.conll a.conll",
    "convert a.conll link.conll --to BIOUL",
    "convert a.conll hard.conll",
    "convert link.conll a.conll",
    "convert folder/d.ann folder/d.txt --out-format columns",
    "convert folder/d.txt folder/d.ann --out-format jsonl",
    "convert folder folder/d.txt --out-format columns",
    "convert folder/d.ann folder --out-format brat",
    "convert folder folder --out-format brat",
    "score gold pred --html gold",
    "score gold pred --html pred",
    "score gold pred --train other.conll --html other.conll",
    "vocab gold -q --output gold",
    "vocab gold -q --output new --counts gold",
    "plot run -o run/metrics_epoch_0.json",
    "export-bilm bilm bilm",
    "neighbours sings gold --weights bilm --picture gold",
    "neighbours sings gold --weights bilm --picture bilm/weights.hdf5",
    "neighbours sings gold --weights bilm/weights.hdf5 --options bilm/options.json --picture bilm/options.json",
    "search gold Ann --weights bilm --index gold",
    "search gold Ann --weights bilm --index bilm/weights.hdf5",
    "search gold Ann --weights bilm/weights.hdf5 --options bilm/options.json --index bilm/options.json",
    "tag run gold --options bilm/options.json -o bilm/options.json",
    "migrate run there --options there/config.json",
]
OVER_ANOTHER_FILE = [
    "convert a.conll other.conll",
    "convert a.conll annotated --out-format brat",
    "score gold pred --html other.conll",
    "vocab gold -q --output other.conll",
    "vocab gold -q --output new --counts other.conll",
    "plot run -o other.conll",
    "neighbours sings gold --weights bilm --picture other.conll",
    "export-bilm run/../bilm/weights.hdf5 bilm",
]


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize("command", OVER_AN_INPUT)
def test_no_command_writes_over_an_input(command: str, force: list[str], files: Path) -> None:
    before = contents(files)
    result = CliRunner().invoke(app, [*command.replace(" -q", " --quiet").split(), *force])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "expected another name" in result.stderr
    assert contents(files) == before


@pytest.mark.parametrize("command", OVER_ANOTHER_FILE)
def test_no_command_writes_over_another_file_unless_forced(command: str, files: Path) -> None:
    before = contents(files)
    arguments = command.replace(" -q", " --quiet").split()
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert result.stderr.endswith("exists already: expected another name, or --force\n")
    assert contents(files) == before


def test_force_replaces_what_is_there(files: Path) -> None:
    for command in ("convert a.conll other.conll --to BIOUL", "convert a.conll annotated --out-format brat"):
        assert CliRunner().invoke(app, [*command.split(), "--force"]).exit_code == 0
    assert Path("other.conll").read_text() == ROWS.replace("B-PER", "U-PER")
    assert Path("annotated/document000001.txt").read_text() == "Ann sings"


def test_the_two_files_of_vocab_must_differ(files: Path) -> None:
    arguments = ["vocab", "gold", "--quiet", "--output", "new", "--counts", "./new"]
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, result.stderr) == (
        2,
        "error: new: is an input: expected another name for what is written\n",
    )
