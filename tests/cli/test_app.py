from __future__ import annotations

import subprocess
import sys
from typing import Annotated, get_args, get_origin, get_type_hints

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


def test_a_number_out_of_range_is_refused_by_the_name_of_its_option() -> None:
    result = run(app, ["tag", "en", "--min-confidence", "90"])
    assert result.exit_code == 2
    assert "--min-confidence" in result.stderr
    assert "min_confidence" not in result.stderr
    unbounded = [
        (command.name, name)
        for command in app.registered_commands
        for name, hint in get_type_hints(command.callback, include_extras=True).items()
        if get_origin(hint) is Annotated and {int, float} & {get_args(hint)[0], *get_args(get_args(hint)[0])}
        if get_args(hint)[1].min is None and not name.endswith("_column")  # which may count from the end
    ]
    assert unbounded == []


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
