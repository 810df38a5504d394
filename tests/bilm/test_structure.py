"""The reference can be read alone: none of its files imports a fast path."""

import subprocess
import sys

REFERENCE = ("options", "characters", "char_cnn", "packing", "lstm", "stack", "mixing", "selection", "reference")
FAST = ("cpu", "cuda", "backward", "cache", "dispatch", "training")


def test_the_reference_imports_no_fast_path() -> None:
    """Its files are loaded as a package whose own start imports nothing."""
    code = (
        "import importlib, sys, types\n"
        "import elmo_tagger\n"
        "package = types.ModuleType('elmo_tagger.bilm')\n"
        "package.__path__ = [elmo_tagger.__path__[0] + '/bilm']\n"
        "sys.modules['elmo_tagger.bilm'] = package\n"
        f"[importlib.import_module('elmo_tagger.bilm.' + part) for part in {REFERENCE!r}]\n"
        f"print([name for name in {FAST!r} if 'elmo_tagger.bilm.' + name in sys.modules])\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
