"""`elmo-tagger vocab` and `elmo-tagger export-bilm`."""

from __future__ import annotations

import json
import lzma
import resource
from pathlib import Path

import h5py
import pytest
import torch
from typer.testing import CliRunner

from elmo_tagger.cli.app import app
from tests.bilm.random_models import random_bilm

run = CliRunner().invoke


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.xz"
    path.write_bytes(lzma.compress(b"the cat sat\nthe dog\n\nthe cat\n"))
    return path


def test_vocab(text: Path, tmp_path: Path) -> None:
    out, counts = tmp_path / "vocab.txt", tmp_path / "counts.tsv"
    command = ["vocab", str(text), "-o", str(out), "--size", "5", "--counts", str(counts), "--quiet"]
    result = run(app, command)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{out}: 5 words, which cover 71.43% of 7 tokens (3 sentences, 4 distinct words)\n"
    assert out.read_text() == "<S>\n</S>\n<UNK>\nthe\ncat\n"
    assert counts.read_text() == "the\t3\ncat\t2\ndog\t1\nsat\t1\n"


def test_vocab_as_json(text: Path, tmp_path: Path) -> None:
    result = run(
        app, ["vocab", str(text), str(text), "-o", str(tmp_path / "v"), "--min-count", "4", "--json", "--quiet"]
    )
    facts = {"sentences": 6, "tokens": 14, "distinct_words": 4, "vocabulary": 5, "coverage": 10 / 14}
    assert json.loads(result.stdout) == facts


def test_vocab_of_standard_input(tmp_path: Path) -> None:
    result = run(app, ["vocab", "-", "-o", str(tmp_path / "v"), "--quiet"], input=b"the cat\nthe dog\n")
    assert (result.exit_code, result.stderr) == (0, "")
    assert (tmp_path / "v").read_text() == "<S>\n</S>\n<UNK>\nthe\ncat\ndog\n"


def test_vocab_shows_what_larger_sizes_would_cover(tmp_path: Path) -> None:
    (tmp_path / "text").write_text(" ".join(f"w{number}" for number in range(2000)))
    result = run(app, ["vocab", str(tmp_path / "text"), "-o", str(tmp_path / "v"), "--quiet"])
    assert result.stdout.splitlines()[1:] == ["words  coverage %", "1,000       50.00"]


def test_vocab_of_bad_text(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"the cat\nthe \xff\n")
    result = run(app, ["vocab", str(tmp_path / "text"), "-o", str(tmp_path / "v"), "--quiet"])
    assert result.exit_code == 2
    assert f"error: {tmp_path / 'text'}:2: invalid utf-8: byte 0xff at offset 12 of the file" in result.stderr
    assert not (tmp_path / "v").exists()
    result = run(app, ["vocab", str(tmp_path / "none"), "-o", str(tmp_path / "v")])
    assert (result.exit_code, result.stderr) == (2, f"error: {tmp_path / 'none'}: No such file or directory\n")


def test_export(tmp_path: Path) -> None:
    random_bilm().save(tmp_path / "run")
    sizes = {}
    for option, dtype in (([], "float32"), (["--float16"], "float16")):
        result = run(app, ["export-bilm", str(tmp_path / "run"), str(tmp_path / "out"), "--force", *option])
        weights, options = tmp_path / "out" / "weights.hdf5", tmp_path / "out" / "options.json"
        sizes[dtype] = weights.stat().st_size
        assert result.stdout == (
            f"{weights}: {sizes[dtype]:,} bytes, {dtype}\n{options}: {options.stat().st_size:,} bytes\n"
        )
        with h5py.File(weights) as file:
            assert file["char_embed"].dtype == dtype
    assert sizes["float16"] < sizes["float32"]


def test_export_of_what_is_no_training(tmp_path: Path) -> None:
    result = run(app, ["export-bilm", str(tmp_path / "none"), str(tmp_path / "out")])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {tmp_path / 'none'}: no such file or directory: expected a directory with")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", ["", "reference"])
def test_doctor_says_what_computes_here_and_whether_it_agrees(path: str) -> None:
    result = run(app, ["doctor"], env={"ELMO_TAGGER_PATH": path})
    assert result.exit_code == 0, result.output
    found = dict(line.strip().split(": ", 1) for line in result.output.splitlines())
    assert found["torch"] == torch.__version__.partition("+")[0]
    assert found["ELMO_TAGGER_PATH"] == (path or "not set")
    assert found["path"] == (path or "cpu")
    assert found["check"] == "agrees with the reference"
    assert found["speed"].endswith(" tokens a second with the starter")


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    """With HDF5 it took a crash of the process instead."""
    random_bilm().save(tmp_path / "run")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        result = run(app, ["export-bilm", str(tmp_path / "run"), str(tmp_path / "out")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (result.exit_code, result.stderr) == (2, f"error: {tmp_path}/out/weights.hdf5: File too large\n")
    assert not list(tmp_path.glob("**/*.hdf5.*"))
