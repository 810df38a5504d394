import io
import re

import pytest
from rich.console import Console

from elmo_tagger.cli import progress
from elmo_tagger.cli.progress import WorkProgress
from elmo_tagger.vectors.sentences import InputSentence
from elmo_tagger.vectors.windows import Window


def window(first: int, words: int, end: int) -> Window:
    return Window(first, [InputSentence("", ["x"] * words, 0, 1, 1, end)])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def shown(total: int | None, clock: list[float], *, skipped: bool = False) -> list[str]:
    """The lines that a terminal shows at last."""
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=120, color_system=None)
    with WorkProgress(total, where="cpu (2 threads)", console=console) as bar:
        bar.advance(window(0, 500, 40), True)
        clock[0] += 2.0
        bar.advance(window(1, 300, 80), skipped)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue()).replace("\r", "\n")
    return [line.strip() for line in text.strip().split("\n")]


def test_speed_counts_what_was_computed_in_this_run(clock: list[float]) -> None:
    *_, line, end = shown(100, clock)
    assert line.startswith("2 sentences, 800 tokens, 150 tokens/s")
    assert re.search(r"━.* 80% +(\d|-):", line), "the share of the input and the time left"
    assert end == "300 tokens in 2.0 s: 150 tokens/s on cpu (2 threads)"


def test_without_a_known_length_the_time_so_far(clock: list[float]) -> None:
    *_, line, _ = shown(None, clock)
    assert line.startswith("2 sentences, 800 tokens, 150 tokens/s")
    assert "%" not in line


def test_where_nothing_was_computed_no_speed_is_claimed(clock: list[float]) -> None:
    assert " on cpu" not in shown(100, clock, skipped=True)[-1]


def test_quiet_shows_no_progress(clock: list[float]) -> None:
    output = io.StringIO()
    with WorkProgress(100, where="cpu", shown=False, console=Console(file=output, force_terminal=True)) as bar:
        bar.add(1, 2, position=50)
    assert output.getvalue().strip() == ""
