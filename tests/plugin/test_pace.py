"""The line that says how fast it went."""

import logging
import re
import subprocess
import sys

import pytest
import torch

from elmo_tagger.plugin import pace
from elmo_tagger.plugin.pace import Pace

LINE = r"(\d+) tokens in \d+\.\d s: \d+ tokens/s on cpu \(\d+ threads?\)"


class Clock:
    """Seconds that pass as told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace.time, "monotonic", clock)
    return clock


def test_a_line_now_and_then_and_one_at_the_end(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=pace.__name__)
    counted = Pace(torch.nn.Linear(1, 1))
    for _ in range(5):
        clock.now += 2.0  # reading, which does not count
        with counted.measure(300):
            clock.now += 3.0
    lines = [record.getMessage() for record in caplog.records]
    assert [re.fullmatch(LINE, line)[1] for line in lines] == ["600", "1200"]
    assert "600 tokens in 6.0 s: 100 tokens/s" in lines[0]
    del counted
    assert "1500 tokens in 15.0 s: 100 tokens/s" in caplog.records[-1].getMessage()


def test_nothing_done_nothing_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=pace.__name__)
    counted = Pace(torch.nn.Linear(1, 1))
    del counted
    assert not caplog.records


def test_the_last_line_comes_at_the_end_of_the_process() -> None:
    program = (
        "import importlib.util, logging, torch; logging.basicConfig(level=logging.INFO)\n"
        f"spec = importlib.util.spec_from_file_location('pace', {pace.__file__!r})\n"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "counted = module.Pace(torch.nn.Linear(1, 1))\n"
        "with counted.measure(7): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert re.search(LINE, done.stderr)[1] == "7"
