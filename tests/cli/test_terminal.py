from __future__ import annotations

import pytest

from elmo_tagger.cli.terminal import Page, print_json


def test_piped_text_is_plain_and_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    page = Page()  # standard output is captured, so no terminal
    page.heading("Things [bold]")
    page.table(["name", "n", "share"], [("a", 1, 0.5), ("longer", 12345, 100.0)])
    assert capsys.readouterr().out == (
        "\nThings [bold]\nname         n   share\na            1    0.50\nlonger  12,345  100.00\n"
    )


def test_histogram(capsys: pytest.CaptureFixture[str]) -> None:
    Page(rich=False).histogram([("1", 8), ("2-3", 4), ("4+", 1), ("9+", 0)], width=4)
    assert capsys.readouterr().out.splitlines() == [
        "  1          8  ████",
        "2-3          4  ██",
        " 4+          1  ▌",
        " 9+          0",
    ]
    Page(rich=False).histogram([("1", 0)])
    assert capsys.readouterr().out == "1          0\n"


def test_on_a_terminal_text_is_never_taken_for_markup(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    page = Page(rich=True)
    page.line("[red]not red[/red] :smile:", style="yellow")
    page.table(["phrase", "n"], [("[/x] [bold]", 3), ("y" * 80, 4)])
    out = capsys.readouterr().out
    assert "[red]not red[/red] :smile:" in out
    assert "[/x] [bold]" in out
    assert out.replace("\n", "").count("y") == 80, "long cells are folded, not cut"


def test_json_keeps_every_character(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": "ü"})
    assert capsys.readouterr().out == '{\n  "a": "ü"\n}\n'
