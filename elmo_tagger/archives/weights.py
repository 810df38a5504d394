"""PyTorch's file of trained tensors, in both of its formats, read as data and checked to the last byte."""

from __future__ import annotations

import pickletools
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from elmo_tagger.archives.extraction import ArchiveError
from elmo_tagger.errors import shown

PICKLES = 5
"""The older format begins with as many: a magic number, a version, the machine, the tensors, the keys of their data."""

_NAMES = frozenset(
    {
        "collections OrderedDict",
        "torch._utils _rebuild_parameter",
        "torch._utils _rebuild_tensor",
        "torch._utils _rebuild_tensor_v2",
    }
)
"""What a state dict is made of, beside the storages `torch FloatStorage` and the like."""


def read_weights(path: str | Path, *, name: str | None = None) -> dict[str, Tensor]:
    """The tensors of a file that `torch.save` wrote of a state dict, on the CPU.

    A zip file (PyTorch 1.6 and later) is mapped into memory, not copied; its checksums are compared all the same. The
    older format is read as a whole; it has no checksums. Nothing that the file says is executed: it may name tensors
    and dictionaries alone.

    Args:
        path: The file.
        name: Of the file, for messages; by default its path.

    Raises:
        ArchiveError: It is damaged, or holds anything else than strings and their tensors.
        OSError: It cannot be read.
    """
    path, name = Path(path), str(path) if name is None else name
    with path.open("rb") as file:
        zipped = zipfile.is_zipfile(file)
    try:
        for pickled in _zipped_pickles(path, name) if zipped else _older_pickles(path):
            _check_names(pickled, name)
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except ArchiveError:
        raise
    except Exception as error:  # a damaged pickle fails in any way that its instructions can
        lines = str(error).splitlines() or [type(error).__name__]
        raise ArchiveError(f"{name}: expected weights as PyTorch stores tensors: {lines[0][:200]}") from error
    return _checked(state, name)


def check_sums(path: str | Path) -> None:
    """Compares the checksums of a zip file, which PyTorch does not look at when it reads tensors.

    Raises:
        ArchiveError: One is wrong, the file is cut off, or it is no zip file.
        OSError: It cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as file:
            _check_sums(file, str(path))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ArchiveError(f"{path}: damaged: {error}") from error


def _check_sums(file: zipfile.ZipFile, name: str) -> None:
    wrong = file.testzip()
    if wrong is not None:
        raise ArchiveError(f"{name}: damaged: the checksum of {shown(wrong)} is wrong")


def _zipped_pickles(path: Path, name: str) -> Iterator[BinaryIO]:
    """The pickle in a zip file, all of whose checksums are right."""
    with zipfile.ZipFile(path) as file:
        members = file.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ArchiveError(f"{name}: expected tensors as PyTorch stores them, received compressed ones")
        _check_sums(file, name)
        for member in members:
            if member.filename.rpartition("/")[2] == "data.pkl":
                with file.open(member) as pickled:
                    yield pickled  # type: ignore[misc]  # IO[bytes]


def _older_pickles(path: Path) -> Iterator[BinaryIO]:
    """The pickles in front of the data; the file stands at each in turn."""
    with path.open("rb") as file:
        for _ in range(PICKLES):
            yield file


def _check_names(pickled: BinaryIO, name: str) -> None:
    """Refuses a pickle that names anything but tensors; what it would do is read, not done."""
    for code, argument, _ in pickletools.genops(pickled):
        named = str(argument)
        if code.name == "GLOBAL":
            allowed = named in _NAMES or (named.startswith("torch ") and named.endswith("Storage"))
        else:
            # other instructions that take or make names
            allowed = code.name not in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4")
        if not allowed:
            raise ArchiveError(
                f"{name}: expected tensors alone, received {shown(named.replace(' ', '.'))}; nothing of it was run"
            )


def _checked(state: Any, name: str) -> dict[str, Tensor]:
    """The state dict, once it is one: strings and ordinary tensors, each with data of its own size."""
    if not isinstance(state, dict):
        raise ArchiveError(f"{name}: expected a dictionary of tensors, received {type(state).__name__}")
    for key, value in state.items():
        if not isinstance(key, str):
            raise ArchiveError(f"{name}: expected strings as keys, received {shown(key)} ({type(key).__name__})")
        if not isinstance(value, Tensor):
            raise ArchiveError(f"{name}: {shown(key)}: expected a tensor, received {type(value).__name__}")
        # a tensor without strides can claim any size
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise ArchiveError(f"{name}: {shown(key)}: expected data for {tuple(value.shape)}, received less")
    return {key: value.detach() for key, value in state.items()}
