import sys
import warnings
from pathlib import Path

import pytest

from elmo_tagger import startup

DOWNLOADING = """
import nltk
returned = nltk.download("punkt")
"""


def test_the_finder_is_there_from_the_start_and_once() -> None:
    startup.install()
    assert sum(type(finder).__module__ == "elmo_tagger.startup" for finder in sys.meta_path) == 1


def test_what_downloads_at_import_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module in the place of AllenNLP's, imported through the finder: without it `download` would be called."""
    nltk = pytest.importorskip("nltk")
    asked = []
    monkeypatch.setattr(nltk, "download", lambda name: asked.append(name))
    monkeypatch.setattr(startup, "NLTK_DOWNLOADER", "a_module_that_downloads")
    (tmp_path / "a_module_that_downloads.py").write_text(DOWNLOADING)
    monkeypatch.syspath_prepend(str(tmp_path))
    import a_module_that_downloads

    assert asked == []
    assert a_module_that_downloads.returned is False
    nltk.download("something")
    assert asked == ["something"]


def test_users_own_filters_go_before_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.resetwarnings()
        monkeypatch.setattr(sys, "warnoptions", ["error"])
        startup.silence_known_warnings()
        assert warnings.filters == []
        monkeypatch.setattr(sys, "warnoptions", [])
        startup.silence_known_warnings()
        assert len(warnings.filters) == len(startup.KNOWN_WARNINGS)


def test_the_module_that_downloads_is_still_where_it_was() -> None:
    models = pytest.importorskip("allennlp_models")
    source = Path(models.__file__).parent.joinpath(*startup.NLTK_DOWNLOADER.split(".")[1:]).with_suffix(".py")
    assert "nltk.download" in source.read_text()


def test_the_plugin_is_found_from_any_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("allennlp")
    from allennlp.common import plugins

    assert startup.PLUGIN in plugins.DEFAULT_PLUGINS  # this process was started through the finder
    monkeypatch.chdir(tmp_path)
    imported = []
    monkeypatch.setattr(plugins, "import_module_and_submodules", lambda name, **_: imported.append(name))
    plugins.import_plugins()
    assert imported[-1] == startup.PLUGIN


@pytest.mark.parametrize(
    ("command", "module"), [("/bin/allennlp", "allennlp"), ("/bin/elmo-tagger", "elmo_tagger.cli")]
)
def test_an_interruption_while_a_command_is_imported_is_one_line(
    command: str, module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[object] = []

    def hook(kind: object, error: object, trace: object) -> None:
        shown.append(error)

    monkeypatch.setattr(sys, "excepthook", hook)
    monkeypatch.setattr(sys, "argv", ["somebody's program"])
    startup._Finder().find_spec(module, None, None)
    assert sys.excepthook is hook
    monkeypatch.setattr(sys, "argv", [command, "train"])
    startup._Finder().find_spec(module, None, None)
    bug = ValueError("a bug keeps its traceback")
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    sys.excepthook(ValueError, bug, None)
    assert capsys.readouterr().err == "interrupted\n"
    assert shown == [bug]
