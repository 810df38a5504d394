import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from elmo_tagger import Bilm
from elmo_tagger.cli.app import app
from elmo_tagger.vectors.compute import Request, SentenceVectors
from elmo_tagger.vectors.neighbours import NoOccurrenceError, Occurrence, first_occurrences, nearest, occurrence_vectors
from tests.bilm.random_models import TOLERANCE, random_bilm

BILM = Path(__file__).parents[2] / "fixtures" / "bilm"
TEXT = "the cell was dark\nno word here\na cell of the cell wall\nthe Cell was dark\nthe cell was dark\n"


def cosine(first: list[float], second: list[float]) -> float:
    dot = sum(a * b for a, b in zip(first, second, strict=True))
    return dot / math.sqrt(sum(a * a for a in first)) / math.sqrt(sum(b * b for b in second))


def test_nearest_equals_plain_python() -> None:
    vectors = np.random.default_rng(0).standard_normal((9, 3, 4)).astype(np.float32)
    for number, layers in enumerate(nearest(vectors, 4)):
        for layer, found in enumerate(layers):
            every = [(cosine(vectors[number, layer], vectors[other, layer]), other) for other in range(9)]
            expected = sorted((pair for pair in every if pair[1] != number), reverse=True)[:4]
            assert [neighbour.occurrence for neighbour in found] == [other for _, other in expected]
            assert [neighbour.cosine for neighbour in found] == pytest.approx([each for each, _ in expected], abs=1e-5)


def test_equals_come_in_the_order_of_the_text_and_zeros_are_like_nothing() -> None:
    vectors = np.ones((5, 1, 3), dtype=np.float32)
    assert [neighbour.occurrence for neighbour in nearest(vectors, 9)[2][0]] == [0, 1, 3, 4]
    vectors[1] = 0.0
    assert [neighbour.occurrence for neighbour in nearest(vectors, 9)[2][0]] == [0, 3, 4, 1]
    assert nearest(vectors, 1)[1][0][0].cosine == 0.0


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_vectors_are_those_of_the_word(at_once: int) -> None:
    tokens = [line.split() for line in TEXT.splitlines()]
    found = [Occurrence(tokens[0], 1, 1), Occurrence(tokens[2], 1, 3), Occurrence(tokens[2], 4, 3)]
    found += [Occurrence(list(tokens[0]), 1, 5)]
    vectors = occurrence_vectors(found, SentenceVectors(random_bilm(), Request()), at_once=at_once)
    for row, occurrence in zip(vectors, found, strict=True):
        expected = random_bilm().embed([occurrence.tokens]).lstm_outputs2[0, occurrence.place]
        np.testing.assert_allclose(row[2], expected, atol=TOLERANCE, rtol=0)


def test_contexts_fit() -> None:
    tokens = [f"w{number}" for number in range(100)]
    for place in (0, 1, 50, 98, 99):
        for width in (10, 30, 79):
            shown = Occurrence(tokens, place, 1).context(width)
            assert f"[w{place}]" in shown
            assert width - 3 <= len(shown) <= width
    assert Occurrence(["a", "b", "c"], 1, 1).context(30) == "a [b] c"
    assert Occurrence(tokens, 0, 1).context(20) == "[w0] w1 w2 w3 w4 w…"


def test_too_few() -> None:
    one = Occurrence(["a"], 0, 1)
    with pytest.raises(NoOccurrenceError, match="'a': expected at least two occurrences to compare, found 1"):
        first_occurrences(iter([one]), 9, word="a")
    assert first_occurrences(iter([one] * 3), 2, word="a") == ([one] * 2, True)
    assert first_occurrences(iter([one] * 2), 2, word="a") == ([one] * 2, False)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "in.txt"
    path.write_text(TEXT)
    return path


def test_the_command(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    result = CliRunner().invoke(app, ["neighbours", "cell", str(text), "--weights", str(BILM), "--top", "1"])
    assert result.exit_code == 0
    first = result.stdout.split("\n\n")[0].splitlines()
    assert first == [
        "",
        "#1    line 1       the [cell] was dark",
        "  layer 0   1.000  #2   a [cell] of the cell wall",
        "  layer 1   1.000  #4   the [cell] was dark",
        "  layer 2   1.000  #4   the [cell] was dark",
    ], "without context all are equal; with it the same sentence is nearest"
    assert max(map(len, result.stdout.splitlines())) <= 60


def test_the_command_as_json(text: Path) -> None:
    command = ["neighbours", "cell", str(text), "--weights", str(BILM), "--json", "-i", "--limit", "4"]
    result = CliRunner().invoke(app, command)
    records = json.loads(result.stdout)
    assert [(record["line"], record["place"]) for record in records] == [(1, 1), (3, 1), (3, 4), (4, 1)]
    assert result.stderr == "warning: only the first 4 occurrences of 'cell' are compared; see --limit\n"
    bilm = Bilm.load(BILM / "options.json", BILM / "weights.hdf5")
    own, other = bilm.embed(["the cell was dark"]), bilm.embed(["the Cell was dark"])
    expected = cosine(own.lstm_outputs1[0, 1].tolist(), other.lstm_outputs1[0, 1].tolist())
    received = {each["occurrence"]: each["cosine"] for each in records[0]["layers"][1]}
    assert received[3] == pytest.approx(expected, abs=1e-5)
    result = CliRunner().invoke(app, ["neighbours", "moon", str(text), "--weights", str(BILM)])
    assert (result.exit_code, result.stderr) == (
        2,
        "error: 'moon': expected at least two occurrences to compare, found 0\n",
    )


@pytest.mark.parametrize("words", [[], ["--words"]])
def test_a_place_in_raw_text_says_its_line_and_not_its_sentence(words: list[str], tmp_path: Path) -> None:
    text = tmp_path / "raw.txt"
    text.write_text("Nell left. She saw a\ncell. The cell was dark.\n\nAnother cell?\n")
    result = CliRunner().invoke(
        app, ["neighbours", "cell", str(text), "--weights", str(BILM), "--raw", "--json", *words]
    )
    assert result.exit_code == 0
    places = [(record["line"], record["place"], record["tokens"][0]) for record in json.loads(result.stdout)]
    assert places == [(1, 3, "She"), (2, 1, "The"), (4, 1, "Another")]
