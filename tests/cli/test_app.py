from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

import elmo_tagger
from elmo_tagger.cli.app import DataErrorGroup, app

run = CliRunner().invoke


@pytest.mark.parametrize("command", [[], ["check"], ["score"], ["compare"], ["convert"]])
def test_every_command_has_help(command: list[str]) -> None:
    result = run(app, [*command, "--help"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "--help" in result.stdout


def test_version_is_the_packages() -> None:
    assert run(app, ["--version"]).stdout == f"elmo-tagger {elmo_tagger.__version__}\n"


def failing(error: BaseException) -> typer.Typer:
    broken = typer.Typer(cls=DataErrorGroup, pretty_exceptions_enable=False)

    @broken.callback()
    def options(debug: bool = False) -> None:
        pass

    @broken.command()
    def fail() -> None:
        raise error

    return broken


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("a.conll:3: wrong"), "error: a.conll:3: wrong\n"),
        (FileNotFoundError(2, "No such file or directory", "a.conll"), "error: a.conll: No such file or directory\n"),
        (OSError("a.conll: cut off"), "error: a.conll: cut off\n"),
        (ValueError(), "error: ValueError\n"),
    ],
)
def test_errors_in_the_data_are_messages(error: Exception, message: str) -> None:
    result = run(failing(error), ["fail"])
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", message)
    assert run(failing(error), ["--debug", "fail"]).exception is error


def test_foreign_characters_in_a_message_do_not_steer_the_terminal() -> None:
    result = run(failing(ValueError("a\x1b[2J" + "x" * 10_000)), ["fail"])
    assert result.stderr.startswith(r"error: a\x1b[2Jxxx")
    assert len(result.stderr) < 2100


def test_an_interruption_is_one_line() -> None:
    result = run(failing(KeyboardInterrupt()), ["fail"])
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "interrupted\n")


def test_bugs_keep_their_trace() -> None:
    bug = KeyError("bug")
    assert run(failing(bug), ["fail"]).exception is bug


def test_the_command_starts_without_torch_or_allennlp() -> None:
    program = (
        "import sys\n"
        "from elmo_tagger.cli import main\n"
        "sys.argv = ['elmo-tagger', 'check', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('DRAGGED', sorted({'torch', 'allennlp', 'spacy', 'sklearn', 'numpy'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "DRAGGED []"
