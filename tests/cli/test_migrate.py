"""`elmo-tagger migrate`: what it prints and writes, and that it leaves nothing behind where it fails."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from elmo_tagger.cli.app import app
from tests.tagger.old_archives import OPTIONS, write_archive

FILES = {"config.json", "model.safetensors", "README.md"}


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fixture = Path("fixtures").resolve()
    monkeypatch.chdir(tmp_path)
    Path("fixtures").symlink_to(fixture)
    Path("options.json").write_text(json.dumps(OPTIONS))


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, [*arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def old(**arguments: Any) -> str:
    return str(write_archive(Path("old.tar.gz"), **arguments))


def files() -> set[str]:
    return {path.name for path in Path("new").iterdir()} if Path("new").exists() else set()


def test_an_old_archive_becomes_a_folder_that_tags() -> None:
    result = run("migrate", old(layout="0.9"), "new")
    assert (result.exit_code, result.stderr) == (0, "")
    first, *changes, last = result.stdout.splitlines()
    assert first == "old.tar.gz: made by AllenNLP 0.x (it has files_to_archive.json)"
    assert last == "new: config.json, model.safetensors, README.md; finds LOC, MISC, ORG, PER"
    card = Path("new/README.md").read_text()
    assert all(f"- {change.strip()}\n" in card for change in changes)
    assert len(changes) > 5
    assert files() == FILES
    Path("in.txt").write_text("Emma Norley left Hartdal Energy.\n")
    tagged = run("tag", "new", "in.txt")
    assert tagged.exit_code == 0
    assert len(json.loads(tagged.stdout)["tags"]) == 6
    assert tagged.stdout == run("tag", "old.tar.gz", "in.txt").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.tar.gz", "new"], "error: none.tar.gz: No such file or directory"),
        (["old.tar.gz", "new"], "error: old.tar.gz: token_embedders.elmo: the options of its biLM are missing"),
        (["old.tar.gz", "new", "--options", "none.json"], "error: none.json: No such file or directory"),
        (["old.tar.gz", "new", "--options", "in.txt"], "error: in.txt: expected a JSON object"),
        (["old.tar.gz", "new", "--options", "options.json", "--allennlp", "x"], "such as 0.9 or 1.2.1, received 'x'"),
        (["old.tar.gz", "in.txt", "--options", "options.json"], "in.txt: exists already"),
        (["old.tar.gz", "old.tar.gz", "--options", "options.json", "--force"], "old.tar.gz: is an input"),
        (["in.txt", "new"], "error: in.txt: expected a complete archive (model.tar.gz)"),
        (["full", "new"], "error: full: is a model folder already"),
        (
            ["old.tar.gz", "full", "--options", "options.json"],
            "full/config.json: exists already: expected another name",
        ),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(arguments: list[str], message: str) -> None:
    old()
    Path("in.txt").write_text("no archive")
    Path("full").mkdir()
    for name in FILES:
        (Path("full") / name).write_text("mine")
    before = {path: path.read_bytes() for path in (*Path("full").iterdir(), Path("in.txt"), Path("old.tar.gz"))}
    result = run("migrate", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("new").exists()
    assert before == {path: path.read_bytes() for path in before}


def test_a_damaged_archive_is_one_line() -> None:
    content = Path(old()).read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    for damaged in (content[:-1], content[: len(content) // 2], bytes(flipped), b""):
        Path("old.tar.gz").write_bytes(damaged)
        result = run("migrate", "old.tar.gz", "new", "--options", "options.json")
        assert result.exit_code == 2
        assert result.stderr.startswith("error: old.tar.gz: ")
        assert result.stderr.count("\n") == 1
        assert not Path("new").exists()


def test_a_folder_that_is_there_is_replaced_when_asked_and_keeps_its_other_files() -> None:
    archive = old(layout="0.9")
    Path("new").mkdir()
    for name in (*FILES, "mine.txt"):
        (Path("new") / name).write_text("mine")
    assert run("migrate", archive, "new", "--force").exit_code == 0
    assert files() == {*FILES, "mine.txt"}
    assert Path("new/mine.txt").read_text() == "mine"
    assert json.loads(Path("new/config.json").read_text())["model"]["type"] == "crf_tagger"


def test_it_imports_no_allennlp() -> None:
    code = (
        "import sys\nfrom elmo_tagger.cli.app import app\n"
        f"app(['migrate', {old(layout='0.9')!r}, 'new'], standalone_mode=False)\n"
        "print([name for name in ('allennlp', 'transformers', 'torchvision') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-1] == "[]"
