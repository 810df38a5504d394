"""Weight files: round trips, and a message for each way in which one can be wrong."""

from __future__ import annotations

import json
import re

import h5py
import numpy as np
import pytest
import torch

from elmo_tagger.bilm import Bilm, Options, WeightsError, encode_sentences
from tests.bilm.random_models import named_weights, random_bilm, raw_options

CELL = "RNN_1/RNN/MultiRNNCell/Cell1/LSTMCell"


@pytest.fixture
def saved(tmp_path):
    """Options and weights of a random biLM, as files."""
    random_bilm().save(tmp_path)
    return tmp_path / "options.json", tmp_path / "weights.hdf5"


def test_saved_and_loaded_is_equal_to_the_bit(saved):
    bilm = random_bilm()
    again = Bilm.load(*saved, stateful=True, max_tokens_per_pass=5)
    assert (again.options, again.stateful, again.max_tokens_per_pass) == (bilm.options, True, 5)
    ours, theirs = bilm.state_dict(), again.state_dict()
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        assert torch.equal(values, theirs[name]), name


def test_the_file_has_the_original_layout(saved):
    expected = named_weights(random_bilm())
    with h5py.File(saved[1]) as file:
        found = {}
        file.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == np.float32
    shapes = {name: values.shape for name, values in found.items()}
    assert shapes["char_embed"] == (261, 3)
    assert shapes["CNN/W_cnn_1"] == (1, 3, 3, 4)
    assert shapes["CNN_high_0/W_carry"] == (8, 8)
    assert shapes["CNN_proj/W_proj"] == (8, 5)
    assert shapes[f"{CELL}/W_0"] == (10, 24)
    assert shapes[f"{CELL}/W_P_0"] == (6, 5)
    assert shapes[f"{CELL}/B"] == (24,)


def test_the_state_dict_makes_an_equal_model():
    """As in an archive: options and tensors, no .hdf5 file."""
    bilm = random_bilm()
    again = Bilm(Options.from_dict(bilm.options.to_dict())).requires_grad_(False)
    again.load_state_dict(bilm.state_dict())
    ids = torch.from_numpy(encode_sentences([["a", "b"]], max_characters=12))
    for layer, values in bilm(ids).layers.items():
        assert torch.equal(values, again(ids).layers[layer])


def test_half_precision_halves_the_values(tmp_path):
    bilm = random_bilm()
    bilm.save(tmp_path, dtype="float16")
    with h5py.File(tmp_path / "weights.hdf5") as file:
        assert file["char_embed"].dtype == np.float16
    again = Bilm.load(tmp_path / "options.json", tmp_path / "weights.hdf5")
    for name, values in bilm.state_dict().items():
        assert again.state_dict()[name].dtype == torch.float32
        assert torch.equal(again.state_dict()[name], values.half().float())


def test_big_endian_and_double_precision_are_read(saved):
    with h5py.File(saved[1], "r+") as file:
        values = file["char_embed"][()]
        del file["char_embed"]
        file["char_embed"] = values.astype(">f8")
    assert torch.equal(Bilm.load(*saved).char_cnn.char_embed, random_bilm().char_cnn.char_embed)


def test_what_a_type_cannot_hold_is_refused(tmp_path):
    bilm = random_bilm()
    bilm.char_cnn.b_proj[0] = 1e6
    with pytest.raises(ValueError, match=r"^char_cnn.b_proj has values that are not finite in float16$"):
        bilm.save(tmp_path, dtype="float16")
    with pytest.raises(ValueError, match=r"^dtype: expected one of float32, float16, received 'int8'$"):
        bilm.save(tmp_path, dtype="int8")
    assert list(tmp_path.iterdir()) == []


def test_an_omitted_projection_of_equal_width_is_the_identity(tmp_path):
    raw = raw_options(projection_dim=8)
    bilm = random_bilm(raw)
    with torch.no_grad():
        bilm.char_cnn.W_proj.copy_(torch.eye(8))
        bilm.char_cnn.b_proj.zero_()
    bilm.save(tmp_path)
    with h5py.File(tmp_path / "weights.hdf5", "r+") as file:
        del file["CNN_proj"]
    again = Bilm.load(tmp_path / "options.json", tmp_path / "weights.hdf5")
    for name, values in bilm.state_dict().items():
        assert torch.equal(values, again.state_dict()[name]), name


def break_missing(file):
    del file["CNN/b_cnn_0"], file[f"{CELL}/W_0"]


def break_projection(file):
    del file["CNN_proj"]


def break_unused(file):
    file["CNN_high_1/W_carry"] = np.zeros((8, 8), "f4")


def break_shape(file):
    del file["char_embed"]
    file["char_embed"] = np.zeros((261, 4), "f4")


def break_rows(file):
    del file["char_embed"]
    file["char_embed"] = np.zeros((262, 3), "f4")


def break_kind(file):
    del file["char_embed"]
    file["char_embed"] = np.zeros((261, 3), "i4")


def break_nan(file):
    file[f"{CELL}/B"][3] = np.nan
    file[f"{CELL}/B"][4] = np.inf


def break_external(file):
    del file["char_embed"]
    file["char_embed"] = h5py.ExternalLink("other.hdf5", "/secret")


def break_external_group(file):
    del file["CNN_proj"]
    file["CNN_proj"] = h5py.ExternalLink("other.hdf5", "/")


def break_soft(file):
    file["CNN/W_cnn_9"] = h5py.SoftLink("/char_embed")


def break_storage(file):
    del file["char_embed"]
    file.create_dataset("char_embed", (261, 3), "f4", external=[("elsewhere.bin", 0, 261 * 3 * 4)])


def break_virtual(file):
    del file["char_embed"]
    layout = h5py.VirtualLayout((261, 3), "f4")
    layout[:] = h5py.VirtualSource("other.hdf5", "secret", (261, 3))
    file.create_virtual_dataset("char_embed", layout)


def break_type(file):
    del file["char_embed"]
    file["char_embed"] = np.zeros((261, 3), np.longdouble)


def break_promise(file):
    del file["char_embed"]
    file.create_dataset("char_embed", (261, 3), "f4", chunks=(261, 3))  # nothing is written


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (break_type, "{path}: char_embed: expected floating-point values, received " + str(np.dtype(np.longdouble))),
        (break_promise, "{path}: char_embed: expected (261, 3) values, received none"),
        (
            break_missing,
            "{path}: missing CNN/b_cnn_0 (2,), " + CELL + "/W_0 (10, 24): the options describe a model that has them",
        ),
        (
            break_projection,
            "{path}: missing CNN_proj/W_proj (8, 5), CNN_proj/b_proj (5,): the options describe a model that has them",
        ),
        (break_unused, "{path}: not used CNN_high_1/W_carry (8, 8): the options describe a model without them"),
        (break_shape, "{path}: char_embed: expected shape (261, 3) by {options}, received (261, 4)"),
        (break_rows, "{path}: char_embed: expected shape (261, 3) by {options}, received (262, 3)"),
        (break_kind, "{path}: char_embed: expected floating-point values, received int32"),
        (break_nan, "{path}: " + CELL + "/B: 2 of 24 values are NaN or infinite: expected finite weights"),
        (
            break_external,
            "{path}: char_embed is a link to /secret of another file, other.hdf5: expected the values themselves",
        ),
        (
            break_external_group,
            "{path}: CNN_proj is a link to / of another file, other.hdf5: expected the values themselves",
        ),
        (break_soft, "{path}: CNN/W_cnn_9 is a soft link to /char_embed: expected the values themselves"),
        (break_storage, "{path}: char_embed keeps its values in another file: expected the values themselves"),
        (break_virtual, "{path}: char_embed keeps its values in another file: expected the values themselves"),
    ],
)
def test_a_wrong_file_is_named(saved, change, message):
    options, path = saved
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(WeightsError) as caught:
        Bilm.load(options, path)
    assert str(caught.value) == message.format(path=path, options=options)


def test_a_link_to_another_file_is_refused_though_the_file_is_there(saved):
    options, path = saved
    random_bilm(seed=1).save(path.parent / "other")
    with h5py.File(path, "r+") as file:
        del file["char_embed"]
        file["char_embed"] = h5py.ExternalLink(str(path.parent / "other" / "weights.hdf5"), "/char_embed")
    with pytest.raises(WeightsError, match="char_embed is a link to /char_embed of another file"):
        Bilm.load(options, path)


def test_a_cycle_of_groups_ends(saved):
    with h5py.File(saved[1], "r+") as file:
        file["CNN/again"] = file["/"]
    assert Bilm.load(*saved).options == random_bilm().options


def test_a_name_that_is_no_text_is_refused(saved):
    options, path = saved
    with h5py.File(path, "r+") as file:
        h5py.h5g.create(file.id, b"\xff\xfe")
        h5py.h5o.link(file["char_embed"].id, file.id, b"CNN/\xff")
    with pytest.raises(WeightsError, match=r"weights\.hdf5: b'\S+': expected the names that bilm-tf gives$") as caught:
        Bilm.load(options, path)
    assert str(caught.value).isascii()


def test_two_thousand_nested_groups_are_refused(saved):
    options, path = saved
    with h5py.File(path, "r+") as file:
        group = file
        for _ in range(2000):
            group = group.create_group("g")
        group["x"] = np.zeros(1, "f4")
    with pytest.raises(WeightsError, match=r"weights\.hdf5: expected at most 10 groups in each other"):
        Bilm.load(options, path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_layers": 10**9}, r"missing RNN_0/RNN/MultiRNNCell/Cell2/LSTMCell/W_0 \(10, 24\), .*, \.\.\.: the options"),
        ({"dim": 10**9}, r"W_0: expected shape \(10, 4000000000\) by"),
        ({"projection_dim": 10**9}, r"W_proj: expected shape \(8, 1000000000\) by"),
        ({"filters": [[1, 1]] * 200_000}, "missing CNN/W_cnn_3"),
        ({"n_highway": 10**9}, "missing CNN_high_1/W_carry"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_sizes_without_weights_are_refused_before_anything_is_allocated(change, message, saved, monkeypatch):
    options, path = saved
    raw = json.loads(options.read_text())
    for part in raw.values():
        part.update({key: value for key, value in change.items() if key in part})
    options.write_text(json.dumps(raw))
    monkeypatch.setattr(Bilm, "__init__", lambda *_, **__: pytest.fail("built"))
    with pytest.raises(WeightsError, match=message) as caught:
        Bilm.load(options, path)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_file_cut_short(saved, share):
    options, path = saved
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        WeightsError, match=f"^{re.escape(str(path))}: expected an HDF5 file with the weights of a biLM: "
    ):
        Bilm.load(options, path)


def test_a_file_of_another_kind(saved):
    options, _ = saved
    with pytest.raises(WeightsError, match=r"options.json: expected an HDF5 file with the weights of a biLM"):
        Bilm.load(options, options)


def test_a_missing_file(saved):
    with pytest.raises(FileNotFoundError, match=r"nowhere.hdf5"):
        Bilm.load(saved[0], saved[1].parent / "nowhere.hdf5")


def test_an_interrupted_save_leaves_the_old_file(saved, monkeypatch):
    before = saved[1].read_bytes()

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(h5py.Group, "create_dataset", fail)
    with pytest.raises(OSError, match="disk full"):
        random_bilm(seed=1).save(saved[1].parent)
    assert saved[1].read_bytes() == before
    assert sorted(path.name for path in saved[1].parent.iterdir()) == ["options.json", "weights.hdf5"]
