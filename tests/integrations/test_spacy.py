"""The component of spaCy pipelines."""

from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example

from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.tagger import Tagger
from tests.tagger.conftest import make_tagger

TEXT = "Emma Stone flew to Oslo.\n\nThey flew home, and Oslo was far."


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return make_tagger()


@pytest.fixture(scope="module")
def folder(tagger: Tagger, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model"
    tagger.save(path)
    return path


def pipeline(folder: Path, **config: object) -> spacy.language.Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo_tagger", config={"model": str(folder), **config})
    return nlp


def test_entities_are_the_taggers_own(tagger: Tagger, folder: Path) -> None:
    doc, expected = pipeline(folder)(TEXT), tagger(TEXT)
    assert [(e.label_, e.start_char, e.end_char) for e in doc.ents] == [
        (e.type, e.start, e.end) for e in expected.entities
    ]
    assert [e._.confidence for e in doc.ents] == pytest.approx([e.confidence for e in expected.entities], abs=2e-6)
    assert len(doc.ents) > 1


def test_a_temperature_moves_confidences_and_no_entity_and_is_saved(folder: Path, tmp_path: Path) -> None:
    cooler = make_tagger()
    cooler.model.crf.temperature.fill_(3.0)
    cooler.save(tmp_path / "cooler")
    plain, nlp = pipeline(folder)(TEXT), pipeline(tmp_path / "cooler")
    nlp.to_disk(tmp_path / "nlp")
    for doc in (nlp(TEXT), next(nlp.pipe([TEXT])), spacy.load(tmp_path / "nlp")(TEXT)):
        assert doc.to_json()["ents"] == plain.to_json()["ents"]
        confidences = [entity._.confidence for entity in doc.ents]
        assert confidences == pytest.approx([each.confidence for each in cooler(TEXT).entities], abs=2e-6)
        assert confidences != pytest.approx([entity._.confidence for entity in plain.ents], abs=1e-3)


def test_pipe_equals_a_call_for_each(folder: Path) -> None:
    nlp = pipeline(folder)
    texts = [TEXT, "", "Oslo", " \n ", TEXT * 3]
    for doc, text in zip(nlp.pipe(texts, batch_size=2), texts, strict=True):
        assert doc.to_json()["ents"] == nlp(text).to_json()["ents"]
        assert doc.text == text


def test_spans_carry_their_scores(tagger: Tagger, folder: Path) -> None:
    doc = pipeline(folder, annotate="both", spans_key="ours", min_confidence=0.01)(TEXT)
    assert [str(span) for span in doc.spans["ours"]] == [str(span) for span in doc.ents]
    assert doc.spans["ours"].attrs["scores"] == pytest.approx([span._.confidence for span in doc.spans["ours"]])
    only = pipeline(folder, annotate="spans")(TEXT)
    assert not only.ents
    assert only.spans["elmo_tagger"]
    restored = Doc(only.vocab).from_bytes(only.to_bytes())
    assert restored.spans["elmo_tagger"].attrs["scores"] == pytest.approx(only.spans["elmo_tagger"].attrs["scores"])


def test_the_docs_sentences_are_used_where_it_has_them(tagger: Tagger, folder: Path) -> None:
    nlp = pipeline(folder)
    words = ["Emma", "flew", ".", "Oslo", "."]
    doc = nlp(Doc(nlp.vocab, words, sent_starts=[True, False, False, False, False]))
    expected = tagger.tag(words)
    assert [(e.label_, e.start, e.end) for e in doc.ents] == [
        (e.type, e.token_start, e.token_end) for e in expected.entities
    ]


def test_entities_of_others_stay_unless_they_overlap(folder: Path) -> None:
    everything = pipeline(folder)(TEXT)
    nlp = pipeline(folder, min_confidence=sorted(entity._.confidence for entity in everything.ents)[-1])
    plain = nlp(TEXT)
    taken = {token.i for entity in plain.ents for token in entity}
    free = next(token.i for token in plain if token.i not in taken and not token.is_space)
    doc = nlp.make_doc(TEXT)
    doc.ents = [Span(doc, free, free + 1, "OTHER"), Span(doc, plain.ents[0].start, plain.ents[0].end, "OTHER")]
    labels = {(span.start, span.label_) for span in nlp(doc).ents}
    assert (free, "OTHER") in labels
    assert (plain.ents[0].start, plain.ents[0].label_) in labels


def test_a_pipeline_on_disk_holds_the_whole_tagger(tmp_path: Path) -> None:
    make_tagger().save(tmp_path / "model")
    nlp = pipeline(tmp_path / "model")
    expected = nlp(TEXT).to_json()["ents"]
    nlp.to_disk(tmp_path / "nlp")
    data = nlp.to_bytes()
    for path in (tmp_path / "model").iterdir():
        path.unlink()
    (tmp_path / "model").rmdir()
    assert spacy.load(tmp_path / "nlp")(TEXT).to_json()["ents"] == expected
    assert pipeline(tmp_path / "model").from_bytes(data)(TEXT).to_json()["ents"] == expected


def test_evaluate_scores_entities(folder: Path) -> None:
    nlp = pipeline(folder)
    reference = nlp(TEXT)
    scores = nlp.evaluate([Example(nlp.make_doc(TEXT), reference)])
    assert scores["ents_f"] == 1.0
    assert set(scores["ents_per_type"]) == {entity.label_ for entity in reference.ents}


def test_displacy_draws_it(folder: Path) -> None:
    doc = pipeline(folder)(TEXT)
    assert doc.ents[0].label_ in spacy.displacy.render(doc, style="ent", page=True)


def test_a_wrong_argument_is_named(folder: Path) -> None:
    with pytest.raises(ElmoTaggerError, match="annotate: expected one of ents, spans, both, received 'tags'"):
        pipeline(folder, annotate="tags")
    with pytest.raises(ElmoTaggerError, match="min_confidence: expected a probability"):
        pipeline(folder, min_confidence=2.0)
    with pytest.raises(ElmoTaggerError, match="batch_size: expected 1 or more, received 0"):
        list(pipeline(folder).pipe([TEXT], batch_size=0))
