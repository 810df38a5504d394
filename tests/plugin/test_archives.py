"""Archives that AllenNLP's commands read: nothing in one is run, and what is wrong with one is one line."""

import gzip
import io
import json
import random
import re
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.commands.evaluate import evaluate_from_archive
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader
from allennlp.models.archival import load_archive
from allennlp.predictors import Predictor

from elmo_tagger.archives import ArchiveError, read_weights
from elmo_tagger.plugin.compat.class_names import TRUST
from elmo_tagger.plugin.plain_errors import message_of
from elmo_tagger.plugin.reader import ConllColumnsReader

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Temporary folders go to one of the test's own, which is empty in the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def changed(archive: Path, target: Path, config: Change | None = None, **files: bytes | None) -> Path:
    """A trained archive with another config or other files; None leaves one out."""
    names = {name.replace("__", "/").replace("_", "."): content for name, content in files.items()}
    path = target / "model.tar.gz"
    with tarfile.open(archive / "model.tar.gz") as old, tarfile.open(path, "w:gz") as new:
        for member in old.getmembers():
            content = old.extractfile(member).read() if member.isfile() else b""
            if member.name == "config.json" and config is not None:
                parsed = json.loads(content)
                config(parsed)
                content = json.dumps(parsed).encode()
            content = names.get(member.name, content)
            if content is not None:
                member.size = len(content)
                new.addfile(member, io.BytesIO(content))
    return path


def saved(state: object, **options: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer, **options)
    return buffer.getvalue()


def set_at(path: str, value: object) -> Change:
    """A change of one place of a config."""

    def change(config: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for key in parents:
            config = config.setdefault(key, {})
        config[last] = value

    return change


def touch(target: str) -> dict[str, tuple[str, object]]:
    """Configs that would make a file, by what they would call."""
    return {
        "os.system": ("dataset_reader", {"type": "os.system", "command": f"touch {target}"}),
        "subprocess.Popen": ("dataset_reader", {"type": "subprocess.Popen", "args": ["touch", target]}),
        "subprocess.check_call": ("model.encoder", {"type": "subprocess.check_call", "popenargs": [["touch", target]]}),
        "pathlib.Path.touch": ("vocabulary", {"type": "pathlib.Path"}),
        "io.open": ("dataset_reader.token_indexers.elmo", {"type": "io.open", "file": target, "mode": "w"}),
        "shutil.os": ("validation_dataset_reader", {"type": "shutil.copyfile", "src": "/etc/hostname", "dst": target}),
        "a string": ("model.text_field_embedder.token_embedders.elmo", "tempfile.mkdtemp"),
        "a function of ours": ("dataset_reader", {"type": "elmo_tagger.text.files.read_lines", "path": target}),
        "a function of AllenNLP": ("dataset_reader", {"type": "allennlp.commands.main", "prog": target}),
        "what AllenNLP imports": ("dataset_reader", {"type": "allennlp.models.archival.Params", "params": {}}),
    }


@pytest.mark.parametrize("case", touch(""))
def test_an_archive_names_no_code_to_run(case: str, archive: Path, tmp_path: Path) -> None:
    target = tmp_path / "made"
    path = changed(archive, tmp_path, set_at(*touch(str(target))[case]))
    # by the name of this archive, whatever others have named
    message = rf"{re.escape(str(path))}: config\.json: expected a registered name or a class of"
    with pytest.raises(ArchiveError, match=message):
        load_archive(path)
    assert not target.exists()


def test_what_is_built_after_loading_is_bound_too(archive: Path, training_file: str, tmp_path: Path) -> None:
    loader = {"type": "os.system", "command": f"touch {tmp_path}/made"}
    path = changed(archive, tmp_path, set_at("validation_data_loader", loader))
    with pytest.raises((ArchiveError, ConfigurationError), match=r"received 'os\.system'"):
        evaluate_from_archive(path, training_file)
    assert not (tmp_path / "made").exists()


def test_code_of_the_hub_is_not_run(archive: Path, tmp_path: Path) -> None:
    path = changed(archive, tmp_path, set_at("dataset_reader.tokenizer_kwargs", {"trust_remote_code": True}))
    with pytest.raises(ArchiveError, match="trust_remote_code: expected an archive that runs no code"):
        load_archive(path)


@DatasetReader.register("registered_by_a_user")
class Mine(ConllColumnsReader):
    """A reader of a user's own package, which `--include-package` imports."""


class Unregistered(ConllColumnsReader):
    """One that its package does not register."""


HERE = f"{__name__}."


@pytest.mark.parametrize(
    "name", ["registered_by_a_user", HERE + "Mine", "elmo_tagger.plugin.reader.ConllColumnsReader"]
)
def test_registered_classes_and_our_own_are_built(name: str, archive: Path, tmp_path: Path) -> None:
    path = changed(archive, tmp_path, set_at("dataset_reader.type", name))
    expected = ConllColumnsReader if "elmo_tagger" in name else Mine
    assert type(load_archive(path).dataset_reader) is expected


def test_who_trusts_an_archive_can_say_so(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = changed(archive, tmp_path, set_at("dataset_reader.type", HERE + "Unregistered"))
    with pytest.raises(ArchiveError, match=f"--include-package imports a package of yours, {TRUST}=1 lets archives"):
        load_archive(path)
    monkeypatch.setenv(TRUST, "1")
    assert type(load_archive(path).dataset_reader) is Unregistered


def test_overrides_are_the_users(archive: Path) -> None:
    overrides = {"dataset_reader.type": f"{__name__}.Unregistered2"}
    globals()["Unregistered2"] = Unregistered
    assert type(load_archive(archive / "model.tar.gz", overrides=overrides).dataset_reader) is Unregistered


SIZES = {
    "hidden_size": (set_at("model.encoder.hidden_size", 10**6), "describes a model that is larger than its weights"),
    "num_layers": (set_at("model.encoder.num_layers", 10**6), "describes a model that is larger than its weights"),
    "a number that no model has": (set_at("model.encoder.hidden_size", 10**9), "expected a size of at most 1048576"),
    "2**63": (
        set_at("model.encoder.num_layers", 2**63),
        "expected a size of at most 1048576, received 9223372036854775",
    ),
    "layers of a feed-forward": (
        set_at("model.feedforward", {"num_layers": 10**9, "hidden_dims": 2, "activations": "relu"}),
        r"model\.feedforward\.num_layers: expected a size of at most",
    ),
    "characters": (
        set_at("dataset_reader.token_indexers.elmo.max_characters_per_token", 10**9),
        r"dataset_reader\.token_indexers\.elmo\.max_characters_per_token: expected a size of at most 65536",
    ),
    "processes": (
        set_at("validation_data_loader", {"batch_size": 8, "num_workers": 10**6}),
        r"config\.json: validation_data_loader\.num_workers: expected at most 256, received 1000000",
    ),
    "an orthogonal start": (
        set_at("model.encoder", {"type": "stacked_bidirectional_lstm", "hidden_size": 10**6, "num_layers": 2}),
        "describes a model that is larger than its weights",
    ),
}


@pytest.mark.parametrize("case", SIZES)
def test_sizes_without_tensors_are_refused(case: str, archive: Path, tmp_path: Path) -> None:
    change, message = SIZES[case]
    with pytest.raises(ArchiveError, match=message):
        load_archive(changed(archive, tmp_path, change))


def without_biases(archive: Path) -> dict[str, torch.Tensor]:
    return {name: value for name, value in read_weights(archive / "best.th").items() if not name.endswith("bias")}


WRONG = {
    "weights: a list": ({"weights_th": saved([1])}, r"weights\.th: expected a dictionary of tensors, received list"),
    "weights: a tensor": ({"weights_th": saved(torch.ones(2))}, r"weights\.th: expected a dictionary of tensors"),
    "weights: missing": ({"weights_th": None}, r"expected a file weights\.th in it, received none"),
    "weights: empty": ({"weights_th": saved({})}, "cannot be loaded: file .* not found"),
    "config: a list": ({"config_json": b"[]"}, r"config\.json: expected a JSON object, received a list"),
    "config: UTF-16": ({"config_json": "{}".encode("utf-16")}, r"config\.json: expected a JSON object in UTF-8"),
    "config: missing": ({"config_json": None}, r"expected a file config\.json in it, received none"),
    "config: no reader": ({"config_json": b'{"model": {}}'}, "expected an object 'dataset_reader' in it"),
    "labels: UTF-16": ({"vocabulary__labels_txt": "O\n".encode("utf-16")}, r"vocabulary/labels\.txt: expected UTF-8"),
    "labels: too few": (
        {"vocabulary__labels_txt": b"O\n"},
        r"vocabulary/labels\.txt: expected \d tags, .* received 1$",
    ),
    "labels: a million": ({"vocabulary__labels_txt": b"B-X\n" * 10**6}, r"labels\.txt: expected \d tags, .* 1000000$"),
    "meta: a list": ({"meta_json": b"[]"}, r"meta\.json: expected a JSON object, received a list"),
    "meta: no JSON": ({"meta_json": b"2.10.1"}, r"meta\.json: expected a JSON object"),
    "meta: no version": (
        {"meta_json": b'{"version": 2}'},
        r"meta\.json: expected a version such as 2\.10\.1, received 2$",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_contents_are_one_line(case: str, archive: Path, tmp_path: Path) -> None:
    files, message = WRONG[case]
    path = changed(archive, tmp_path, **files)
    with pytest.raises(ArchiveError, match=message) as caught:
        load_archive(path)
    printed = message_of(caught.value)
    assert printed is not None
    assert printed.startswith(str(path))
    assert "\n" not in printed
    assert len(printed) < 700


CONFIGS = {
    "no type": (lambda config: config["model"].pop("type"), "model"),
    "an embedder that is a list": (set_at("model.text_field_embedder", [1]), "cannot be loaded"),
    "a typo": (set_at("model.encodr", {}), "encodr"),
    "a number for a name": (set_at("model.encoder.type", 3), "cannot be loaded"),
    "another width": (
        set_at("model.encoder.hidden_size", 15),
        r"weights\.th: \S+: expected shape \(.*\) by the config and the vocabulary, received \(.*\)$",
    ),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_wrong_configs_are_one_line(case: str, archive: Path, tmp_path: Path) -> None:
    change, message = CONFIGS[case]
    path = changed(archive, tmp_path, change)
    with pytest.raises(ArchiveError, match=message) as caught:
        load_archive(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_config_with_a_directory_in_its_place_is_one_line(archive: Path, tmp_path: Path) -> None:
    path = changed(archive, tmp_path, config_json=None)
    with tarfile.open(path) as old:
        old.extractall(tmp_path / "run", filter="data")
    (tmp_path / "run" / "config.json").mkdir()
    with pytest.raises(ArchiveError, match=r"run: expected a file config\.json in it, received a directory"):
        load_archive(tmp_path / "run")


def unpacked(content: bytes) -> bytes | None:
    """The tar file in an archive, None where Python's gzip sees damage."""
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return None


def test_flipped_bits_are_seen(archive: Path, tmp_path: Path) -> None:
    content = (archive / "model.tar.gz").read_bytes()
    whole = unpacked(content)
    assert whole is not None
    generator = random.Random(1)
    for _ in range(60):
        damaged = bytearray(content)
        damaged[generator.randrange(10, len(content))] ^= 1 << generator.randrange(8)
        if unpacked(damaged) == whole:  # a bit without meaning: of the name in gzip's header, or of deflate's padding
            continue
        (tmp_path / "model.tar.gz").write_bytes(damaged)
        with pytest.raises(ArchiveError, match="expected a complete archive"):
            load_archive(tmp_path / "model.tar.gz")


def test_weights_in_the_older_format_predict_the_same(archive: Path, tmp_path: Path) -> None:
    state = read_weights(archive / "best.th")
    path = changed(archive, tmp_path, weights_th=saved(state, _use_new_zipfile_serialization=False))
    text = {"text": "Emma Stone flew to Oslo. Oslo likes Emma."}
    old, new = (
        Predictor.from_archive(load_archive(each)).predict_json(text) for each in (path, archive / "model.tar.gz")
    )
    assert old == new
    assert old["entities"]


def test_weights_file_is_read_in_the_same_way(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "other.th").write_bytes(saved([1]))
    with pytest.raises(ArchiveError, match=r"other\.th: expected a dictionary of tensors, received list"):
        load_archive(archive / "model.tar.gz", weights_file=str(tmp_path / "other.th"))


def test_an_archive_is_packed_by_the_fastest_way(archive: Path) -> None:
    """Weights hardly shrink, and gzip's highest level took most of a short training's time."""
    assert (archive / "model.tar.gz").read_bytes()[8] == 4  # XFL of RFC 1952: the fastest algorithm
