from __future__ import annotations

from collections import Counter

import pytest

from elmo_tagger.cli.terminal import Page, print_json, warn


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


SCORES = ["type", "conlleval P", "R", "F1", "strict P", "R", "F1", "gold", "found", "correct"]
ROWS = [
    ("PER", *[100.0] * 6, 1_617, 1_620, 1_598),
    ("overall (micro)", 92.25, 92.5, 0.0, 91.11, 90.01, 90.55, 5_648, 5_701, 5_210),
]


def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, *table, **options) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    capsys.readouterr()
    Page(rich=True).table(*table, **options)
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [200, 80, 60, 30])
def test_no_number_is_cut_on_a_narrow_page(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = Counter(printed(capsys, monkeypatch, width, SCORES, ROWS).split())
    shown = [f"{value:.2f}" if isinstance(value, float) else f"{value:,}" for row in ROWS for value in row[1:]]
    assert {each: words[each] for each in shown} == Counter(shown)


@pytest.mark.parametrize("rich", [True, False])
def test_a_terminal_is_not_steered_by_what_it_shows(rich: bool, capsys: pytest.CaptureFixture[str]) -> None:
    page = Page(rich=rich)
    hostile = "\x1b]0;title\x07\x1b[2J"
    page.heading(hostile)
    page.line(hostile)
    page.table(["a", "b"], [(hostile, 1)])
    page.histogram([(hostile, 1)])
    warn(hostile)
    out, err = capsys.readouterr()
    assert out.count(r"\x1b]0;title\x07\x1b[2J") == 4
    assert "\x07" not in out + err
    assert "\x1b[2J" not in out + err


@pytest.mark.parametrize("width", [80, 60])
def test_paths_keep_a_width_to_be_read_in(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/data/corpora/conll2003/eng.train"
    header = ["file", "columns", "scheme", "sentences", "tokens", "entities"]
    out = printed(
        capsys,
        monkeypatch,
        width,
        header,
        [(path, "tokens labels labels tags", "IOB1", 14_041, 203_621, 23_499)],
        left=3,
    )
    assert path[:24] in out
    assert {"14,041", "203,621", "23,499"} <= set(out.split())


def test_a_page_narrower_than_a_number_shows_the_whole_number(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "12,345,678" in printed(capsys, monkeypatch, 8, ["t", "n"], [("a", 12_345_678)])


def test_json_keeps_every_character(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": "ü"})
    assert capsys.readouterr().out == '{\n  "a": "ü"\n}\n'


@pytest.mark.parametrize("rich", [False, True])
def test_a_table_neither_steers_the_terminal_nor_fills_it(rich: bool, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b[2J\u202e" + "L" * 20_000
    Page(rich=rich).table(["", hostile], [(hostile, hostile)])
    out = capsys.readouterr().out
    assert not {"\x1b", "\u202e"} & set(out)
    assert r"\x1b[2J\u202e" in out
    assert len(out) < 10_000
