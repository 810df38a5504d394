"""huggingface_hub's mixin, on local folders."""

from pathlib import Path

import pytest

from elmo_tagger.errors import ElmoTaggerError
from tests.tagger.conftest import make_tagger

hub = pytest.importorskip("elmo_tagger.integrations.hub", reason="needs the extra hub", exc_type=ImportError)

TEXT = "Emma Stone flew to Oslo."


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    tagger = make_tagger()
    hub.HubTagger(tagger).save_pretrained(tmp_path / "model")
    again = hub.HubTagger.from_pretrained(tmp_path / "model")
    assert again(TEXT).to_json() == tagger(TEXT).to_json()
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    card = (tmp_path / "model" / "README.md").read_text()
    assert 'library_name: "elmo_tagger"' in card
    assert 'pipeline_tag: "token-classification"' in card
    assert hub.HubTagger.from_pretrained(str(tmp_path / "model"), language="de").config.language == "de"


def test_a_misspelt_argument_is_named(tmp_path: Path) -> None:
    make_tagger().save(tmp_path / "model")
    with pytest.raises(ElmoTaggerError, match="expected device or language, received languag"):
        hub.HubTagger.from_pretrained(tmp_path / "model", languag="de")
