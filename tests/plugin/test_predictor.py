import json
import math
from pathlib import Path

import pytest
from allennlp.models.archival import load_archive
from allennlp.predictors import Predictor
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.plugin.predictor import EntitiesPredictor
from elmo_tagger.text.files import DataError

TEXTS = [
    "Emma Stone flew to Oslo. They flew.",
    "Oslo likes Emma Stone 😀.\n\nThey flew to Oslo\u00a0.",
    "",
    "   \n ",
    "They",
]


@pytest.fixture(scope="module")
def predictor(archive: Path) -> EntitiesPredictor:
    built = Predictor.from_archive(load_archive(archive / "model.tar.gz"))
    assert isinstance(built, EntitiesPredictor)
    return built


def same(left: dict, right: dict) -> None:
    """Equal, confidences to within float32's rounding in another batch."""
    strip = lambda output: [{k: v for k, v in e.items() if k != "confidence"} for e in output["entities"]]  # noqa: E731
    assert {**left, "entities": strip(left)} == {**right, "entities": strip(right)}
    for a, b in zip(left["entities"], right["entities"], strict=True):
        assert a["confidence"] == pytest.approx(b["confidence"], abs=5e-6)


def test_finds_entities_with_their_places(predictor: EntitiesPredictor) -> None:
    output = predictor.predict_json({"text": TEXTS[1], "id": "x7"})
    found = [(e["type"], e["text"], e["token_start"], e["token_end"]) for e in output["entities"]]
    assert found == [("LOC", "Oslo", 0, 1), ("PER", "Emma Stone", 2, 4), ("LOC", "Oslo", 9, 10)]
    assert output["id"] == "x7"
    assert output["sentences"] == [[0, 6], [6, 11]]
    assert set(output["entities"][0]) == {"type", "text", "start", "end", "token_start", "token_end", "confidence"}
    assert all(0.3 < e["confidence"] <= 1 for e in output["entities"])


def test_batched_equals_one_by_one(predictor: EntitiesPredictor) -> None:
    inputs = [{"text": text} for text in TEXTS] + [{"tokens": ["Emma", "flew"]}, {"sentence": TEXTS[0]}]
    for alone, together in zip(map(predictor.predict_json, inputs), predictor.predict_batch_json(inputs), strict=True):
        same(alone, together)


def test_batches_are_bounded(predictor: EntitiesPredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [{"text": " ".join(TEXTS[:2] * 5)}, {"text": TEXTS[1]}]
    expected = predictor.predict_batch_json(inputs)
    monkeypatch.setattr("elmo_tagger.tagger.documents.MAX_PADDED_TOKENS", 7)
    sizes = []
    forward = predictor._model.forward_on_instances
    monkeypatch.setattr(
        predictor._model,
        "forward_on_instances",
        lambda batch: sizes.append([len(i["tokens"]) for i in batch]) or forward(batch),
    )
    for left, right in zip(expected, predictor.predict_batch_json(inputs), strict=True):
        same(left, right)
    assert len(sizes) > 2
    assert all(len(batch) == 1 or len(batch) * max(batch) <= 7 for batch in sizes)


def test_the_three_inputs(predictor: EntitiesPredictor) -> None:
    text = "Emma flew . They flew ."
    as_text, as_sentence, as_tokens = (
        predictor.predict_json(each) for each in ({"text": text}, {"sentence": text}, {"tokens": text.split(" ")})
    )
    assert as_text["sentences"] == [[0, 3], [3, 6]]
    assert as_sentence["sentences"] == as_tokens["sentences"] == [[0, 6]]
    assert as_text["tokens"] == as_sentence["tokens"] == as_tokens["tokens"]
    same(as_sentence, as_tokens)


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet=st.characters() | st.sampled_from("Oslo Emma.\n\t\u2028\ud800😀e\u0301")))
def test_entities_are_slices_of_any_text(predictor: EntitiesPredictor, text: str) -> None:
    output = predictor.predict_json({"text": text})
    for entity in output["entities"]:
        assert text[entity["start"] : entity["end"]] == entity["text"]
        words = output["tokens"][entity["token_start"] : entity["token_end"]]
        assert entity["text"].startswith(words[0])
        assert entity["text"].endswith(words[-1])
    assert len(output["tags"]) == len(output["tokens"])
    assert json.loads(predictor.dump_line(output)) == output


def test_monsters_are_tagged_like_anything_else(predictor: EntitiesPredictor) -> None:
    """A word of 10,000 characters, a sentence of 3,000 words, control characters."""
    output = predictor.predict_batch_json(
        [{"tokens": ["x" * 10_000, "Oslo"]}, {"sentence": "Oslo " * 3000}, {"text": "a\x00b \x1b Oslo"}, {"tokens": []}]
    )
    assert [len(each["tags"]) for each in output] == [2, 3000, 3, 0]
    assert output[0]["tokens"][0] == "x" * 10_000


def test_min_confidence_filters_entities_alone(archive: Path, predictor: EntitiesPredictor) -> None:
    everything = predictor.predict_json({"text": TEXTS[1]})
    confidences = sorted(e["confidence"] for e in everything["entities"])
    strict = EntitiesPredictor(predictor._model, predictor._dataset_reader, min_confidence=confidences[1])
    some = strict.predict_json({"text": TEXTS[1]})
    assert [e for e in everything["entities"] if e["confidence"] >= confidences[1]] == some["entities"]
    assert some["tags"] == everything["tags"]


def test_instances_of_the_reader_are_predicted_too(predictor: EntitiesPredictor, training_file: str) -> None:
    instances = list(predictor._dataset_reader.read(training_file))[:3]
    one, *_ = outputs = predictor.predict_batch_instance(instances)
    assert one["tokens"] == ["Emma", "Stone", "flew", "to", "Oslo", "."]
    assert [(e["text"], e["start"], e["end"]) for e in one["entities"]] == [("Emma Stone", 0, 10), ("Oslo", 19, 23)]
    for instance, output in zip(instances, outputs, strict=True):
        same(predictor.predict_instance(instance), output)


def test_a_file_without_tags_is_predicted_too(archive: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("Emma\nflew\n\nOslo\n")
    overrides = {"dataset_reader.tag_column": None}
    untagged = Predictor.from_archive(load_archive(archive / "model.tar.gz", overrides=overrides))
    outputs = untagged.predict_batch_instance(list(untagged._dataset_reader.read(str(words))))
    assert [output["tokens"] for output in outputs] == [["Emma", "flew"], ["Oslo"]]


def test_top_k_gives_taggings_with_probabilities(archive: Path) -> None:
    several = Predictor.from_archive(load_archive(archive, overrides={"model.top_k": 3}))
    output = several.predict_json({"text": TEXTS[0]})
    assert [len(each) for each in output["n_best"]] == [3, 3]
    for (first, last), taggings in zip(output["sentences"], output["n_best"], strict=True):
        assert taggings[0]["tags"] == output["tags"][first:last]
        probabilities = [t["probability"] for t in taggings]
        assert [math.exp(t["log_probability"]) for t in taggings] == pytest.approx(probabilities, abs=1e-5)
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) <= 1.0


def test_taggings_of_long_sentences_are_told_however_improbable(archive: Path) -> None:
    several = Predictor.from_archive(load_archive(archive, overrides={"model.top_k": 2}))
    several._model.crf.temperature.fill_(1.0)  # calibrated by its own training data it would be sure of everything
    output = several.predict_json({"tokens": ["Oslo", "x", "Emma"] * 700})
    assert len(output["n_best"][0]) == 2
    assert output["n_best"][0][0]["log_probability"] < -103


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Emma flew.", r"input 2 .*: no JSON \(Expecting value.*received 'Emma flew.'"),
        ('["a"]', 'input 2 .*: list, expected {"text": "..."}'),
        ('{"txt": "a"}', "none of these keys given"),
        ('{"text": "a", "tokens": []}', "text and tokens given"),
        ('{"text": 3}', "text is no string"),
        ('{"tokens": ["a", ""]}', "tokens must be a list of strings that are not empty"),
        ('{"tokens": "a b"}', "tokens must be a list of strings"),
    ],
)
def test_bad_inputs_are_named(predictor: EntitiesPredictor, line: str, message: str) -> None:
    fresh = EntitiesPredictor(predictor._model, predictor._dataset_reader)
    fresh.load_line('{"text": "fine"}')
    with pytest.raises(DataError, match=message):
        fresh.predict_json(fresh.load_line(line))


def test_what_precedes_a_bad_input_is_predicted(predictor: EntitiesPredictor) -> None:
    batch = [
        predictor.load_line(line) for line in ('\ufeff{"text": "Oslo"}', '{"text": "They"}', "Oslo", '{"text": ""}')
    ]
    outputs = iter(predictor.predict_batch_json(batch))
    assert [next(outputs)["text"], next(outputs)["text"]] == ["Oslo", "They"]
    with pytest.raises(DataError, match="no JSON"):
        next(outputs)


def test_another_language_is_checked(predictor: EntitiesPredictor) -> None:
    german = EntitiesPredictor(predictor._model, predictor._dataset_reader, language="de")
    assert german.predict_json({"text": "Emma flog z.B. nach Oslo."})["tokens"][2] == "z.B."
    wrong = EntitiesPredictor(predictor._model, predictor._dataset_reader, language="qq")
    with pytest.raises(DataError, match="language 'qq': spaCy offers no tokenizer"):
        wrong.predict_json({"text": "a"})
