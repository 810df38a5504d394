"""The command as a whole; what it computes is tested in tests/vectors."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from elmo_tagger import Bilm
from elmo_tagger.bilm import ScalarMix
from elmo_tagger.bilm.loading import checkpoint
from elmo_tagger.cli.app import app
from elmo_tagger.vectors.compute import SentenceVectors
from tests.bilm.random_models import random_bilm
from tests.vectors.test_ray import by_hand

ROOT = Path(__file__).parents[2]
BILM = ROOT / "fixtures" / "bilm"
TEXT = "Nell sat in Ashton .\n\nShe left .\nNell sat in Ashton .\n"


def run(*arguments: object, **options: object):
    return CliRunner().invoke(app, ["embed", "-q", *map(str, arguments)], **options)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "in.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def bilm() -> Bilm:
    return Bilm.load(BILM / "options.json", BILM / "weights.hdf5")


def trained(directory: Path, bilm: Bilm, mix: ScalarMix | None) -> Path:
    """The weights of a model with an embedder, as a training run leaves them."""
    description = {"options": bilm.options.to_dict(), "options_file": "gone", "weight_file": "gone", "static": {}}
    description.update(layers="top" if mix is None else "mix", layer_norm=mix.layer_norm if mix else None)
    state = {f"e.bilm.{name}": value for name, value in bilm.state_dict().items()}
    if mix is not None:
        state.update({f"e.scalar_mix_0.{name}": value for name, value in mix.state_dict().items()})
    state["e._extra_state"] = checkpoint.encode(description)
    torch.save(state, directory / "best.th")
    return directory


def test_to_a_file_and_on(text: Path, tmp_path: Path, bilm: Bilm) -> None:
    output = tmp_path / "out.hdf5"
    result = run(text, "--weights", BILM, "-o", output, "--layers", "top", "--dtype", "float16", "--device", "cpu")
    assert (result.exit_code, result.output) == (0, "")
    loud = ["embed", str(text), "--weights", str(BILM), "-o", str(tmp_path / "loud.hdf5"), "--device", "cpu"]
    said = CliRunner().invoke(app, loud).stderr
    assert re.search(r"^13 tokens in \d+\.\d s: \d+ tokens/s on cpu \(\d+ threads?\)$", said, re.MULTILINE)
    with h5py.File(output) as file:
        assert [file[str(number)].shape for number in range(4)] == [(5, 64), (0, 64), (3, 64), (5, 64)]
        assert file["0"].dtype == np.float16
        np.testing.assert_allclose(file["2"], bilm.embed(["She left ."]).lstm_outputs2[0], atol=2e-3)
        assert json.loads(file["sentence_to_index"][0]) == {"Nell sat in Ashton .": "3", "": "1", "She left .": "2"}

    result = run(text, "--weights", BILM, "-o", output)
    assert (result.exit_code, result.stderr) == (
        2,
        f"error: {output}: exists already: expected another name, or --force\n",
    )
    result = run(text, "--weights", BILM, "-o", output, "--layers", "top", "--dtype", "float16", "--resume")
    assert (result.exit_code, result.stderr) == (0, f"{output} is complete: nothing to resume\n")
    assert run(text, "--weights", BILM, "-o", output, "--force", "--forget-sentences").exit_code == 0
    with h5py.File(output) as file:
        assert file["0"].shape == (3, 5, 64)
        assert "sentence_to_index" not in file


@pytest.mark.parametrize("name", ["o.npy", "o.jsonl", "o.hdf5"])
def test_complete_work_is_said_to_be_complete(name: str, text: Path, tmp_path: Path) -> None:
    output = tmp_path / name
    assert run(text, "--weights", BILM, "--pool", "mean", "-o", output).exit_code == 0
    before = output.read_bytes()
    result = run(text, "--weights", BILM, "--pool", "mean", "-o", output, "--resume")
    assert (result.exit_code, result.stderr) == (0, f"{output} is complete: nothing to resume\n")
    assert output.read_bytes() == before


def test_a_complete_hdf5_of_other_settings_is_not_what_is_asked_for(text: Path, tmp_path: Path) -> None:
    random_bilm().save(tmp_path / "bilm")
    output = tmp_path / "out.hdf5"
    assert run(text, "--weights", BILM, "-o", output).exit_code == 0
    for arguments, message in (
        (["--weights", BILM, "--layers", "top"], "layers was 'all', is 'top'"),
        (["--weights", tmp_path / "bilm"], "weights was '"),
    ):
        result = run(text, *arguments, "-o", output, "--resume")
        assert (result.exit_code, f"error: the earlier run had other settings: {message}" in result.stderr) == (2, True)


def test_json_lines_to_standard_output(text: Path, bilm: Bilm) -> None:
    result = run(text, "--weights", BILM, "--pool", "mean", "--layers", "average")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["index"], len(line["tokens"])) for line in lines] == [(0, 5), (1, 0), (2, 3), (3, 5)]
    expected = bilm.embed(TEXT.splitlines()).default
    np.testing.assert_allclose([line["vectors"] for line in lines], expected, atol=1e-5)


def test_standard_input_and_raw_text(bilm: Bilm) -> None:
    result = run("--weights", BILM, "--raw", "--layers", "0", input="Nell left. She\ncame back.")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["tokens"] for line in lines] == [["Nell", "left", "."], ["She", "came", "back", "."]]
    result = run("--weights", BILM, "--layout", "jsonl", input='{"tokens": ["a b"]}\n')
    assert [json.loads(line)["tokens"] for line in result.stdout.splitlines()] == [["a b"]]


def test_pooled_into_one_array(text: Path, tmp_path: Path, bilm: Bilm) -> None:
    assert (
        run(text, "--weights", BILM, "-o", tmp_path / "o.npy", "--pool", "first-last", "--layers", "2").exit_code == 0
    )
    array = np.load(tmp_path / "o.npy")
    vectors = bilm.embed(["She left ."]).lstm_outputs2[0]
    np.testing.assert_allclose(array[2], [*vectors[0], *vectors[2]], atol=1e-5)
    assert not array[1].any()


def test_a_trained_mix(text: Path, tmp_path: Path, bilm: Bilm) -> None:
    mix = ScalarMix(3, initial=[0.5, -1.0, 2.0], gamma=1.5)
    trained(tmp_path, bilm, mix)
    expected = bilm.embed(["She left ."], mix=mix).elmo[0].detach()
    for weights in ([], ["--weights", BILM]):
        result = run(text, "--mix", tmp_path, *weights)
        vectors = [json.loads(line)["vectors"] for line in result.stdout.splitlines()]
        np.testing.assert_allclose(vectors[2], expected, atol=1e-5)
    result = run(text, "--weights", tmp_path, "--layers", "top")
    vectors = [json.loads(line)["vectors"] for line in result.stdout.splitlines()]
    np.testing.assert_allclose(vectors[2], bilm.embed(["She left ."]).lstm_outputs2[0], atol=1e-5)
    result = run(text, "--mix", tmp_path, "--layers", "top")
    assert result.stderr == "error: --mix mixes all layers: expected no --layers beside it, received top\n"


def test_shared_out(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/vectors/test_ray.py runs Ray; here its part is played by this process."""
    monkeypatch.setattr("elmo_tagger.vectors.ray_job.with_ray", by_hand)
    arguments = [text, "--weights", BILM, "-o", tmp_path / "out", "--ray", "--layers", "top", "--batch-tokens", "2"]
    assert run(*arguments).exit_code == 0
    shards = sorted((tmp_path / "out").glob("*.hdf5"))
    found = {}
    for shard in shards:
        with h5py.File(shard) as file:
            found.update({name: values.shape for name, values in file.items()})
    del found["sentence_to_index"]
    assert len(shards) == 2
    assert found == {"0": (5, 64), "1": (0, 64), "2": (3, 64), "3": (5, 64)}
    result = run(*arguments)
    assert (result.exit_code, "left by an earlier run" in result.stderr) == (2, True)
    assert run(*arguments, "--resume").exit_code == 0


def test_a_file_that_is_not_utf_8(text: Path) -> None:
    text.write_bytes(b"fine\nM\xfcnchen\n")
    result = run(text, "--weights", BILM)
    assert result.exit_code == 2
    said = (
        f"error: {text}:2: invalid utf-8: byte 0xfc at offset 6 of the file, byte 2 of the line; it looks like cp1252"
    )
    assert said in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: expected --weights (a biLM) or --mix (a trained tagger)"),
        (["--weights", "nowhere"], "error: nowhere: no such file or directory: expected a directory with options.json"),
        (["--weights", BILM, "--layers", "9"], "error: layers: expected one of all, average, top, concat or a number"),
        (["--weights", BILM, "--pool", "sum"], "error: pooling: expected one of mean, max, first-last, received 'sum'"),
        (["--weights", BILM, "--precision", "int4"], "error: precision: expected one of float32, float16"),
        (["--weights", BILM, "--device", "gpu"], "error: device 'gpu': not available here"),
        (["--weights", BILM, "-o", "x.npy"], "error: x.npy: sentences differ in length: one .npy array needs --pool"),
    ],
)
def test_options_that_do_not_fit_are_one_line(arguments: list, message: str, text: Path) -> None:
    result = run(text, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize("windows", [0, 1])
def test_interrupted_by_the_keyboard(windows: int, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "o.hdf5"
    compute, done = SentenceVectors.__call__, []

    def interrupted(self: SentenceVectors, sentences: list) -> list:
        if len(done) == windows:
            raise KeyboardInterrupt
        done.append(sentences)
        return compute(self, sentences)

    monkeypatch.setattr(SentenceVectors, "__call__", interrupted)
    result = run(text, "--weights", BILM, "-o", output, "--batch-tokens", "1")
    left = f"what is done is in {output}.parts: continue with --resume" if windows else "nothing was written yet"
    assert (result.exit_code, result.stderr) == (130, f"interrupted: {left}\n")
    assert Path(f"{output}.parts").exists() is bool(windows)


@pytest.fixture
def same_bits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What else would decide the last bit of a product: the number of threads."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("same_bits")
def test_a_killed_process_is_continued_to_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("".join(f"w{n} saw w{n + 1} " * 4 + "\n" for n in range(400)))
    arguments = [str(tmp_path / "in.txt"), "--weights", str(BILM), "--batch-tokens", "40", "-o"]
    command = [sys.executable, "-c", "from elmo_tagger.cli import main; main()", "embed", "-q", *arguments]
    process = subprocess.Popen([*command, str(tmp_path / "out.hdf5")])
    while process.poll() is None and not list(tmp_path.glob("out.hdf5.parts/part-*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was still at work"
    assert run(*arguments, tmp_path / "out.hdf5", "--resume").exit_code == 0
    assert run(*arguments, tmp_path / "whole.hdf5").exit_code == 0
    assert (tmp_path / "out.hdf5").read_bytes() == (tmp_path / "whole.hdf5").read_bytes()


def test_it_starts_with_little_more_than_torch() -> None:
    program = (
        "import sys\n"
        "from elmo_tagger.cli import main\n"
        f"sys.argv = ['elmo-tagger', 'embed', '-q', '--pool', 'mean', '--weights', {str(BILM)!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'allennlp', 'spacy', 'sklearn', 'pandas', 'matplotlib', 'ray', 'scipy', 'sympy', 'torch._dynamo'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input="a b\n", capture_output=True, text=True, check=True, cwd=ROOT
    )
    line, dragged = done.stdout.splitlines()
    assert json.loads(line)["tokens"] == ["a", "b"]
    assert dragged == "[]"
