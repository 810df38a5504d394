"""What the package promises as a whole: light imports, one direction of dependencies, names that exist."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import elmo_tagger
from elmo_tagger.errors import ElmoTaggerError

PACKAGE = Path(elmo_tagger.__file__).parent
# Who may import whom; `text` is at the bottom.
ALLOWED = {
    "text": {"text"},
    "archives": {"archives", "text"},
    "tagging": {"tagging", "text"},
    "bilm": {"bilm", "archives", "text"},
    "vectors": {"vectors", "bilm", "archives", "text"},
    "corpus": {"corpus", "tagging", "text"},
    "cli": {"cli", "corpus", "vectors", "bilm", "archives", "tagging", "text"},
    "plugin": {"plugin", "bilm", "archives", "tagging", "text"},
}


def imports(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_arrows_point_one_way(part: str) -> None:
    files = sorted((PACKAGE / part).rglob("*.py"))
    assert files
    for path in files:
        parts = {name.split(".")[1] for name in imports(path) if name.startswith("elmo_tagger.")}
        parts &= set(ALLOWED)
        assert parts <= ALLOWED[part], f"{path} imports {parts - ALLOWED[part]}"


def test_allennlp_is_imported_in_the_plugin_alone() -> None:
    for path in PACKAGE.rglob("*.py"):
        if "plugin" not in path.relative_to(PACKAGE).parts:
            assert not [name for name in imports(path) if name.split(".")[0] in ("allennlp", "allennlp_models")], path


def test_every_exported_name_exists() -> None:
    modules = [info.name for info in pkgutil.walk_packages(elmo_tagger.__path__, "elmo_tagger.")]
    for name in ["elmo_tagger", *modules]:
        module = importlib.import_module(name)
        for exported in getattr(module, "__all__", []):
            assert hasattr(module, exported), f"{name}.{exported}"


def test_errors_of_the_package_share_one_base_class() -> None:
    strays = set()
    for info in pkgutil.walk_packages(elmo_tagger.__path__, "elmo_tagger."):
        module = importlib.import_module(info.name)
        for value in vars(module).values():
            own = isinstance(value, type) and value.__module__ == module.__name__
            if own and issubclass(value, ValueError) and not issubclass(value, ElmoTaggerError):
                strays.add(value)
    assert strays == set()


def test_there_is_no_drawer_for_odds_and_ends() -> None:
    names = {path.stem for path in PACKAGE.rglob("*.py")}
    assert not names & {"utils", "util", "helpers", "common", "misc"}


HEAVY = ("torch", "allennlp", "spacy", "h5py", "numpy", "ray", "matplotlib")


@pytest.mark.parametrize(
    ("statement", "light_of"),
    [
        ("import elmo_tagger", HEAVY),
        ("import elmo_tagger.cli.app", HEAVY),
        ("import elmo_tagger.text", ("torch", "allennlp", "spacy")),
        (
            "import elmo_tagger.bilm, elmo_tagger.tagging, elmo_tagger.corpus",
            ("allennlp", "spacy", "ray", "matplotlib"),
        ),
    ],
)
def test_a_bare_import_drags_little_in(statement: str, light_of: tuple[str, ...]) -> None:
    code = f"{statement}; import sys; print([name for name in {light_of!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
