"""What the package promises as a whole: light imports, one direction of dependencies, names that exist."""

import ast
import graphlib
import importlib
import pkgutil
import re
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
    "tagger": {"tagger", "bilm", "archives", "tagging", "text"},
    "vectors": {"vectors", "bilm", "archives", "text"},
    "corpus": {"corpus", "tagging", "text"},
    "serve": {"serve", "tagger", "text"},
    "cli": {"cli", "serve", "plugin", "tagger", "corpus", "vectors", "bilm", "archives", "tagging", "text"},
    "integrations": {"integrations", "tagger", "text"},
    "plugin": {"plugin", "tagger", "bilm", "archives", "tagging", "text"},
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


MODULES_OF_NO_PART = {"curves": {"text"}, "errors": set(), "pipes": set(), "startup": set()}


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_arrows_point_one_way(part: str) -> None:
    files = sorted((PACKAGE / part).rglob("*.py"))
    assert files
    for path in files:
        parts = {name.split(".")[1] for name in imports(path) if name.startswith("elmo_tagger.")}
        parts &= set(ALLOWED)
        assert parts <= ALLOWED[part], f"{path} imports {parts - ALLOWED[part]}"


def test_every_part_has_its_arrows() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ALLOWED)


def test_the_map_names_every_folder_and_file_beside_them() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    picture = page.split("```")[1]
    assert [part for part in ALLOWED if not re.search(rf"(?<![\w/]){part}(  | \|)", picture)] == []
    text = page.split("```")[2].split("\n## ")[0]
    assert set(re.findall(r"`(\w+)\.py`", text)) == {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    named = re.findall(r"`([a-z_]+(?:/[a-z_]+)+\.py)`", page)
    assert len(named) > 20
    assert [name for name in named if not any((root / name).is_file() for root in (PACKAGE, PACKAGE.parent))] == []


def test_every_part_says_what_it_does_in_more_than_a_line() -> None:
    for part in ALLOWED:
        docstring = ast.get_docstring(ast.parse((PACKAGE / part / "__init__.py").read_text())) or ""
        assert docstring.count("\n") >= 2, part


@pytest.mark.parametrize("module", sorted(MODULES_OF_NO_PART))
def test_modules_of_no_part_import_no_part_above_text(module: str) -> None:
    names = imports(PACKAGE / f"{module}.py")
    parts = {name.split(".")[1] for name in names if name.startswith("elmo_tagger.")}
    assert parts & set(ALLOWED) <= MODULES_OF_NO_PART[module]


def _name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = {_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def test_no_module_needs_itself_to_be_imported() -> None:
    """What is imported inside of functions, or for types alone, is no part of a circle."""
    needs = {name: imports_at_once(path) & PATHS.keys() for name, path in PATHS.items()}
    graphlib.TopologicalSorter(needs).prepare()  # a circle is an error that names it


def imports_at_once(path: Path) -> set[str]:
    """The modules that are imported when a file is; `from package import module` needs the module alone."""
    found: set[str] = set()
    left: list[ast.AST] = [ast.parse(path.read_text())]
    while left:
        node = left.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names
            if not names <= PATHS.keys():
                found.add(node.module or "")
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            left += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            left += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("path", sorted((PACKAGE / "bilm").glob("*.py")), ids=lambda path: path.stem)
def test_the_reference_of_the_bilm_imports_no_fast_path(path: Path) -> None:
    """One module chooses; the others can be read without meeting a fast path."""
    folders = {name.split(".")[2] for name in imports(path) if name.startswith("elmo_tagger.bilm.")}
    assert path.stem == "dispatch" or not folders & {"backward", "cache", "cpu", "cuda"}


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


HEAVY = ("torch", "allennlp", "spacy", "h5py", "numpy", "ray", "matplotlib", "fastapi")


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
