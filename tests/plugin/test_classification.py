"""Text classification: trained, evaluated, used; tables of texts as they are found."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.commands.evaluate import evaluate_from_archive
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader, Tokenizer, Vocabulary
from allennlp.models import Model
from allennlp.models.archival import load_archive
from allennlp.predictors import Predictor
from sklearn.metrics import classification_report

import elmo_tagger.plugin  # noqa: F401 - registers
from elmo_tagger.bilm.loading.checkpoint import read_archive
from elmo_tagger.curves import read_curves
from elmo_tagger.plugin.console import summary
from elmo_tagger.plugin.text_reader import TextCsvReader
from elmo_tagger.text.files import DataError

FIXTURES = Path("fixtures")
CONFIGS = [Path("training_configs/classification") / f"{name}.jsonnet" for name in ("bilstm", "pooled")]
VARIABLES = {
    **{part.upper(): str(FIXTURES / "classification" / f"{part}.jsonl") for part in ("train", "dev", "test")},
    "ELMO_OPTIONS": str(FIXTURES / "bilm" / "options.json"),
    "ELMO_WEIGHTS": str(FIXTURES / "bilm" / "weights.hdf5"),
}


def test_the_script_makes_what_is_committed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, FIXTURES / "make_classification.py", tmp_path], check=True)
    texts = []
    for part in ("train", "dev", "test"):
        made = (tmp_path / "classification" / f"{part}.jsonl").read_bytes()
        assert made == (FIXTURES / "classification" / f"{part}.jsonl").read_bytes()
        texts += [json.loads(line)["text"] for line in made.splitlines()]
    assert len(texts) == len(set(texts)) == 600


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_trains_evaluates_and_predicts(config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    changes = {"trainer.num_epochs": 10, "trainer.optimizer.lr": 0.003}
    train_model(Params.from_file(config, changes, VARIABLES), str(run))
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test_accuracy"] > 0.45, (
        "three labels, about as frequent as each other; the biLM's weights are random"
    )
    again = evaluate_from_archive(str(run / "model.tar.gz"), VARIABLES["TEST"])
    assert again["accuracy"] == pytest.approx(metrics["test_accuracy"], abs=1e-9)

    predictor = Predictor.from_archive(load_archive(str(run / "model.tar.gz")))
    outputs = predictor.predict_batch_json(
        [{"text": "the lamp is broken.", "id": 7}, {"sentence": "a blorptious lamp"}]
    )
    assert [output["tokens"] for output in outputs] == [
        ["the", "lamp", "is", "broken", "."],
        ["a", "blorptious", "lamp"],
    ]
    assert outputs[0]["id"] == 7
    for output in outputs:
        assert (
            output["probabilities"][output["label"]] == output["probability"] == max(output["probabilities"].values())
        )
        assert sum(output["probabilities"].values()) == pytest.approx(1.0)
    with pytest.raises(DataError, match='expected a JSON object with "text", a string, received'):
        predictor.predict_json({"texts": "the lamp"})

    gold = [json.loads(line) for line in Path(VARIABLES["TEST"]).read_text().splitlines()]
    predicted = [each["label"] for each in predictor.predict_batch_json(gold)]
    report = classification_report([each["label"] for each in gold], predicted, output_dict=True, zero_division=0.0)
    for label in ("good", "bad", "neither"):
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1-measure", "f1-score")):
            assert metrics[f"test_{ours}-{label}"] == pytest.approx(report[label][theirs], abs=1e-6)
    assert metrics["test_f1-measure-macro"] == pytest.approx(report["macro avg"]["f1-score"], abs=1e-6)
    assert [line.split()[0] for line in summary(run).splitlines()[2:6]] == ["bad", "good", "neither", "macro"]

    # without AllenNLP, for `elmo-tagger embed --mix`
    mix = read_archive(run / "model.tar.gz").mix()
    assert mix.gamma.item() != 1.0, "it learns"

    curves = read_curves(run)
    assert curves.epochs == list(range(10))
    assert (set(curves.loss), curves.score_name) == ({"training", "validation"}, "accuracy")
    logged = b"".join(path.read_bytes() for path in (run / "log" / "train").iterdir())
    assert b"scalar_mix_0.scalar_parameters.2" in logged


def test_a_text_does_not_depend_on_the_length_of_its_batch() -> None:
    params = Params.from_file(CONFIGS[1], ext_vars=VARIABLES)
    reader = DatasetReader.from_params(params["dataset_reader"])
    instances = [
        reader.text_to_instance(text, "bad") for text in ("a lamp", "a lamp that is far too loud for my neighbour")
    ]
    for instance in instances:
        reader.apply_token_indexers(instance)
    vocabulary = Vocabulary.from_instances(instances)
    torch.manual_seed(0)
    model = Model.from_params(params["model"], vocab=vocabulary).eval()
    (alone,), (first, _) = (model.forward_on_instances(instances[:count]) for count in (1, 2))
    assert alone["probability"] == pytest.approx(first["probability"], abs=1e-6)
    assert model._feedforward._linear_layers[0].in_features == 64, "2 x 32, which no config says"


TWEETS = """\
id,tweet,mood
1,"@ann the lamp is lovely, really https://example.org/a?b=c",good
2,"the tent
was late",bad
3,a kettle,neither
"""


def reader(**arguments: Any) -> TextCsvReader:
    return TextCsvReader(text_column="tweet", label_column="mood", **arguments)


def test_a_csv_becomes_words_and_labels(tmp_path: Path) -> None:
    file = tmp_path / "tweets.csv"
    file.write_text(TWEETS)
    read = list(reader(replace_urls="URL", replace_mentions="@user").read(str(file)))
    assert [instance["label"].label for instance in read] == ["good", "bad", "neither"]
    assert [instance["metadata"]["words"] for instance in read] == [
        ["@user", "the", "lamp", "is", "lovely", ",", "really", "URL"],
        ["the", "tent", "was", "late"],
        ["a", "kettle"],
    ]
    assert read[0]["metadata"]["text"].endswith("https://example.org/a?b=c")
    removed = next(iter(reader(replace_urls="", replace_mentions="").read(str(file))))
    assert removed["metadata"]["words"] == ["the", "lamp", "is", "lovely", ",", "really"]
    untouched = next(iter(reader(tokenizer=Tokenizer.by_name("just_spaces")()).read(str(file))))
    assert untouched["metadata"]["words"][-1] == "https://example.org/a?b=c"


def test_a_text_that_is_cleaned_away_is_still_an_instance(tmp_path: Path) -> None:
    instance = reader(replace_urls="").text_to_instance("https://example.org")
    assert len(instance["metadata"]["words"]) == 1


def test_parts_of_a_file_are_disjoint_and_the_same_every_time(tmp_path: Path) -> None:
    file = tmp_path / "many.csv"
    file.write_text("tweet,mood\n" + "".join(f"text number {number},good\n" for number in range(50)))

    def part(name: str, seed: int = 13) -> list[str]:
        split = {"train": 0.8, "dev": 0.1, "test": 0.1}
        texts = reader(split=split, split_seed=seed).read(f"{file}#{name}")
        return [instance["metadata"]["text"] for instance in texts]

    parts = [part(name) for name in ("train", "dev", "test")]
    assert [len(each) for each in parts] == [40, 5, 5]
    assert len(set().union(*parts)) == 50
    assert part("dev") == parts[1]
    assert part("dev", seed=14) != parts[1]
    with pytest.raises(ConfigurationError, match=r"#trian: expected one of .*many.csv#train, .*#dev, .*#test"):
        part("trian")


def test_the_shipped_config_for_tweets_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tweets.tsv"
    lines = [json.loads(line) for line in Path(VARIABLES["TRAIN"]).read_text().splitlines()]
    file.write_text("mood\ttweet\n" + "".join(f"{line['label']}\t{line['text']}\n" for line in lines))
    variables = {"CSV": str(file), "TEXT_COLUMN": "tweet", "LABEL_COLUMN": "mood"}
    variables |= {name: value for name, value in VARIABLES.items() if name.startswith("ELMO")}
    config = Path("training_configs/classification/tweets.jsonnet")
    train_model(Params.from_file(config, {"trainer.num_epochs": 1}, variables), str(tmp_path / "run"))
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert {"test_accuracy", "best_validation_f1-measure-macro"} <= set(metrics)
