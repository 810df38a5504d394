"""What must happen before AllenNLP is imported, whoever imports it.

The `allennlp` command imports `allennlp_models` before it looks for plugins, and that import asks NLTK for downloads
and prints deprecation warnings of libraries that AllenNLP's pins keep old. A plugin comes too late to stop either. And
it is found only where a file `.allennlp_plugins` lies, unless it is one of the few that AllenNLP names itself.
So the wheel installs `elmo_tagger_startup.pth`, through which Python calls `install` when it starts. It costs a
millisecond: it puts one finder on `sys.meta_path`, which acts when the module in question is imported and leaves all
else alone.
(The classes below do not inherit from `importlib.abc`, whose import alone would take 15 ms of every start of Python.)
"""

from __future__ import annotations

import os
import sys
import warnings
from importlib.machinery import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType, TracebackType

NLTK_DOWNLOADER = "allennlp_models.rc.tools.narrativeqa"
"""Downloads two NLTK corpora when it is imported; only the evaluation of NarrativeQA needs them."""

PLUGINS = "allennlp.common.plugins"
"""Names the plugins that are imported wherever `allennlp` is called."""
PLUGIN = "elmo_tagger.plugin"

KNOWN_WARNINGS: tuple[tuple[str, type[Warning], str], ...] = (
    # (start of the message, category, why it is harmless)
    ("pkg_resources is deprecated", UserWarning, "py-rouge; setuptools is held below 81"),
    ("Deprecated call to `pkg_resources", DeprecationWarning, "py-rouge"),
    ("invalid escape sequence", SyntaxWarning, "docstrings of AllenNLP and its models"),
    ("invalid escape sequence", DeprecationWarning, "the same before Python 3.12"),
    ("You are using a non-supported Python version", FutureWarning, "google-api-core on Python 3.10, of cached-path"),
    ("`torch.cuda.amp.", FutureWarning, "AllenNLP and FairScale; the old names still work"),
)


def install() -> None:
    """Puts the finder on `sys.meta_path`, once."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def silence_known_warnings() -> None:
    """Filters `KNOWN_WARNINGS`; what the user's own filters say (`-W`, PYTHONWARNINGS) keeps precedence."""
    if sys.warnoptions:
        return
    for message, category, _reason in KNOWN_WARNINGS:
        warnings.filterwarnings("ignore", message=message, category=category)


def allennlp_command() -> str | None:
    """The subcommand of the `allennlp` command that this process is, empty if none was typed; None if it is another."""
    if _program() not in ("allennlp", "allennlp.exe") and not _path().endswith("allennlp/__main__.py"):
        return None
    return sys.argv[1] if len(sys.argv) > 1 else ""


def _path() -> str:
    return sys.argv[0].replace("\\", "/") if sys.argv else ""


def _program() -> str:
    return _path().rsplit("/", 1)[-1]


def names_log_level() -> bool:
    """Whether the environment says how much of the log belongs on the console."""
    return "ALLENNLP_LOG_LEVEL" in os.environ or "ALLENNLP_DEBUG" in os.environ


def wants_quiet_console() -> bool:
    """Whether this process is an `allennlp` command whose log belongs in a file and not on the console."""
    return allennlp_command() in ("train", "evaluate", "predict") and not names_log_level()


def quieten() -> None:
    """Leaves warnings and errors of the log on the console."""
    import logging

    for handler in logging.getLogger().handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.setLevel(max(handler.level, logging.WARNING))


def say_interruptions_in_a_line() -> None:
    """Shows no trace of Ctrl-C while a command is imported; AllenNLP takes seconds."""
    hook = sys.excepthook

    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            print("interrupted", file=sys.stderr)
        else:
            hook(kind, error, trace)

    sys.excepthook = excepthook


class _Finder:
    """Finds nothing itself; watches for three names and passes on what the other finders find."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "allennlp":
            silence_known_warnings()
        if (fullname == "allennlp" and allennlp_command() is not None) or (
            fullname == "elmo_tagger.cli" and _program().startswith("elmo-tagger")
        ):
            say_interruptions_in_a_line()
        loader = {NLTK_DOWNLOADER: _WithoutDownloads, PLUGINS: _WithThePlugin}.get(fullname)
        if loader is None:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = loader(spec.loader)  # type: ignore[assignment]
        return spec


class _Wrapped:
    """A loader that leaves the work to another."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)


class _WithThePlugin(_Wrapped):
    """Executes AllenNLP's list of plugins and puts this one on it."""

    def exec_module(self, module: ModuleType) -> None:
        if wants_quiet_console():
            quieten()  # AllenNLP logs every plugin that it finds
        self._loader.exec_module(module)
        module.DEFAULT_PLUGINS = (*module.DEFAULT_PLUGINS, PLUGIN)  # type: ignore[attr-defined]


class _WithoutDownloads(_Wrapped):
    """Executes a module while `nltk.download` does nothing."""

    def exec_module(self, module: ModuleType) -> None:
        import nltk

        download = nltk.download
        nltk.download = lambda *_args, **_kwargs: False
        try:
            self._loader.exec_module(module)
        finally:
            nltk.download = download
