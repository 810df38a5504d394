"""A file of weights is data: whatever it holds, tensors come out of it or one line of an error."""

import io
import pickle
import random
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from elmo_tagger.archives import ArchiveError, read_weights

STATE = {"encoder.weight": torch.arange(12.0).reshape(3, 4), "gamma": torch.tensor(2.0)}


def saved(state: object, path: Path, *, zipped: bool = True) -> Path:
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    return path


def assert_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor] = STATE) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
@pytest.mark.parametrize("state", [STATE, OrderedDict(STATE), torch.nn.LSTM(3, 2).state_dict()], ids=type)
def test_both_formats_are_read(zipped: bool, state: dict, tmp_path: Path) -> None:
    assert_equal(read_weights(saved(state, tmp_path / "weights.th", zipped=zipped)), state)


def test_parameters_and_tied_tensors_are_read(tmp_path: Path) -> None:
    tied = torch.nn.Parameter(torch.ones(3))
    found = read_weights(saved({"a": tied, "b": tied, "c": tied[1:]}, tmp_path / "weights.th"))
    assert_equal(found, {"a": tied, "b": tied, "c": tied[1:]})
    assert not found["a"].requires_grad


def test_weights_outlive_their_file(tmp_path: Path) -> None:
    path = saved(STATE, tmp_path / "weights.th")
    weights = read_weights(path)
    path.unlink()
    assert_equal(weights)


class Calls:
    """Unpickled, it writes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return Path.touch, (self.target,)


EXPANDED = {"a": torch.zeros(1).expand(10**12)}
WRONG = {
    "a list": ([STATE], "expected a dictionary of tensors, received list"),
    "a tensor": (torch.zeros(2), "expected a dictionary of tensors, received Tensor"),
    "int keys": ({3: torch.zeros(2)}, r"expected strings as keys, received 3 \(int\)"),
    "a number": ({"a": 1.5}, "'a': expected a tensor, received float"),
    "a nested dictionary": ({"a": {"b": torch.zeros(2)}}, "'a': expected a tensor, received dict"),
    "an expanded tensor": (EXPANDED, r"'a': expected data for \(1000000000000,\), received less"),
    "a sparse tensor": ({"a": torch.eye(3).to_sparse()}, r"received 'torch\._utils\._rebuild_sparse_tensor'"),
    "a tensor without data": ({"a": torch.zeros(9, device="meta")}, r"_rebuild_meta_tensor_no_storage'; nothing"),
    "bytes of any size": ({"a": bytearray(3)}, r"expected tensors alone, received '__builtin__\.bytearray'"),
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
@pytest.mark.parametrize("case", WRONG)
def test_other_contents_are_one_line(case: str, zipped: bool, tmp_path: Path) -> None:
    state, message = WRONG[case]
    with pytest.raises(ArchiveError, match=f"^w.th: .*{message}") as caught:
        read_weights(saved(state, tmp_path / "weights.th", zipped=zipped), name="w.th")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
def test_nothing_is_run(zipped: bool, tmp_path: Path) -> None:
    path = saved({"a": Calls(tmp_path / "ran")}, tmp_path / "weights.th", zipped=zipped)
    with pytest.raises(ArchiveError, match=r"expected tensors alone, received .*; nothing of it was run"):
        read_weights(path)
    assert not (tmp_path / "ran").exists()


def test_an_allocation_is_refused_before_it_is_made(tmp_path: Path) -> None:
    """bytearray(10**12): PyTorch's own list of what is safe would have let it pass."""

    class Huge:
        def __reduce__(self) -> tuple:
            return bytearray, (10**12,)

    with pytest.raises(ArchiveError, match="bytearray"):
        read_weights(saved({"a": Huge()}, tmp_path / "weights.th"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected weights as PyTorch stores tensors"),
        (b"version https://git-lfs.github.com/spec/v1\n", "expected weights as PyTorch stores tensors"),
        (pickle.dumps({"a": 1}, protocol=2), "expected weights as PyTorch stores tensors"),
        (b"PK\x05\x06" + bytes(18), "expected weights as PyTorch stores tensors"),
    ],
    ids=["empty", "git-lfs", "pickle", "empty zip"],
)
def test_other_files_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "weights.th").write_bytes(content)
    with pytest.raises(ArchiveError, match=message):
        read_weights(tmp_path / "weights.th")


def test_compressed_tensors_are_refused(tmp_path: Path) -> None:
    """Mapped into memory they would be other numbers."""
    saved(STATE, tmp_path / "weights.th")
    with zipfile.ZipFile(tmp_path / "weights.th") as old, zipfile.ZipFile(tmp_path / "b.th", "w", 8) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    with pytest.raises(ArchiveError, match="received compressed ones"):
        read_weights(tmp_path / "b.th")


def test_every_flipped_bit_of_a_zip_is_seen_or_does_nothing(tmp_path: Path) -> None:
    content = saved(STATE, tmp_path / "weights.th").read_bytes()
    generator, refused = random.Random(0), 0
    for _ in range(300):
        damaged = bytearray(content)
        damaged[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        (tmp_path / "weights.th").write_bytes(damaged)
        try:
            assert_equal(read_weights(tmp_path / "weights.th"))
        except ArchiveError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
def test_a_torn_file_is_refused(zipped: bool, tmp_path: Path) -> None:
    content = saved(STATE, tmp_path / "weights.th", zipped=zipped).read_bytes()
    for length in range(0, len(content), 40):
        (tmp_path / "weights.th").write_bytes(content[:length])
        with pytest.raises(ArchiveError):
            read_weights(tmp_path / "weights.th")


def test_a_size_beyond_the_file_is_refused(tmp_path: Path) -> None:
    """The older format names the size of each storage before its data."""
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(77)}, buffer, _use_new_zipfile_serialization=False)
    content = buffer.getvalue()
    for place in [at for at in range(len(content) - 1) if content[at : at + 2] == b"K\x4d"]:  # BININT1 77
        claimed = content[:place] + b"J\xff\xff\xff\x7f" + content[place + 2 :]  # BININT 2**31 - 1
        (tmp_path / "weights.th").write_bytes(claimed)
        with pytest.raises(ArchiveError):
            read_weights(tmp_path / "weights.th")
