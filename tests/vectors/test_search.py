import json
import re
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from elmo_tagger.bilm.loading.source import load_bilm
from elmo_tagger.cli.app import app
from elmo_tagger.vectors.nearest import Nearest, unit
from elmo_tagger.vectors.picture import plane
from elmo_tagger.vectors.search import Line, write_index
from tests.vectors.test_neighbours import cosine

BILM = str(Path(__file__).parents[2] / "fixtures" / "bilm")
SENTENCES = [f"{who} {verb} the {thing} ." for who in ("Emma", "Nell") for verb in ("saw", "ate") for thing in "abcd"]


def invoke(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("\n" + "\n".join(SENTENCES) + "\n")
    return path


@pytest.mark.parametrize("block", [1, 3, 100])
def test_the_nearest_of_a_stream_are_the_nearest_of_all(block: int) -> None:
    random = np.random.default_rng(0)
    vectors, queries = (random.standard_normal((count, 4)).astype(np.float32) for count in (50, 3))
    vectors[7] = vectors[31]  # of equals the first comes first
    nearest: Nearest[int] = Nearest(queries, 50)
    few: Nearest[int] = Nearest(queries, 5)
    for start in range(0, 50, block):
        for each in (nearest, few):
            each.show(unit(vectors[start : start + block]), range(start, min(start + block, 50)))
    for query, every, some in zip(queries, nearest.found(), few.found(), strict=True):
        expected = sorted(range(50), key=lambda place: (-round(cosine(query, vectors[place]), 5), place))
        assert [each.item for each in every] == expected
        assert [each.item for each in some] == expected[:5]
        assert every[0].cosine == pytest.approx(cosine(query, vectors[expected[0]]), abs=1e-5)


def test_a_sentence_is_found_by_itself_and_by_the_mean_of_its_words(text: Path) -> None:
    code, printed, _ = invoke("search", text, "Nell ate the c .", "--weights", BILM, "--json", "--top", 16)
    found = json.loads(printed)
    assert (code, found[0]["line"], found[0]["text"]) == (
        0,
        2 + SENTENCES.index("Nell ate the c ."),
        "Nell ate the c .",
    )
    assert found[0]["cosine"] == pytest.approx(1.0, abs=1e-5)
    pooled = load_bilm(BILM).embed(["Nell ate the c .", *SENTENCES]).default
    expected = torch.cosine_similarity(pooled[:1], pooled[1:]).tolist()
    assert {each["text"]: each["cosine"] for each in found} == pytest.approx(
        dict(zip(SENTENCES, expected, strict=True)), abs=1e-5
    )


def test_an_index_gives_the_same_and_is_not_computed_again(text: Path, tmp_path: Path) -> None:
    command = ("search", text, "Emma saw the b", "--weights", BILM)
    _, without, _ = invoke(*command)
    index = tmp_path / "text.index"
    code, built, said = invoke(*command, "--index", index)
    assert (code, built, said) == (0, without, f"{index}: 16 sentences\n")
    written = index.read_bytes()
    assert invoke(*command, "--index", index) == (0, without, "")
    assert index.read_bytes() == written
    code, _, said = invoke(*command, "--index", index, "--layers", "top")
    assert (code, "an index of something else (layers differ)" in said) == (2, True)
    text.write_text("another text\n")
    code, _, said = invoke(*command, "--index", index)
    assert (code, "an index of something else (text differ)" in said) == (2, True)
    assert index.read_bytes() == written
    assert invoke(*command, "--index", index, "--force")[0] == 0
    assert invoke("search", text, "-", "--weights", BILM, "--index", index) == (0, "", "")


def test_what_is_no_index_is_said_and_left_alone(text: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("not an index")
    code, _, said = invoke("search", text, "a", "--weights", BILM, "--index", tmp_path / "notes")
    assert (code, "notes: expected an index that `elmo-tagger search` wrote" in said) == (2, True)
    assert (tmp_path / "notes").read_text() == "not an index"
    code, _, said = invoke("search", text, "a", "--weights", BILM, "--index", text, "--force")
    assert (code, "expected another name" in said) == (2, True)
    for query in ("", "-"):
        code, _, said = invoke("search", text, query, "--weights", BILM)
        assert (code, said) == (2, f"error: query: expected a sentence, received {query!r}\n")


def test_the_plane_keeps_what_lies_in_a_plane() -> None:
    random = np.random.default_rng(0)
    flat = random.standard_normal((9, 2)) * [3.0, 1.0]
    vectors = flat @ np.linalg.qr(random.standard_normal((6, 6)))[0][:2]
    points, shares = plane(vectors.astype(np.float32))
    for one in range(9):
        for other in range(9):
            distance = np.linalg.norm(vectors[one] - vectors[other])
            assert np.linalg.norm(points[one] - points[other]) == pytest.approx(distance, abs=1e-5)
    assert sum(shares) == pytest.approx(1.0)
    assert plane(np.ones((1, 4), dtype=np.float32))[0].tolist() == [[0.0, 0.0]]


CORPUS = ["the cell was dark", "a phone in the hand", "my Cell rang", "a phone in the hand", "42 was here ."]


def test_words_near_a_word_are_counted_and_come_with_their_sentences(tmp_path: Path) -> None:
    file = tmp_path / "corpus.txt"
    file.write_text("".join(f"{line}\n" for line in CORPUS))
    query = "the cell rang"
    _, printed, _ = invoke(
        "neighbours", "cell", file, "--weights", BILM, "--words", "--sentence", query, "--json", "--top", 99
    )
    (record,) = json.loads(printed)
    assert (record["tokens"], record["place"]) == (query.split(), 1)
    bilm = load_bilm(BILM)
    own = bilm.embed([query]).lstm_outputs2[0, 1].tolist()
    expected: dict[str, list[float]] = {}
    for line in CORPUS:
        for word, vector in zip(line.split(), bilm.embed([line]).lstm_outputs2[0].tolist(), strict=True):
            if word.lower() != "cell" and word.isalpha():  # neither the word itself, nor numbers and marks
                expected.setdefault(word, []).append(cosine(own, vector))
    assert {each["word"]: each["cosine"] for each in record["words"]} == pytest.approx(
        {word: max(cosines) for word, cosines in expected.items()}, abs=1e-5
    )
    assert {each["word"]: each["count"] for each in record["words"]} == {
        word: len(all_) for word, all_ in expected.items()
    }
    assert [each["cosine"] for each in record["words"]] == sorted(
        (each["cosine"] for each in record["words"]), reverse=True
    )
    for each in record["words"]:
        assert each["tokens"][each["place"]].lower() == each["word"]
        assert CORPUS[each["line"] - 1].split() == each["tokens"]


def test_a_picture_of_occurrences_and_of_words(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "corpus.txt"
    file.write_text("".join(f"{line}\n" for line in CORPUS))
    cases = ((["--words", "--top", "2"], "phone|hand|rang|dark|was"), (["-i", "--layer", "1"], "#2 my"))
    for options, shown in cases:
        picture = tmp_path / f"{options[0]}.svg"
        code, _, said = invoke("neighbours", "cell", file, "--weights", BILM, *options, "--picture", picture)
        assert (code, said) == (0, "")
        assert re.search(f"<!-- [^>]*(?:{shown})", picture.read_text())
        code, _, said = invoke("neighbours", "cell", file, "--weights", BILM, *options, "--picture", picture)
        assert (code, said.endswith("exists already: expected another name, or --force\n")) == (2, True)
    picture = tmp_path / "words.png"
    assert invoke("neighbours", "cell", file, "--weights", BILM, "--words", "--picture", picture)[0] == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_what_does_not_fit_together_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "corpus.txt"
    file.write_text("".join(f"{line}\n" for line in CORPUS))
    for options, message in (
        (["--sentence", "a cell"], "--sentence: expected --words with it"),
        (["--words", "--layer", "3"], "--layer: expected a number from 0 to 2, received 3"),
        (["--words", "--sentence", "a phone"], "'cell': expected an occurrence, found 0"),
    ):
        assert invoke("neighbours", "cell", file, "--weights", BILM, *options) == (2, "", f"error: {message}\n")


@pytest.mark.parametrize("room", [0, 10_000, 3_000_000])
def test_a_full_disk_names_the_index_and_leaves_none(room: int, tmp_path: Path) -> None:
    """HDF5 reads back the places of texts that it wrote; where they were missing the process crashed."""
    blocks = [
        (np.ones((4500, 256), np.float32), [Line(f"Ann{n} sings in May .", n) for n in range(start, start + 4500)])
        for start in (0, 4500)
    ]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        with pytest.raises(OSError, match=re.escape(f"File too large: '{tmp_path}/index'")):
            write_index(tmp_path / "index", iter(blocks), {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
