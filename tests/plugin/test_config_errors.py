"""What is said of mistakes in a config: where they are and what to type instead."""

from pathlib import Path

import pytest
from allennlp.commands.train import TrainModel
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError

import elmo_tagger.plugin  # noqa: F401  (mends AllenNLP)
from tests.plugin.conftest import tagger_config

CONFIG = "training_configs/elmo_only.jsonnet"
VARIABLES = dict.fromkeys(("TRAIN", "DEV", "TEST"), "a.conll") | dict.fromkeys(
    ("ELMO_OPTIONS", "ELMO_WEIGHTS"), "starter"
)


def test_all_missing_variables_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRAIN", "a.conll")
    with pytest.raises(ConfigurationError) as caught:
        Params.from_file("training_configs/distributed.jsonnet")
    message = str(caught.value)
    assert message.startswith(
        "training_configs/distributed.jsonnet takes values from environment variables that are not"
    )
    named = set(message.partition(" export ")[2].split())
    assert named == {f"{name}=..." for name in ("CUDA_DEVICES", "DEV", "TEST", "ELMO_OPTIONS", "ELMO_WEIGHTS")}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            "{trainer.num_epochs: 2}",
            """--overrides: expected JSON such as '{"trainer.num_epochs": 3}', received '{trainer.num_epochs: 2}' """
            """(1:9: expected token OPERATOR but got ".")""",
        ),
        (
            "trainer.num_epochs=2",
            """--overrides: expected JSON such as '{"trainer.num_epochs": 3}', received 'trainer.num_epochs=2' """
            "(1:19: not a binary operator: =)",
        ),
        ("3", """--overrides: expected JSON such as '{"trainer.num_epochs": 3}', received '3'"""),
        ('{"model.encodr.hidden_size": 2}', "--overrides: model: unknown key 'encodr'; did you mean 'encoder'?"),
        (
            '{"dataset_reder.separator": ";"}',
            "--overrides: the config: unknown key 'dataset_reder'; did you mean 'dataset_reader'?",
        ),
        (
            '{"model.encoder.hidden_size.x": 2}',
            "--overrides: model.encoder.hidden_size is 200 in the config, expected an object",
        ),
        ('{"trainer.callbacks.7.x": 2}', "--overrides: trainer.callbacks: unknown key '7', expected one of 0, 1"),
    ],
)
def test_overrides_that_do_not_fit_say_what_to_type(overrides: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Params.from_file(CONFIG, overrides, VARIABLES)
    assert str(caught.value) == message


def test_overrides_that_fit_are_taken() -> None:
    overrides = '{"trainer.num_epochs": 2, "model.dropout": 0.25, "random_seed": 7, "trainer.callbacks.0": "x"}'
    config = Params.from_file(CONFIG, overrides, VARIABLES).as_dict(quiet=True)
    assert (config["trainer"]["num_epochs"], config["model"]["dropout"], config["random_seed"]) == (2, 0.25, 7)
    assert config["trainer"]["callbacks"][0] == "x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{a: 1", "{file}:1:6: expected a comma before next field."),
        ("[1]", "{file}: expected an object, received [1]"),
        ("{a: error 'no vectors'}", "{file}: no vectors {file}:1:5-23 object <anonymous> During manifestation"),
    ],
)
def test_a_config_that_is_none_is_refused_in_a_line(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "config.jsonnet"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        Params.from_file(file)
    assert str(caught.value) == message.replace("{file}", str(file))


def test_a_directory_is_no_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected a config, this is a directory"):
        Params.from_file(tmp_path)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("trainr", {}, "^the config: unknown key 'trainr'; did you mean 'trainer'\\?$"),
        ("trainer.patiance", 3, "^trainer: unknown key 'patiance'; did you mean 'patience'\\?$"),
        ("trainer.xyz", 3, "^trainer: unknown key 'xyz', expected one of .*num_epochs"),
        ("trainer.optimizer.lrr", 3, "^trainer.optimizer: unknown key 'lrr'; did you mean 'lr'\\?$"),
        ("dataset_reader.tag_colum", 1, "^dataset_reader: unknown key 'tag_colum'; did you mean 'tag_column'\\?$"),
        ("model.encoder.hiden_size", 3, "^model.encoder: unknown key 'hiden_size'; did you mean 'hidden_size'\\?$"),
        ("model.encodr", {}, "^model: unknown key 'encodr'; did you mean 'encoder'\\?$"),
        (
            "model.text_field_embedder.token_embedders.elmo.mix",
            {"gama": 1.0},
            "^model.text_field_embedder.token_embedders.elmo.mix: unknown key 'gama'; did you mean 'gamma'\\?$",
        ),
        ("model.encoder.type", "lsstm", "^model.encoder.type: unknown 'lsstm'; did you mean 'lstm'\\? \\(a class"),
    ],
)
def test_an_unknown_key_is_named_with_its_place_and_a_near_one(
    place: str, value: object, message: str, bilm_files: dict[str, str], training_file: str, tmp_path: Path
) -> None:
    config = tagger_config(bilm_files, training_file)
    *parents, key = place.split(".")
    part = config
    for parent in parents:
        part = part[parent]
    part[key] = value
    with pytest.raises(ConfigurationError, match=message):
        TrainModel.from_params(Params(config), serialization_dir=str(tmp_path), local_rank=0)
