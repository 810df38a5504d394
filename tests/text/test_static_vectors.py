"""Static vectors: the same rows as a plain reader finds, whatever the file's dialect, and named lines for bad ones."""

import gzip
import lzma
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elmo_tagger.text import DataError
from elmo_tagger.text.static_vectors import Coverage, load_vectors

FILE = "the 1 2 3\nRome -0.5 1e-3 .25\nat home 7 8 9\nthe 4 5 6\nrome 1 1 1\n. . . 2 2 2\n"
REAL = Path(__file__).parents[3] / "shared" / "data" / "vectors" / "wiki2015.50d.txt.gz"


def write(folder: Path, text: str | bytes, name: str = "v.txt") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def plain_rows(path: Path, words: list[str]) -> list[list[float]]:
    """The slow twin: every line parsed, first come first served, then the lower-case form, then zeros."""
    rows: dict[str, list[float]] = {}
    for line in path.read_text().split("\n")[:-1]:
        *word, a, b, c = line.split(" ")
        rows.setdefault(" ".join(word), [float(a), float(b), float(c)])
    return [rows.get(word) or rows.get(word.lower()) or [0.0, 0.0, 0.0] for word in words]


@given(
    words=st.lists(
        st.sampled_from(["the", "The", "Rome", "ROME", "at home", "At Home", ". . .", "x", "\ud800", "home"])
    )
)
def test_same_as_the_plain_reader(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    path = write(tmp_path_factory.getbasetemp(), FILE)
    words = list(dict.fromkeys(["the", *words]))
    vectors = load_vectors(path, words)
    np.testing.assert_array_equal(vectors.matrix, np.array(plain_rows(path, words), dtype=np.float32))
    assert vectors.matrix.dtype == np.float32
    assert list(vectors.index.items()) == [(word, row) for row, word in enumerate(words)]


def header(text: str) -> str:
    return f"{text.count(chr(10))} 3\n{text}"


@pytest.mark.parametrize(
    "change",
    [
        str,
        header,
        lambda text: header(text).replace("\n", "\r\n"),
        lambda text: text.replace("\n", " \n"),
        lambda text: "\ufeff" + text,
        lambda text: "\ufeff" + header(text),
        lambda text: text.removesuffix("\n"),
        lambda text: text + "\n\n",
    ],
    ids=["glove", "word2vec", "crlf", "trailing spaces", "bom", "bom and header", "no final newline", "blank end"],
)
@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress)])
def test_dialects(tmp_path: Path, change, suffix: str, pack) -> None:
    expected = load_vectors(write(tmp_path, FILE), None)
    found = load_vectors(write(tmp_path, pack(change(FILE).encode()), "w.txt" + suffix), None)
    assert found.index == expected.index == {"the": 0, "Rome": 1, "at home": 2, "rome": 3, ". . .": 4}
    np.testing.assert_array_equal(found.matrix, expected.matrix)


def test_coverage(tmp_path: Path) -> None:
    words = ["The", "Rome", "at home", "x", "The", "ROME"]
    path = write(tmp_path, FILE)
    coverage = load_vectors(path, words).coverage
    assert coverage == Coverage(exact=2, lowercase=2, missing=1)
    assert str(coverage) == "80.0% of 5 words have a vector (2 as written, 2 in lower case, 1 missing)"
    assert load_vectors(path, words, lowercase_fallback=False).coverage == Coverage(exact=2, lowercase=0, missing=3)


def test_out_of_vocabulary(tmp_path: Path) -> None:
    path = write(tmp_path, "".join(f"w{n} {n} {-n} 0.5\n" for n in range(100)))
    words = [f"w{n}" for n in range(100)] + [f"x{n}" for n in range(2000)]
    known = load_vectors(path, words).matrix[:100]
    assert not load_vectors(path, words).matrix[100:].any()
    np.testing.assert_allclose(
        load_vectors(path, words, oov="mean").matrix[100:], np.tile([49.5, -49.5, 0.5], (2000, 1))
    )
    drawn = load_vectors(path, words, oov="random", seed=3).matrix
    np.testing.assert_array_equal(drawn[:100], known)
    np.testing.assert_array_equal(drawn, load_vectors(path, words, oov="random", seed=3).matrix)
    assert (drawn[100:] != load_vectors(path, words, oov="random", seed=4).matrix[100:]).all()
    assert drawn[100:].std() == pytest.approx(known.std(), rel=0.05)
    assert drawn[100:].mean() == pytest.approx(known.mean(), abs=0.05 * float(known.std()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 1 2\nb 1\n", "{}:2: 1 numbers, expected 2"),
        ("a 1 2\nx 0.5 1 2\n", "{}:2: 3 numbers, expected 2"),
        ("a 1 2 3\n\nx\n", "{}:3: 0 numbers, expected 3"),
        ("2 2\na 1 2 3\nb 1 2 3\n", "{}:2: 3 numbers, expected 2"),
        ("a\n", "{}:1: 0 numbers, expected at least 1"),
        (b"2 2\na \0\1\2\xff\n", "{}:2: 1 numbers, expected 2; the file looks binary, expected text"),
        ("a 1 2\nb 1 x\n", "{}:2: 'x' is not a number"),
        ("a 1 2\nb 1 nan\n", "{}:2: a value is NaN or infinite, expected finite numbers"),
        ("a 1 2\nb 1 -1e39\n", "{}:2: a value is NaN or infinite, expected finite numbers"),
        ("3 2\na 1 2\nb 1 2\n", "{}: 2 vectors, but its first line promises 3: the file is cut off"),
        ("", "{}: the file is empty"),
        ("\n\n", "{}: no vectors in its 2 lines"),
        ("x 1 2\n", "{}: none of the 2 words asked for is in the file"),
    ],
)
def test_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError) as error:
        load_vectors(path, ["a", "b"])
    assert str(error.value) == message.replace("{}", str(path))


def test_policy_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^oov 'ones': expected one of 'zero', 'random', 'mean'$"):
        load_vectors(write(tmp_path, FILE), ["the"], oov="ones")


def test_no_words_asked_for(tmp_path: Path) -> None:
    vectors = load_vectors(write(tmp_path, FILE), [], oov="mean")
    assert (vectors.matrix.shape, vectors.index, vectors.coverage) == ((0, 3), {}, Coverage(0, 0, 0))


@pytest.mark.skipif(not REAL.exists(), reason="needs ../shared/data")
def test_real_vectors() -> None:
    vectors = load_vectors(REAL, ["the", "tHe", "Berlin", "qwrtzuiop"])
    assert vectors.matrix.shape == (4, 50)
    assert vectors.coverage == Coverage(exact=2, lowercase=1, missing=1)
    np.testing.assert_array_equal(vectors.matrix[0], vectors.matrix[1])
