"""What users of the `allennlp` command see when something is wrong: the reason, and no traceback."""

import json
import re
import shutil
import subprocess
from argparse import Namespace
from pathlib import Path

import pytest
from allennlp.commands import predict
from allennlp.common.checks import ConfigurationError
from allennlp.common.util import SigTermReceived
from torch.multiprocessing import ProcessRaisedException

from elmo_tagger.plugin.compat.starting import run_folder
from elmo_tagger.plugin.plain_errors import INTERRUPTED, message_of
from elmo_tagger.text.files import DataError
from tests.plugin.conftest import tagger_config


def test_bad_data_ends_a_training_with_file_and_line(
    commands: Path, bilm_files: dict[str, str], tmp_path: Path
) -> None:
    data = tmp_path / "train.conll"
    data.write_text("Emma B-PER\nflew\n")
    (tmp_path / "config.json").write_text(json.dumps(tagger_config(bilm_files, str(data))))
    command = [commands / "allennlp", "train", "config.json", "-s", "run", "--include-package", "elmo_tagger.plugin"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr + result.stdout
    assert f"error: {data}:2: 1 column, expected 2" in result.stderr.splitlines()[-1]
    assert " INFO " not in result.stderr + result.stdout
    assert not (tmp_path / "run").exists(), "the same command can be typed again"


def test_bad_input_ends_a_prediction_with_its_number(commands: Path, archive: Path, tmp_path: Path) -> None:
    shutil.copy(archive / "model.tar.gz", tmp_path)
    (tmp_path / "in.jsonl").write_text('{"text": "Emma flew."}\n\nEmma flew.\n')
    options = ["--include-package", "elmo_tagger.plugin", "--output-file", "out.jsonl"]
    command = [commands / "allennlp", "predict", "model.tar.gz", "in.jsonl", *options]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    (error,) = result.stderr.splitlines()
    assert error.startswith("error: input 2 (lines that are blank not counted): no JSON")
    # What was predicted before is printed and kept, as JSON alone.
    (line,) = result.stdout.splitlines()
    assert line == (tmp_path / "out.jsonl").read_text().rstrip("\n")
    assert json.loads(line)["text"] == "Emma flew."


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DataError("a.conll:3: bad"), "a.conll:3: bad"),
        (ConfigurationError("typo"), "typo"),
        (FileNotFoundError(2, "No such file", "x"), "[Errno 2] No such file: 'x'"),
        (KeyboardInterrupt(), INTERRUPTED),
        (SigTermReceived(), INTERRUPTED),
        (ZeroDivisionError("a bug keeps its traceback"), None),
        (ProcessRaisedException("\n-- Process 1\nTrace\nelmo_tagger.text.files.DataError: a:3: bad", 1, 1), "a:3: bad"),
        (ProcessRaisedException("\n-- Process 1\nTrace\nZeroDivisionError: division by zero", 1, 1), None),
    ],
)
def test_messages_of_data_and_configs_are_plain(error: BaseException, message: object) -> None:
    assert message_of(error) == message


@pytest.mark.parametrize("saved", [False, True])
def test_an_interrupted_training_says_whether_there_is_something_to_go_on_with(saved: bool, tmp_path: Path) -> None:
    def train_model() -> None:
        with run_folder(tmp_path / "run", recover=False, force=False):
            (tmp_path / "run").mkdir()
            if saved:
                (tmp_path / "run" / "metrics_epoch_0.json").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        train_model()
    assert message_of(caught.value) == "interrupted; " + (
        "a training goes on with the same command and --recover" if saved else "nothing was saved yet"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            '{"min_confidence": 0.8',
            r"^--predictor-args: expected a JSON object, received '\{\"min_confidence\": 0.8' \(",
        ),
        (
            '{"min_confidenc": 0.8}',
            r"^--predictor-args: EntitiesPredictor.* unexpected keyword argument 'min_confidenc'$",
        ),
        ('{"min_confidence": 80}', "^min_confidence: expected a probability, 0 to 1, received 80$"),
    ],
)
def test_arguments_of_the_predictor_are_checked(archive: Path, given: str, message: str) -> None:
    with pytest.raises((ValueError, TypeError, ConfigurationError)) as caught:
        predict._get_predictor(
            Namespace(
                archive_file=str(archive / "model.tar.gz"),
                weights_file=None,
                cuda_device=-1,
                overrides="",
                predictor="entities",
                dataset_reader_choice="validation",
                file_friendly_logging=False,
                predictor_args=given,
            )
        )
    assert re.search(message, message_of(caught.value) or "")


def test_who_has_read_enough_is_told_nothing(commands: Path) -> None:
    program = "import sys; from elmo_tagger.plugin.plain_errors import print_plainly; sys.excepthook = print_plainly\n"
    program += "while True: print('x' * 1000)"
    with subprocess.Popen(
        [commands / "python", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
