import io
import re

import pytest
from rich.console import Console

from elmo_tagger.cli import progress
from elmo_tagger.cli.progress import EmbeddingProgress
from elmo_tagger.vectors.sentences import InputSentence
from elmo_tagger.vectors.windows import Window


def window(first: int, words: int, end: int) -> Window:
    return Window(first, [InputSentence("", ["x"] * words, 0, 1, end)])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def shown(total: int | None, clock: list[float], **options: bool) -> str:
    """What a terminal shows at last."""
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=120, color_system=None)
    with EmbeddingProgress(total, console=console, **options) as bar:
        bar.advance(window(0, 500, 40), True)
        clock[0] += 2.0
        bar.advance(window(1, 300, 80), False)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue()).replace("\r", "\n").split("\n")[-2].strip()


def test_speed_counts_what_was_computed_in_this_run(clock: list[float]) -> None:
    line = shown(100, clock)
    assert line.startswith("2 sentences, 800 tokens, 150 tokens/s")
    assert re.search(r"━.* 80% +(\d|-):", line), "the share of the input and the time left"


def test_without_a_known_length_the_time_so_far(clock: list[float]) -> None:
    line = shown(None, clock)
    assert line.startswith("2 sentences, 800 tokens, 150 tokens/s")
    assert "%" not in line


def test_quiet(clock: list[float]) -> None:
    output = io.StringIO()
    with EmbeddingProgress(100, shown=False, console=Console(file=output, force_terminal=True)) as bar:
        bar.add(1, 2, position=50)
    assert output.getvalue().strip() == ""
