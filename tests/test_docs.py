"""The pages of the site: every block of commands and Python runs, and nothing can be missing from the reference."""

import json
import re
import shutil
import socket
from pathlib import Path

import pytest
import typer.main

from elmo_tagger.cli.app import app
from tests.pages import DOCS, ROOT, RUN, blocks_of, run, script_of

pytest.importorskip("allennlp")

PAGES = [page for page in sorted(DOCS.rglob("*.md")) if any(block.language in RUN for block in blocks_of(page))]
FIRST = DOCS / "tutorials" / "tag.md"
"""It trains the tagger that other pages use."""
# `sh` is what a test lacks the network, the GPU or the machines for, `json` and `text` what is only shown.
LANGUAGES = {*RUN, "json", "sh", "text"}
LINES = 400
"""Of each column file: what pages show does not depend on how much there is."""


PORT = "8765"
"""Of a page's service; in a test any that is free."""


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture(scope="module")
def clone(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a clone holds, its files shortened, after the first page."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("fixtures", "training_configs"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / ".allennlp_plugins", folder)
    quickstart = folder / "training_configs" / "quickstart.jsonnet"
    quickstart.write_text(re.sub(r"num_epochs=\d+", "num_epochs=2", quickstart.read_text()))
    for file in (folder / "fixtures" / "quickstart").iterdir():
        sentences = "".join(file.read_text().splitlines(keepends=True)[:LINES]).split("\n\n")
        file.write_text("\n\n".join(sentences[:-1]) + "\n")
    run(script_of(blocks_of(FIRST)), folder, path=str(commands))
    return folder


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != FIRST], ids=lambda page: str(page.relative_to(DOCS))
)
def test_every_block_of_a_page_runs(page: Path, clone: Path, commands: Path) -> None:
    script = script_of(blocks_of(page)).replace(PORT, str(free_port()))
    assert "Traceback" not in run(script, clone, path=str(commands))


def test_every_block_is_of_a_kind_that_is_run_or_only_shown() -> None:
    kinds = {(page.name, block.language) for page in DOCS.rglob("*.md") for block in blocks_of(page)}
    assert {kind for kind in kinds if kind[1] not in LANGUAGES} == set()
    for page in DOCS.rglob("*.md"):
        assert page.read_text().count("\n```") == 2 * len(blocks_of(page)), f"{page}: a block that is not recognised"


def test_json_on_pages_is_json() -> None:
    shown = [block.text for page in DOCS.rglob("*.md") for block in blocks_of(page) if block.language == "json"]
    assert len([json.loads(text) for text in shown]) > 5


def test_every_command_has_an_entry_with_an_example() -> None:
    page = (DOCS / "reference" / "commands.md").read_text()
    entries = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE))
    for name in typer.main.get_command(app).commands:  # type: ignore[attr-defined]
        assert f"::: command {name}\n" in entries.get(name, ""), f"{name} has no entry in reference/commands.md"
        assert re.search(rf"^(.*\| )?elmo-tagger {name} ", entries[name] + " ", re.MULTILINE) or (
            f"elmo-tagger {name}\n" in entries[name]
        ), f"{name} has no example"


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert len(targets) > 10
    assert [target for target in targets if not (ROOT / target).exists()] == []
