"""The ways of naming a biLM, and archives that cannot be trusted."""

import io
import os
import sys
import tarfile
import types
from pathlib import Path

import pytest
import torch

from elmo_tagger.archives import ArchiveError
from elmo_tagger.bilm import Bilm, ScalarMix
from elmo_tagger.bilm.loading import bundled, checkpoint
from elmo_tagger.bilm.loading.checkpoint import CheckpointError, read_archive
from elmo_tagger.bilm.loading.source import WeightsSourceError, load_bilm
from elmo_tagger.bilm.weights_hash import weights_hash
from elmo_tagger.errors import ElmoTaggerError
from tests.bilm.random_models import random_bilm

MIX = ScalarMix(3, initial=[1.0, -1.0, 0.5], gamma=2.0)


def state(prefix: str = "embedder.", *, mix: ScalarMix | None = MIX, **description: object) -> dict[str, torch.Tensor]:
    """A model's state dict with an embedder in it, and something else."""
    bilm = random_bilm()
    files = {"options_file": "gone.json", "weight_file": "gone.hdf5", "static_dim": None}
    described = {"options": bilm.options.to_dict(), **files, "layers": "mix", "layer_norm": "none", **description}
    tensors = {f"{prefix}bilm.{name}": value for name, value in bilm.state_dict().items()}
    if mix is not None:
        tensors.update({f"{prefix}scalar_mix_0.{name}": value for name, value in mix.state_dict().items()})
    return {**tensors, f"{prefix}_extra_state": checkpoint.encode(described), "encoder.weight": torch.ones(2)}


def archive(path: Path, content: bytes | None, *, kind: bytes = tarfile.REGTYPE, name: str = "weights.th") -> Path:
    """An archive with other files around the one in question."""
    with tarfile.open(path, "w:gz") as tar:
        for other in ("config.json", "vocabulary/.lock", "meta.json"):
            tar.addfile(tarfile.TarInfo(other), io.BytesIO())
        if content is not None:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname = kind, len(content), "/etc/passwd"
            tar.addfile(member, io.BytesIO(content))
    return path


def saved(tensors: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return buffer.getvalue()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """All the sources of one biLM."""
    random_bilm().save(tmp_path / "bilm")
    options, weights = (tmp_path / "bilm" / name for name in ("options.json", "weights.hdf5"))
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "x_options.json").write_bytes(options.read_bytes())
    (tmp_path / "published" / "x_weights.hdf5").write_bytes(weights.read_bytes())
    (tmp_path / "alone.hdf5").write_bytes(weights.read_bytes())
    archive(tmp_path / "model.tar.gz", saved(state()))
    archive(tmp_path / "dotted.tar.gz", saved(state()), name="./weights.th")
    (tmp_path / "run").mkdir()
    torch.save(state(), tmp_path / "run" / "best.th")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("bilm", None),
        ("bilm/weights.hdf5", None),
        ("published/x_weights.hdf5", None),
        ("alone.hdf5", "bilm/options.json"),
        ("model.tar.gz", None),
        ("dotted.tar.gz", None),
        ("run", None),
    ],
)
def test_every_source_gives_the_same_bilm(source: str, options: str | None, files: Path) -> None:
    bilm = load_bilm(str(files / source), options and str(files / options))
    assert weights_hash(bilm) == weights_hash(random_bilm())
    assert not bilm.stateful
    from_paths = load_bilm(files / source, options and files / options)
    assert weights_hash(from_paths) == weights_hash(bilm)


def test_the_precision_is_handed_on(files: Path) -> None:
    for source in ("bilm", "model.tar.gz"):
        assert load_bilm(str(files / source), precision="bfloat16").precision == "bfloat16"


def test_a_named_bilm(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bundled.BUNDLED, "tiny", files / "bilm")
    assert weights_hash(load_bilm("tiny")) == weights_hash(random_bilm())
    with pytest.raises(WeightsSourceError, match="the name tiny"):
        load_bilm("huge")
    assert all((path / "weights.hdf5").exists() for path in bundled.BUNDLED.values())


def test_a_url_is_downloaded_by_cached_path(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("cached_path")
    module.cached_path = lambda url: files / url.removeprefix("https://x.org/")
    monkeypatch.setitem(sys.modules, "cached_path", module)
    for source, options in (
        ("https://x.org/model.tar.gz", None),
        ("https://x.org/alone.hdf5", "https://x.org/bilm/options.json"),
        ("https://x.org/alone.hdf5", str(files / "bilm" / "options.json")),
    ):
        assert weights_hash(load_bilm(source, options)) == weights_hash(random_bilm())

    def failing(url: str) -> None:
        raise RuntimeError("no route")

    module.cached_path = failing
    with pytest.raises(OSError, match=r"https://x.org/a: could not be downloaded: no route"):
        load_bilm("https://x.org/a")
    monkeypatch.setitem(sys.modules, "cached_path", None)
    with pytest.raises(
        WeightsSourceError, match=r"https://x.org/a: reading URLs needs the package cached-path: run `pip"
    ):
        load_bilm("https://x.org/a")


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (
            "nothing",
            None,
            "nothing: no such file or directory: expected a directory with options.json and weights.hdf5",
        ),
        ("alone.hdf5", None, "alone.hdf5: expected its options too: an options.json beside it, or --options FILE"),
        ("bilm", "bilm/options.json", "bilm: expected a .hdf5 file beside an options file, received a directory"),
        ("empty", None, "empty: expected options.json and weights.hdf5 in it, or a trained model's weights"),
    ],
)
def test_sources_that_name_none(source: str, options: str | None, message: str, files: Path) -> None:
    (files / "empty").mkdir()
    with pytest.raises(WeightsSourceError, match=message):
        load_bilm(str(files / source), options and str(files / options))


def test_a_name_that_is_nearly_one_of_the_packages() -> None:
    with pytest.raises(WeightsSourceError, match=r"^start: no such file .* the name starter; did you mean starter\?$"):
        load_bilm("start")
    with pytest.raises(WeightsSourceError, match=r"the name starter$"):
        load_bilm(Path("start"))


def test_the_mix_of_an_archive(files: Path) -> None:
    mix = read_archive(files / "model.tar.gz").mix()
    torch.testing.assert_close(mix.weights(), MIX.weights())
    assert (mix.gamma.item(), mix.layer_norm, mix.gamma.requires_grad) == (2.0, "none", False)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (state(mix=None, layers="top"), "a.tar.gz: expected a learnt mix of layers, but the model uses layers 'top'"),
        (state(layer_norm="batch"), r"a.tar.gz: the mix normalises over the whole batch \(layer_norm batch\)"),
    ],
)
def test_mixes_that_cannot_be_used(tensors: dict, message: str, tmp_path: Path) -> None:
    found = read_archive(archive(tmp_path / "a.tar.gz", saved(tensors)))
    with pytest.raises(CheckpointError, match=message):
        found.mix()


class Evil:
    """Unpickling it would run a command."""

    def __reduce__(self) -> tuple:
        return os.system, ("touch evil",)


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (None, tarfile.REGTYPE, "expected a file weights.th in it, received none"),
        (b"", tarfile.SYMTYPE, "'weights.th' is no file or directory within the archive"),
        (b"", tarfile.LNKTYPE, "'weights.th' is no file or directory within the archive"),
        (b"nonsense", tarfile.REGTYPE, "weights.th: expected weights as PyTorch stores tensors: "),
        (saved({"a": Evil()}), tarfile.REGTYPE, "weights.th: expected tensors alone, received 'posix.system'"),
        (saved({"a": torch.ones(1)}), tarfile.REGTYPE, "expected a model with one embedder elmo_hdf5, this one has 0"),
        (
            saved({**state("a."), **state("b.")}),
            tarfile.REGTYPE,
            "expected a model with one embedder elmo_hdf5, this one has 2",
        ),
    ],
)
def test_archives_that_are_none_of_ours(
    content: bytes | None, kind: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = archive(tmp_path / "a.tar.gz", content, kind=kind)
    with pytest.raises((ArchiveError, CheckpointError), match=rf"a.tar.gz: {message}"):
        read_archive(path)
    assert [each.name for each in tmp_path.iterdir()] == ["a.tar.gz"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_layers": 10**9}, r"missing lstm\.layers\.2\.W_0 \(2, 10, 24\): the options describe a model that has it"),
        (
            {"dim": 10**9},
            r"lstm\.layers\.0\.W_0: expected shape \(2, 10, 4000000000\) by the options, received",
        ),
        ({"filters": [[1, 1]] * 200_000}, r"missing char_cnn\.convolutions\.3\.W_cnn"),
        ({"filters": [[1, 8]]}, r"char_cnn\.convolutions\.0\.W_cnn: expected shape \(1, 1, 3, 8\)"),
        ({"max_characters_per_token": 10**9}, "expected 3 .* to 1000, received 1000000000"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_description_that_its_tensors_cannot_fill_is_refused(
    change: dict, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = state()
    raw = random_bilm().options.to_dict()
    for part in raw.values():
        part.update({key: value for key, value in change.items() if key in part})
    tensors["embedder._extra_state"] = state(options=raw)["embedder._extra_state"]
    found = read_archive(archive(tmp_path / "a.tar.gz", saved(tensors)))
    monkeypatch.setattr(Bilm, "__init__", lambda *_, **__: pytest.fail("built"))
    with pytest.raises(ElmoTaggerError, match=message):
        found.bilm()


def test_older_weights_are_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(state(), buffer, _use_new_zipfile_serialization=False)
    bilm = load_bilm(archive(tmp_path / "a.tar.gz", buffer.getvalue()))
    assert weights_hash(bilm) == weights_hash(random_bilm())


@pytest.mark.parametrize("cut", [20, 2000, 9000])
def test_an_archive_that_is_cut_off(cut: int, files: Path) -> None:
    path = files / "model.tar.gz"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ArchiveError, match=r"model.tar.gz: expected a complete archive \(model.tar.gz\): "):
        read_archive(path)


def test_a_hash_of_weights_tells_weights_and_options_apart() -> None:
    other = random_bilm()
    with torch.no_grad():
        other.lstm.layers[1].B[0, 0] += 1e-6
    skipping = random_bilm()
    options = skipping.options.to_dict()
    options["lstm"]["use_skip_connections"] = False
    skipping.options = type(skipping.options).from_dict(options)
    prints = {weights_hash(bilm) for bilm in (random_bilm(), random_bilm(seed=1), other, skipping)}
    assert len(prints) == 4
    assert weights_hash(random_bilm()) in prints
