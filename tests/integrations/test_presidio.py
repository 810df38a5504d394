"""The recogniser, within presidio-analyzer itself and alone."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("presidio_analyzer")

import spacy
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import SpacyNlpEngine
from presidio_analyzer.recognizer_registry import RecognizerRegistryProvider

from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.integrations.presidio import ElmoRecognizer
from elmo_tagger.tagger import Tagger
from tests.tagger.conftest import make_tagger

TEXT = "Emma flew to Oslo 👩‍👩‍👧. Emma was far, and Oslo was cold.\n\nEmma Oslo stayed."


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return make_tagger()


class BlankEngine(SpacyNlpEngine):
    """Presidio's engine with word rules alone, no model."""

    def __init__(self) -> None:
        super().__init__()
        self.nlp = {"en": spacy.blank("en")}


def places(results: Any) -> list[tuple[str, int, int, float]]:
    return sorted((each.entity_type, each.start, each.end, each.score) for each in results)


def expected(tagger: Tagger, text: str) -> list[tuple[str, int, int, float]]:
    names = {"PER": "PERSON", "LOC": "LOCATION"}
    return sorted((names[each.type], each.start, each.end, each.confidence) for each in tagger(text).entities)


def test_entities_have_presidios_names_exact_places_and_posteriors(tagger: Tagger) -> None:
    recognizer = ElmoRecognizer(tagger)
    assert recognizer.get_supported_entities() == ["LOCATION", "PERSON"]
    assert places(recognizer.analyze(TEXT)) == expected(tagger, TEXT)
    assert expected(tagger, TEXT)


def test_nothing_is_cut(tagger: Tagger) -> None:
    text = TEXT * 400
    assert places(ElmoRecognizer(tagger).analyze(text)) == expected(tagger, text)
    assert max(end for _, _, end, _ in expected(tagger, text)) > len(text) - len(TEXT)


def test_a_batch_is_its_texts(tagger: Tagger) -> None:
    recognizer = ElmoRecognizer(tagger)
    texts = [TEXT, "", "Oslo", TEXT * 3]
    for results, text in zip(recognizer.analyze_batch(texts), texts, strict=True):
        assert [(each.entity_type, each.start, each.end) for each in results] == [
            (each.entity_type, each.start, each.end) for each in recognizer.analyze(text)
        ]


def test_only_wanted_entities_are_found_under_names_of_ones_own(tagger: Tagger) -> None:
    recognizer = ElmoRecognizer(tagger, label_mapping={"PER": "NAME", "LOC": None})
    assert recognizer.get_supported_entities() == ["NAME"]
    assert {each.entity_type for each in recognizer.analyze(TEXT)} == {"NAME"}
    assert ElmoRecognizer(tagger).analyze(TEXT, ["PERSON"]) == ElmoRecognizer(tagger, ["PERSON"]).analyze(TEXT)
    assert ElmoRecognizer(tagger).analyze(TEXT, ["PHONE_NUMBER"]) == []
    with pytest.raises(ElmoTaggerError, match=r"expected some of LOCATION, PERSON, .* received CITY"):
        ElmoRecognizer(tagger, ["CITY", "PERSON"])


def test_presidio_finds_what_the_tagger_finds(tagger: Tagger) -> None:
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.add_recognizer(ElmoRecognizer(tagger))
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=BlankEngine(), supported_languages=["en"])
    results = analyzer.analyze(TEXT, language="en", score_threshold=0.5, return_decision_process=True)
    # Presidio gives one of several results for a place; the tagger's never share one
    assert places(results) == [each for each in expected(tagger, TEXT) if each[3] >= 0.5]
    assert {each.recognition_metadata["recognizer_name"] for each in results} == {"ElmoRecognizer"}
    assert all("ElmoRecognizer tagged it as" in each.analysis_explanation.textual_explanation for each in results)


def test_a_registry_in_yaml_makes_it(tagger: Tagger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ElmoTaggerError, match="in the variable ELMO_TAGGER_MODEL"):
        ElmoRecognizer()
    tagger.save(tmp_path / "model")
    monkeypatch.setenv("ELMO_TAGGER_MODEL", str(tmp_path / "model"))
    (tmp_path / "registry.yaml").write_text(
        "supported_languages: [en]\nglobal_regex_flags: 26\nrecognizers:\n"
        "  - name: ElmoRecognizer\n    type: predefined\n    supported_languages: [en]\n"
    )
    registry = RecognizerRegistryProvider(conf_file=str(tmp_path / "registry.yaml")).create_recognizer_registry()
    (recognizer,) = registry.recognizers
    assert isinstance(recognizer, ElmoRecognizer)
    assert recognizer.get_supported_entities() == ["LOCATION", "PERSON"]
    assert len(recognizer.analyze(TEXT)) == len(expected(tagger, TEXT))
