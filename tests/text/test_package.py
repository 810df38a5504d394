"""The engine's door: what it exports, and what it does not drag in."""

import subprocess
import sys

import elmo_tagger.text


def test_exports_exist() -> None:
    assert sorted(elmo_tagger.text.__all__) == elmo_tagger.text.__all__
    assert all(getattr(elmo_tagger.text, name) for name in elmo_tagger.text.__all__)


def test_import_is_light() -> None:
    code = "import sys, elmo_tagger.text.formats; print(*{'torch', 'spacy', 'allennlp'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
