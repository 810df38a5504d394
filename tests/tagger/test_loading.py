"""Model folders, and what is refused."""

import json
import re
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import elmo_tagger
from elmo_tagger.archives import ArchiveError
from elmo_tagger.bilm.loading.bundled import BUNDLED
from elmo_tagger.tagger import Card, ConfigError, FolderError, LoadError, Tagger, TaggerConfig
from elmo_tagger.text.outputs import OutputError
from tests.tagger.conftest import make_tagger, small_config

TEXT = "Emma Stone flew to Oslo. They flew home."


@pytest.fixture
def folder(tagger: Tagger, tmp_path: Path) -> Path:
    tagger.save(tmp_path / "model")
    return tmp_path / "model"


def test_a_saved_tagger_loads_as_it_was(tagger: Tagger, folder: Path) -> None:
    again = elmo_tagger.load(folder)
    assert again(TEXT, top_k=3).to_json() == tagger(TEXT, top_k=3).to_json()
    assert again.config == tagger.config
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert elmo_tagger.load(str(folder)).labels == tagger.labels
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1  # who may read one may read all


def test_the_card_says_what_is_known(tagger: Tagger, tmp_path: Path) -> None:
    card = Card(data=("WNUT-17",), scores={"test F1": 0.5}, license="cc-by-4.0")
    tagger.save(tmp_path / "model", card=card)
    text = (tmp_path / "model" / "README.md").read_text()
    for expected in (
        'license: "cc-by-4.0"',
        "Labels: LOC, PER",
        "Data: WNUT-17",
        "| test F1 | 0.5000 |",
        "library_name",
    ):
        assert expected in text
    assert elmo_tagger.load(tmp_path / "model").card == card


def test_what_somebody_wrote_for_the_card_travels_with_the_model(folder: Path, tmp_path: Path) -> None:
    written = "## Limits\n\nNo *tweets*.\n\n```python\n## no heading\n```\n"
    readme = (folder / "README.md").read_text()
    (folder / "README.md").write_text(f"{readme}\nOf this folder.\n\n{written}")
    again = elmo_tagger.load(folder)
    again.card = replace(again.card, license="cc-by-4.0")
    again.save(tmp_path / "copy")
    copied = (tmp_path / "copy" / "README.md").read_text()
    assert copied.endswith(f"\n\n{written}")
    assert "- Licence: cc-by-4.0" in copied
    assert "Of this folder" not in copied
    assert elmo_tagger.load(tmp_path / "copy").card == again.card
    again.save(tmp_path / "new", card=Card())
    assert "Limits" not in (tmp_path / "new" / "README.md").read_text()


def test_a_card_that_is_no_text_stops_no_model(folder: Path) -> None:
    (folder / "README.md").write_bytes(b"\xff\n## \xfe\n")
    assert elmo_tagger.load(folder).card.sections == "## \ufffd\n"
    (folder / "README.md").unlink()
    assert elmo_tagger.load(folder).card.sections == ""


def test_the_language_travels_with_the_folder(tagger: Tagger, folder: Path, tmp_path: Path) -> None:
    german = elmo_tagger.load(folder, language="de")
    german.save(tmp_path / "german")
    assert elmo_tagger.load(tmp_path / "german")("Emma flog z.B. nach Oslo.").tokens[2] == "z.B."


def test_saving_writes_over_nothing_unless_told(tagger: Tagger, folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(OutputError, match=r"exists already: expected another name, or force=True$"):
        tagger.save(folder)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
    elmo_tagger.load(folder).save(folder, force=True)  # though its weights are mapped from there
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_full_disk_names_the_weights_that_could_not_be_saved(tagger: Tagger, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    tagger.save(tmp_path / "whole")
    size = (tmp_path / "whole" / "model.safetensors").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1000, before[1]))
    try:
        with pytest.raises(OutputError, match=re.escape(f"{tmp_path}/model/model.safetensors: cannot be written")):
            tagger.save(tmp_path / "model")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_a_folder_shares_the_weights_of_a_bilm_of_the_package(
    tagger: Tagger, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagger.model.text_field_embedder.token_embedder_elmo.bilm.save(tmp_path / "bilm")
    monkeypatch.setitem(BUNDLED, "tiny", tmp_path / "bilm")
    foreign = {name: None for name in load_file(folder / "model.safetensors") if ".bilm." in name}
    assert foreign
    change_weights(folder, dict(foreign))
    with pytest.raises(LoadError, match="is missing"):
        elmo_tagger.load(folder)
    config = json.loads((folder / "config.json").read_text())
    embedder = config["model"]["text_field_embedder"]["token_embedders"]["elmo"]
    del embedder["options"]
    embedder["bundled"] = "tiny"
    (folder / "config.json").write_text(json.dumps(config))
    again = elmo_tagger.load(folder)
    assert again(TEXT).to_json() == tagger(TEXT).to_json()
    again.save(tmp_path / "whole")  # needs no package's biLM any more
    monkeypatch.delitem(BUNDLED, "tiny")
    assert elmo_tagger.load(tmp_path / "whole")(TEXT).to_json() == tagger(TEXT).to_json()
    with pytest.raises(LoadError, match="expected a biLM of the package, starter, received tiny"):
        elmo_tagger.load(folder)


def change_weights(folder: Path, changed: dict[str, torch.Tensor | None]) -> None:
    weights = {**load_file(folder / "model.safetensors"), **changed}
    save_file({key: value.clone() for key, value in weights.items() if value is not None}, folder / "model.safetensors")


def test_weights_that_do_not_fit_are_named_with_both_shapes(folder: Path) -> None:
    changes = {"crf.transitions": torch.zeros(3, 3), "new.part": torch.zeros(2), "crf.end_transitions": None}
    change_weights(folder, changes)
    with pytest.raises(LoadError) as caught:
        elmo_tagger.load(folder)
    message = str(caught.value)
    assert str(folder) in message
    assert "crf.transitions: expected shape (6, 6), received (3, 3)" in message
    assert "crf.end_transitions is missing, expected with shape (6,)" in message
    assert "new.part, of shape (2,), is foreign" in message


def test_numbers_that_are_not_real_are_refused(folder: Path) -> None:
    change_weights(folder, {"crf.start_transitions": torch.zeros(6, dtype=torch.complex64)})
    message = r"crf\.start_transitions: expected real numbers, received torch\.complex64"
    with pytest.raises(LoadError, match=message):
        elmo_tagger.load(folder)


def test_weights_of_another_type_are_converted(folder: Path, tagger: Tagger) -> None:
    name = "tag_projection_layer._module.weight"
    change_weights(folder, {name: load_file(folder / "model.safetensors")[name].double()})
    assert elmo_tagger.load(folder)(TEXT).to_json() == tagger(TEXT).to_json()


@pytest.mark.parametrize(("precision", "kept"), [("int8", torch.int8), ("float16", torch.float16)])
def test_a_model_kept_in_one_precision_predicts_in_another(
    folder: Path, tmp_path: Path, precision: str, kept: Any
) -> None:
    set_precision(folder, precision=precision, rounded_weights=True)
    rounded = elmo_tagger.load(folder)
    rounded.save(tmp_path / "rounded")
    stored = load_file(tmp_path / "rounded" / "model.safetensors")
    assert stored["text_field_embedder.token_embedder_elmo.bilm.lstm.layers.0.W_0"].dtype == kept
    again = elmo_tagger.load(tmp_path / "rounded")
    assert again(TEXT, top_k=3).to_json() == rounded(TEXT, top_k=3).to_json()
    set_precision(tmp_path / "rounded", precision="float32", rounded_weights=False)
    assert elmo_tagger.load(tmp_path / "rounded")(TEXT).tags == rounded(TEXT).tags


def set_precision(folder: Path, **options: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["model"]["text_field_embedder"]["token_embedders"]["elmo"] |= options
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_damaged_folder_is_one_line(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(FolderError, match=re.escape(str(folder / name))) as caught:
        elmo_tagger.load(folder)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_config_says_so(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(FolderError, match=r"expected a file config.json in it"):
        elmo_tagger.load(folder)


@pytest.mark.parametrize("wrong", [None, [], {"labels": "abc"}, {"labels": ["a", 3]}])
def test_a_vocabulary_that_is_none_is_named(folder: Path, wrong: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocabulary": wrong}))
    with pytest.raises(ConfigError, match="vocabulary: expected an object of lists of strings"):
        elmo_tagger.load(folder)


@pytest.mark.parametrize("key", ["hidden_size", "num_layers"])
@pytest.mark.parametrize("size", [10**5, 10**9])
def test_sizes_without_tensors_are_refused_before_they_are_allocated(folder: Path, key: str, size: int) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["model"]["encoder"] = {"type": "lstm", "hidden_size": 4, key: size}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArchiveError, match=r"config\.json: (describes a model that is larger|model\.enc)"):
        elmo_tagger.load(folder)


@pytest.mark.parametrize(("place", "size"), [("hidden_size", 0), ("num_layers", -1), ("hidden_dims", -1)])
def test_sizes_below_one_are_one_line_that_names_the_model(folder: Path, place: str, size: int) -> None:
    config = json.loads((folder / "config.json").read_text())
    if place == "hidden_dims":
        config["model"]["feedforward"] = {"num_layers": 1, "hidden_dims": size, "activations": "relu"}
    else:
        config["model"]["encoder"] = {"type": "lstm", "hidden_size": 4, place: size}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(LoadError, match=re.escape(f"{folder}: config.json: describes no model")) as caught:
        elmo_tagger.load(folder)
    assert "\n" not in str(caught.value)


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(b"no archive")
    with pytest.raises(ArchiveError, match=r"x\.tar\.gz: expected a complete archive"):
        elmo_tagger.load(tmp_path / "x.tar.gz")
    with pytest.raises(ArchiveError, match="the archive: expected a complete archive"):
        elmo_tagger.load(b"no archive")
    with pytest.raises(LoadError, match=r"y\.tar\.gz: no such file or directory"):
        elmo_tagger.load(tmp_path / "y.tar.gz")
    with pytest.raises(ArchiveError, match=r"expected a file config\.json"):
        elmo_tagger.load(tmp_path)


def test_a_name_of_the_package_is_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr("elmo_tagger.tagger.loading.NAMED", {"en": folder, "none": tmp_path / "none"})
    assert elmo_tagger.load("en").labels == ["LOC", "PER"]
    with pytest.raises(LoadError, match="none: this installation has no such tagger"):
        elmo_tagger.load("none")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "en").mkdir()
    with pytest.raises(LoadError, match=r"en: a tagger of the package, and something here has that name.*\./en"):
        elmo_tagger.load("en")


def changed(path: str, value: Any) -> dict[str, Any]:
    """The small config with a value at a dotted path."""
    config = small_config()
    *parents, last = path.split(".")
    place = config
    for name in parents:
        place = place[name]
    place[last] = value
    return config


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("model.type", "os.system", "model.type: received 'os.system', expected one of elmo_bilstm_crf, crf_tagger"),
        ("model.type", "simple_tagger", "received 'simple_tagger'.*`allennlp predict` can still run the archive"),
        ("model.encoder.type", "transformer", "model.encoder.type: received 'transformer', expected one of lstm, gru"),
        ("model.encoder.type", ["lstm"], r"model.encoder.type: received \['lstm'\], expected one of"),
        ("model.encoder.hidden_size", "6", "model.encoder.hidden_size: expected an integer, received '6'"),
        ("model.encoder.hidden_size", True, "model.encoder.hidden_size: expected an integer, received True"),
        ("model.encoder.hiden_size", 6, r"model.encoder.hiden_size \(is hidden_size meant\?\): the engine does not"),
        ("model.encoder.stateful", True, "model.encoder.stateful: received True, expected False"),
        ("model.encoder", 3, "model.encoder: expected an object, received 3"),
        ("model.feedforward", {"num_layers": 1, "hidden_dims": 2, "activations": "os.system"}, "received 'os.system'"),
        ("model.feedforward", {"num_layers": 2, "hidden_dims": [3], "activations": "relu"}, "expected 2, one a layer"),
        ("token_indexers.elmo.type", "pretrained_transformer", "token_indexers.elmo.type: received 'pretrained"),
        ("token_indexers.elmo.static_namespace", "others", "the vocabulary has no 'others'|static words"),
        ("token_indexers.more", {"type": "single_id"}, "expected an embedder for each indexer"),
        ("model.text_field_embedder.token_embedders.elmo.layers", 7, "layers: expected one of"),
        ("model.text_field_embedder.token_embedders.elmo.options", None, "options of its biLM are missing"),
    ],
)
def test_a_part_that_nobody_knows_is_named(tagger: Tagger, folder: Path, path: str, value: Any, message: str) -> None:
    config = changed(path, value)
    vocabulary = json.loads((folder / "config.json").read_text())["vocabulary"]
    (folder / "config.json").write_text(json.dumps({**config, "vocabulary": vocabulary}))
    with pytest.raises(ConfigError, match=message) as caught:
        elmo_tagger.load(folder)
    assert str(caught.value).startswith(str(folder))
    assert "\n" not in str(caught.value)


def test_a_part_may_be_given_by_its_name_alone() -> None:
    for path, kind in (("model.encoder", "pass_through"), ("token_indexers.elmo", "elmo_hdf5")):
        assert TaggerConfig.from_dict(changed(path, kind)) == TaggerConfig.from_dict(changed(path, {"type": kind}))
    with pytest.raises(ConfigError, match=r"model\.encoder\.type: received 'transformer', expected one of lstm"):
        TaggerConfig.from_dict(changed("model.encoder", "transformer"))


def test_a_config_is_written_as_it_is_read(tagger: Tagger) -> None:
    assert TaggerConfig.from_dict(json.loads(json.dumps(tagger.config.to_dict()))) == tagger.config


HEAVY = ("torchvision", "transformers", "scipy", "sklearn", "pandas", "torch._dynamo", "allennlp", "seqeval")
SPACY = ("spacy", "h5py")  # which spaCy imports where it is installed


def test_a_prediction_imports_little(folder: Path) -> None:
    code = (
        "import sys, elmo_tagger\n"
        f"tagger = elmo_tagger.load({str(folder)!r})\n"
        "tagger.tag(['Emma', 'flew'])\n"
        f"found = [name for name in {SPACY!r} if name in sys.modules]\n"
        "tagger('Emma Stone flew to Oslo.')\n"
        f"print(found + [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read as Linux tells it")
def test_weights_are_mapped_into_memory_and_not_copied(folder: Path, tmp_path: Path) -> None:
    large = tmp_path / "large"
    make_tagger(dim=2048, projection_dim=256).save(large)
    code = (
        "import elmo_tagger\n"
        "def most():\n"
        "    lines = open('/proc/self/status').read().splitlines()\n"
        "    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith('VmHWM'))\n"
        f"small = elmo_tagger.load({str(folder)!r})\n"  # what is imported and started once
        "before = most()\n"
        f"large = elmo_tagger.load({str(large)!r})\n"
        "print(most() - before)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    size = (large / "model.safetensors").stat().st_size
    assert size > 60 * 2**20
    assert int(result.stdout) < 1.2 * size
