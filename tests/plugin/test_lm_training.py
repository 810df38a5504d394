"""Training a biLM with AllenNLP: shipped configs, exact `--recover`, held-out perplexity, export."""

import json
import math
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
import torch
from allennlp.commands.evaluate import evaluate_from_archive
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.models import Model
from allennlp.modules.elmo import Elmo, batch_to_ids
from typer.testing import CliRunner

from elmo_tagger.bilm import Bilm, encode_sentences
from elmo_tagger.bilm.loading.source import load_bilm
from elmo_tagger.bilm.training import count_words, export
from elmo_tagger.bilm.training.batches import LmBatch
from elmo_tagger.bilm.training.streams import StreamBatches
from elmo_tagger.cli.app import app
from elmo_tagger.plugin.lm_loader import LmStreamLoader
from elmo_tagger.plugin.lm_reader import LmTextReader
from tests.bilm.random_models import TOLERANCE, named_weights
from tests.bilm.training.texts import grammar, write
from tests.plugin.conftest import OPTIONS, tagger_config
from tests.plugin.test_compat import Interrupted, Interruption
from tests.reference.language_model import sentence_losses

CONFIGS = sorted(Path("training_configs/bilm").glob("*.jsonnet"))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training text, and the vocabulary beside it."""
    directory = tmp_path_factory.mktemp("text")
    file = write(directory / "text.txt", grammar(160))
    write(directory / "held_out.txt", grammar(20, seed=1))
    count_words([file]).vocabulary(size=50).save(directory / "vocab.txt")
    return file


def config(text: Path, **changes: Any) -> dict:
    """Everything on: streams, sampled softmax, dropout, warm-up, validation."""
    raw = {
        "dataset_reader": {"type": "lm_text", "prepared_dir": str(text.parent / "prepared")},
        "train_data_path": {"files": str(text), "part": "train", "hold_out": 0.1},
        "validation_data_path": {"files": str(text), "part": "held_out", "hold_out": 0.1},
        "vocabulary": {"type": "lm_vocabulary", "vocabulary_file": str(text.parent / "vocab.txt")},
        "model": {"type": "elmo_bilm", "options": OPTIONS, "samples": 20, "dropout": 0.2, "loss_scale": 4},
        "data_loader": {"type": "lm_stream", "streams": 8, "steps": 10},
        "validation_data_loader": {"type": "lm_stream", "mode": "sentences", "words": 60, "shuffle": False},
        "trainer": {
            "optimizer": {"type": "adagrad", "lr": 0.2, "initial_accumulator_value": 0.1},
            "learning_rate_scheduler": {"type": "linear_with_warmup", "warmup_steps": 5},
            "grad_norm": 10.0,
            "num_epochs": 3,
            "validation_metric": "-perplexity",
            "checkpointer": {"save_every_num_batches": 3},
            "callbacks": ["test_interruption"],
            "run_confidence_checks": False,
        },
    }
    for path, value in changes.items():
        part, _, name = path.partition("__")
        raw[part] = {**raw[part], name: value} if name else value
    return raw


@pytest.fixture(scope="module")
def run(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted training."""
    directory = tmp_path_factory.mktemp("run") / "whole"
    train_model(Params(config(text)), str(directory))
    return directory


def test_the_list_is_complete() -> None:
    assert [path.stem for path in CONFIGS] == ["adapt", "continue", "original", "small", "starter"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_train(path: Path, text: Path, run: Path, bilm_files: dict[str, str], tmp_path: Path) -> None:
    tiny: dict[str, Any] = {"trainer.num_epochs": 1, "data_loader.streams": 8}
    tiny["dataset_reader.prepared_dir"] = str(tmp_path)
    if path.stem == "starter":
        tiny["data_loader.batches_per_epoch"] = 20
    if path.stem in ("original", "small", "starter"):
        tiny |= {"model.options": OPTIONS, "model.samples": 20}
    names = {"LM_TEXT": text, "LM_CHECK": text, "LM_VOCAB": text.parent / "vocab.txt", "RUN": run / "model.tar.gz"}
    files = {"ELMO_OPTIONS": bilm_files["options_file"], "ELMO_WEIGHTS": bilm_files["weight_file"], "EPOCHS": "1"}
    params = Params.from_file(path, tiny, {**{name: str(file) for name, file in names.items()}, **files})
    train_model(params, str(tmp_path / "run"))
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert 1 < metrics["best_validation_perplexity"] < 1e4
    assert metrics["training_tokens_per_second"] > 0
    if path.stem == "continue":
        before = json.loads((run / "metrics.json").read_text())["best_validation_perplexity"]
        assert metrics["best_validation_perplexity"] < 1.5 * before


def same_weights(left: Path, right: Path) -> None:
    first, second = (torch.load(each) for each in (left, right))
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.parametrize("place", [(0, 2), (1, 5)])
def test_recovered_training_equals_an_uninterrupted_one(
    place: tuple[int, int], text: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Interruption, "at", place)
    with pytest.raises(Interrupted):
        train_model(Params(config(text)), str(tmp_path / "parts"))
    monkeypatch.setattr(Interruption, "at", None)
    made: list[tuple[int, int]] = []
    batch = StreamBatches.batch

    def counted(self: StreamBatches, epoch: int, number: int) -> LmBatch:
        made.append((epoch, number))
        return batch(self, epoch, number)

    monkeypatch.setattr(StreamBatches, "batch", counted)
    # a run without a checkpoint leaves no folder, so that the same command can be given again
    train_model(Params(config(text)), str(tmp_path / "parts"), recover=place[0] > 0)
    assert made[0] == ((1, 3) if place[0] else (0, 0))  # after the last checkpoint, if there is one
    same_weights(tmp_path / "parts" / "best.th", run / "best.th")
    name = max(path.name for path in run.glob("training_state_e3*"))
    first, second = (torch.load(each / name) for each in (run, tmp_path / "parts"))
    for left, right in zip(first["carried_states"], second["carried_states"], strict=True):
        assert all(torch.equal(a, b) and a.any() for a, b in zip(left, right, strict=True))
    scores = [json.loads((each / "metrics.json").read_text()) for each in (run, tmp_path / "parts")]
    for key in ("best_epoch", "best_validation_perplexity", "validation_forward_perplexity"):
        assert scores[0][key] == scores[1][key], key


def test_a_full_disk_spares_the_last_checkpoint(
    text: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, saved = torch.save, []

    def until_full(value: Any, path: Any, **options: Any) -> None:
        saved.append(path)
        if len(saved) < 6:
            return save(value, path, **options)
        Path(path).write_bytes(b"half a file")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(torch, "save", until_full)
    with pytest.raises(OSError, match="No space left on device"):
        train_model(Params(config(text)), str(tmp_path / "parts"))
    monkeypatch.setattr(torch, "save", save)
    train_model(Params(config(text)), str(tmp_path / "parts"), recover=True)
    same_weights(tmp_path / "parts" / "best.th", run / "best.th")


def test_evaluate_gives_the_exact_perplexity_without_other_files(text: Path, run: Path, tmp_path: Path) -> None:
    """Beside brute force; the archive is all there is."""
    archive = str(shutil.copy(run / "model.tar.gz", tmp_path))
    found = evaluate_from_archive(archive, str(text.parent / "held_out.txt"))
    bilm = load_bilm(archive)
    weights = torch.load(run / "best.th")
    softmax = [weights[f"language_model.softmax.{name}"].double().numpy() for name in ("W", "b")]
    words = (text.parent / "vocab.txt").read_text().split()
    numbers = {word: number for number, word in enumerate(words)}
    nats, count = np.zeros(2), 0
    for sentence in grammar(20, seed=1):
        nats += sentence_losses(sentence.split(), numbers, bilm.options.to_dict(), named_weights(bilm), softmax)
        count += len(sentence.split()) + 1
    assert found["perplexity"] == pytest.approx(math.exp(nats.sum() / 2 / count), rel=1e-4)
    assert found["forward_perplexity"] == pytest.approx(math.exp(nats[0] / count), rel=1e-4)
    assert found["backward_perplexity"] == pytest.approx(math.exp(nats[1] / count), rel=1e-4)
    assert "tokens_per_second" not in found


def test_exported_weights_give_the_same_vectors_here_and_in_allennlp(run: Path, tmp_path: Path) -> None:
    weights = export(run / "model.tar.gz", tmp_path)
    ours = Bilm.load(tmp_path / "options.json", weights)
    sentences = [sentence.split() for sentence in grammar(3)]
    trained = load_bilm(str(run))
    ids = torch.from_numpy(encode_sentences(sentences))
    with torch.no_grad():
        expected, received = trained(ids).layers, ours(ids).layers
        files = str(tmp_path / "options.json"), str(weights)
        elmo = Elmo(*files, 1, dropout=0.0, scalar_mix_parameters=[0, 0, 100])
        stock = elmo.eval()(batch_to_ids(sentences))["elmo_representations"][0]
    for layer, vectors in expected.items():
        assert torch.equal(received[layer], vectors)
    torch.testing.assert_close(stock, received[2], atol=TOLERANCE, rtol=0)


def test_a_bilm_fine_tuned_in_a_tagger_is_exported(
    bilm_files: dict[str, str], training_file: str, tmp_path: Path
) -> None:
    raw = tagger_config(bilm_files, training_file, num_epochs=1)
    raw["model"]["text_field_embedder"]["token_embedders"]["elmo"]["requires_grad"] = True
    model = train_model(Params(raw), str(tmp_path / "run"))
    tuned = dict(model.text_field_embedder.token_embedder_elmo.bilm.named_parameters())
    exported = Bilm.load(tmp_path / "options.json", export(tmp_path / "run" / "model.tar.gz", tmp_path))
    before = Bilm.load(bilm_files["options_file"], bilm_files["weight_file"])
    for name, parameter in exported.named_parameters():
        assert torch.equal(parameter, tuned[name]), name
    assert not torch.equal(exported.lstm.layers[0].W_0, before.lstm.layers[0].W_0)


def test_the_starter_is_a_start(text: Path) -> None:
    from elmo_tagger.plugin.lm_vocabulary import LmWords

    words = LmWords.from_vocabulary_file(str(text.parent / "vocab.txt"))
    started = Model.from_params(Params({"type": "elmo_bilm", "weight_file": "starter"}), vocab=words)
    starter = load_bilm("starter")
    for name, parameter in started.language_model.bilm.named_parameters():
        assert torch.equal(parameter, starter.get_parameter(name)), name
    for wrong in ({"options_file": "o.json"}, {"options": OPTIONS}):
        with pytest.raises(
            ConfigurationError, match="starter: a biLM of the package has its own options, expected none"
        ):
            Model.from_params(Params({"type": "elmo_bilm", "weight_file": "starter", **wrong}), vocab=words)


def test_distributed_training(commands: Path, text: Path, tmp_path: Path) -> None:
    """Two processes with four streams each; the held-out perplexity is that of all sentences."""
    raw = config(text, data_loader__streams=4, distributed={"cuda_devices": [-1, -1]})
    raw["trainer"] |= {"num_epochs": 1, "callbacks": []}
    (tmp_path / "config.json").write_text(json.dumps(raw))
    command = [commands / "allennlp", "train", "config.json", "-s", "run", "--include-package", "elmo_tagger.plugin"]
    subprocess.run(command, cwd=tmp_path, check=True)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    held_out = write(tmp_path / "held_out.txt", grammar(160)[144:])
    alone = evaluate_from_archive(str(tmp_path / "run" / "model.tar.gz"), str(held_out))
    for name in ("perplexity", "forward_perplexity", "backward_perplexity"):
        assert metrics[f"validation_{name}"] == pytest.approx(alone[name], rel=1e-5)
    states = torch.load(max((tmp_path / "run").glob("training_state_e0*")))["carried_states"]
    output, _ = states[0]
    assert output.shape[1] == 8
    assert not torch.equal(output[:, :4], output[:, 4:])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_data_path": "none-*.txt"}, "data path: none-*.txt: no file has a name of this pattern"),
        ({"train_data_path": {"file": "a"}}, "data path: expected files, part and hold_out, received ['file']"),
        ({"train_data_path": []}, "data path: expected files, received an empty list"),
        ({"data_loader__mode": "stream"}, "mode: expected one of streams, sentences, received 'stream'"),
        ({"data_loader__streams": 0}, "lm_stream: streams: expected a positive number, received 0"),
        ({"data_loader__streams": 5000}, "lm_stream: expected text for 5000 streams, received "),
        ({"data_loader__batches_per_epoch": 0}, "batches_per_epoch: expected a positive number, received 0"),
        (
            {"data_loader__max_characters_per_token": 20},
            "the data loader gives 20 characters a token, but the biLM's options say 50: "
            'set "max_characters_per_token": 50 in lm_stream',
        ),
        (
            {"vocabulary": {"type": "empty"}},
            'the vocabulary has no words to predict: set "vocabulary": {"type": "lm_voc',
        ),
        ({"model__options": None}, "elmo_bilm: expected one of options and options_file"),
        ({"model__dropout": 1.5}, "elmo_bilm: dropout: expected a probability below 1, received 1.5"),
        (
            {"dataset_reader": {"type": "conll_columns"}},
            'lm_stream: expected the dataset reader "lm_text", received Conll',
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_wrong_configs_are_told(changes: dict, message: str, text: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        train_model(Params(config(text, **changes)), str(tmp_path / "run"))
    assert message in str(error.value)


def test_a_vocabulary_without_its_special_words_is_told(text: Path, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("the\nof\n")
    vocabulary = {"type": "lm_vocabulary", "vocabulary_file": str(tmp_path / "vocab.txt")}
    with pytest.raises(ConfigurationError, match=r"vocab\.txt: expected <S>, </S>, <UNK> as the first 3 words"):
        train_model(Params(config(text, vocabulary=vocabulary)), str(tmp_path / "run"))


def test_options_that_contradict_the_weights_are_told(text: Path, bilm_files: dict[str, str], tmp_path: Path) -> None:
    raw = config(text, model__weight_file=bilm_files["weight_file"])
    raw["model"]["options"] = {**OPTIONS, "lstm": {**OPTIONS["lstm"], "dim": 11}}
    with pytest.raises(ValueError, match=r"LSTMCell/\w+: expected shape \(.*\) by model\.options, received \("):
        train_model(Params(raw), str(tmp_path / "run"))


def test_epochs_of_some_batches_go_on_in_the_text(text: Path) -> None:
    from elmo_tagger.plugin.lm_vocabulary import LmWords

    def loader(batches: Optional[int]) -> LmStreamLoader:
        reader = LmTextReader(prepared_dir=str(text.parent / "prepared"))
        made = LmStreamLoader(reader, str(text), streams=8, steps=10, batches_per_epoch=batches)
        made.index_with(LmWords.from_vocabulary_file(str(text.parent / "vocab.txt")))
        return made

    whole, some = loader(None), loader(5)
    passes = [batch["targets"] for _ in range(2) for batch in whole]
    assert len(some) == 5
    parts = [batch["targets"] for _ in range(4) for batch in some]
    assert len(passes) > 20 > len(whole)
    assert all(torch.equal(a, b) for a, b in zip(parts, passes, strict=False))
    again = loader(5)
    again.skip(1, 2)
    rest = [batch for _ in range(4) for batch in again]
    assert [batch == {} for batch in rest] == [True] * 7 + [False] * 13
    assert torch.equal(rest[7]["targets"], passes[7])


def test_the_command_says_the_perplexity_of_the_validation(run: Path, text: Path, tmp_path: Path) -> None:
    """Of the same held-out sentences, which here are a file of their own, and of the weights of the best epoch."""
    lines = text.read_text().splitlines()
    held_out = write(tmp_path / "held_out.txt", lines[-math.ceil(len(lines) * 0.1) :])
    trained = json.loads((run / "metrics.json").read_text())
    for source in (run, run / "model.tar.gz"):
        result = CliRunner().invoke(app, ["perplexity", str(source), str(held_out), "--json"])
        found = json.loads(result.stdout)
        for name in ("perplexity", "forward_perplexity", "backward_perplexity"):
            assert found[name] == pytest.approx(trained[f"best_validation_{name}"], rel=1e-5)
    result = CliRunner().invoke(app, ["perplexity", str(run), str(held_out)])
    assert re.match(rf"perplexity {found['perplexity']:.2f} \(forward ", result.stdout)


def test_what_has_no_softmax_has_no_perplexity(run: Path, text: Path, archive: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "bilm")
    for source, message in (
        (tmp_path / "bilm", "an .hdf5 file holds no softmax"),
        (tmp_path / "bilm" / "weights.hdf5", "an .hdf5 file holds no softmax"),
        (archive, "expected the training of a biLM (elmo_bilm), with its softmax"),
    ):
        result = CliRunner().invoke(app, ["perplexity", str(source), str(text)])
        assert (result.exit_code, message in result.stderr) == (2, True), result.stderr
