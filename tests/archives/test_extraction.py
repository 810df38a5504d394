"""An archive cannot write, link, grow or hide anything; whatever it tries, no folder stays behind."""

import gzip
import io
import random
import resource
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from elmo_tagger.archives import ArchiveError, open_archive
from elmo_tagger.errors import ElmoTaggerError

CONFIG = b'{"dataset_reader": {"type": "conll_columns"}, "model": {"type": "elmo_bilstm_crf"}}'


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Temporary folders go to one of the test's own, which is empty in the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def tar(*members: tuple[str, bytes] | tarfile.TarInfo, **options: object) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **options) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def info(name: str, **attributes: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    for key, value in attributes.items():
        setattr(member, key, value)
    return member


def whole() -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": torch.arange(50.0)}, buffer)
    members = [("config.json", CONFIG), ("weights.th", buffer.getvalue()), ("vocabulary/labels.txt", b"O\nB-PER\n")]
    return gzip.compress(tar(*members), mtime=0)


def contents(archive: bytes | Path) -> tuple:
    with open_archive(archive) as opened:
        labels = (opened.directory / "vocabulary" / "labels.txt").read_bytes()
        return opened.config(), {name: value.tolist() for name, value in opened.weights().items()}, labels


def test_bytes_a_file_and_a_folder_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(whole())
    with tarfile.open(tmp_path / "model.tar.gz") as archive:
        archive.extractall(tmp_path / "run", filter="data")
    assert contents(whole()) == contents(tmp_path / "model.tar.gz") == contents(tmp_path / "run")


def test_every_flipped_bit_is_seen_or_does_nothing() -> None:
    archive = whole()
    expected, generator, refused = contents(archive), random.Random(0), 0
    for _ in range(200):
        damaged = bytearray(archive)
        damaged[generator.randrange(len(archive))] ^= 1 << generator.randrange(8)
        try:
            assert contents(bytes(damaged)) == expected
        except ArchiveError:
            refused += 1
    assert refused > 150


def test_an_archive_cut_anywhere_is_refused() -> None:
    archive = whole()
    for length in range(0, len(archive) - 1, 37):
        with pytest.raises(ArchiveError, match="the archive: expected a complete archive"):
            contents(archive[:length])


HOSTILE = {
    "a path upwards": (lambda: tar(("../x", b"x")), r"'\.\./x' is no file or directory within"),
    "a path upwards inside": (lambda: tar(("a/../../x", b"x")), "is no file or directory within"),
    "an absolute path": (lambda: tar(("/tmp/elmo_tagger_escaped", b"x")), "is no file or directory within"),
    "a path of Windows": (lambda: tar(("..\\x", b"x")), "is no name of a file"),
    "a symbolic link": (
        lambda: tar(info("config.json", type=tarfile.SYMTYPE, linkname="/etc/hostname")),
        r"'config\.json' is no file or directory within",
    ),
    "a hard link": (
        lambda: tar(("a", b"x"), info("config.json", type=tarfile.LNKTYPE, linkname="a")),
        "is no file or directory within",
    ),
    "a device": (lambda: tar(info("config.json", type=tarfile.CHRTYPE)), "is no file or directory within"),
    "a pipe": (lambda: tar(info("config.json", type=tarfile.FIFOTYPE)), "is no file or directory within"),
    "a name without end": (lambda: tar(("x" * 20_000, b"")), f"^the archive: '{'x' * 79}…' is no name of a file"),
    "a name that fills memory": (lambda: tar(("x" * 2**21, b"")), "expected headers of at most 1048576 bytes"),
    "a deep path": (lambda: tar(("a/" * 2000 + "x", b"")), "is no name of a file"),
    "a file in a file": (lambda: tar(("a", b"x"), ("a/b", b"x")), "expected a complete archive"),
    "more files than a model has": (lambda: tar(*[(str(n), b"") for n in range(10_001)]), "at most 10000 files"),
    "less than its header promises": (lambda: cut(tar(("config.json", CONFIG)), 540), "expected a complete archive"),
    "more than there is room for": (lambda: promising(2**60), "unpacked it takes at least 1,099,511,627,776 MiB, but"),
    "a negative size": (lambda: promising(-512), "expected a size, received -512|leads back|expected a complete"),
    "data after its end": (lambda: tar(("config.json", CONFIG)) + b"more", "expected the end of the archive"),
    "zeros without end": (lambda: tar(("config.json", CONFIG)) + bytes(2**22), "expected the end of the archive"),
    "no tar": (lambda: b"x" * 5000, "expected a complete archive"),
    "nothing": (lambda: b"", "expected a complete archive"),
}


def cut(content: bytes, length: int) -> bytes:
    return content[:length]


def promising(size: int) -> bytes:
    """An archive whose one member has another size than its header says."""
    return info("config.json", size=size).tobuf(tarfile.GNU_FORMAT) + bytes(1024)


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_one_line(case: str, tmp_path: Path) -> None:
    build: Callable[[], bytes]
    build, message = HOSTILE[case]
    with pytest.raises(ArchiveError, match=message) as caught, open_archive(gzip.compress(build())):
        pytest.fail("opened")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert not Path("/tmp/elmo_tagger_escaped").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip file", b"\x1f\x8b", b"config: yaml"])
def test_what_is_no_gzip_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(content)
    with pytest.raises(ArchiveError, match=r"model\.tar\.gz: expected a complete archive \(model\.tar\.gz\)"):
        contents(tmp_path / "model.tar.gz")


def test_a_disk_that_is_full_is_not_the_archives_fault(temporary: Path) -> None:
    """Others fill it after the sizes were looked at; here files end after 1,000 bytes."""
    archive = gzip.compress(tar(("config.json", bytes(5000))))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(ArchiveError) as caught, open_archive(archive):
            pytest.fail("opened")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    message = f"the archive: cannot be unpacked in {temporary}: File too large; TMPDIR names a folder with more room"
    assert str(caught.value) == message


def test_an_error_while_it_is_used_names_it_once() -> None:
    for message in ("model.encoder: is none", "the archive: model.encoder: is none", "the archive/config.json: bad"):
        with pytest.raises(ElmoTaggerError) as caught, open_archive(whole()):
            raise ElmoTaggerError(message)
        assert str(caught.value) == "the archive: " * (message[:3] != "the") + message


def test_an_error_while_it_is_used_leaves_no_folder() -> None:
    with pytest.raises(KeyError), open_archive(whole()):
        raise KeyError
