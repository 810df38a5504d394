"""`elmo-tagger serve` as a process."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from elmo_tagger.cli.app import app
from elmo_tagger.tagger import Tagger
from tests.serve.conftest import TEXT


def test_what_was_accepted_is_finished_before_the_process_ends(served_tagger: Tagger, tmp_path: Path) -> None:
    served_tagger.save(tmp_path / "model")
    code = "from elmo_tagger.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", str(tmp_path / "model"), "--port", "0", "--max-batch-tokens", "50"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(rf"serving {re.escape(str(tmp_path))}/model at http://127\.0\.0\.1:(\d+)\n", line)
        assert found, line
        body = json.dumps({"text": TEXT}).encode()
        with socket.create_connection(("127.0.0.1", int(found[1])), timeout=60) as accepted:
            head = f"POST /predict HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
            accepted.sendall(head.encode())
            assert accepted.recv(100).startswith(b"HTTP/1.1 100 ")
            process.send_signal(signal.SIGTERM)
            while is_listening(int(found[1])):
                time.sleep(0.05)
            accepted.sendall(body)
            with accepted.makefile("rb") as answer:
                received = answer.read()
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert received.startswith(b"HTTP/1.1 200 ")
    assert json.loads(received.partition(b"\r\n\r\n")[2]) == json.loads(json.dumps(served_tagger(TEXT).to_json()))


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except ConnectionError:
        return False
    return True


def test_an_address_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["serve", str(tmp_path), "--port", str(port)])
    assert result.exit_code == 2
    assert result.stderr == f"error: 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize("arguments", [["nowhere"], ["nowhere", "--ray"]])
def test_a_model_that_is_none_is_one_line(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["serve", *arguments, "--port", "0"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: nowhere: no such file or directory")
    assert result.stderr.count("\n") == 1


def test_the_containerfile_is_well_formed() -> None:
    """Its steps are run by the same script; see CONTRIBUTING.md."""
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, root / ".ci" / "container", "--syntax"], check=True)
