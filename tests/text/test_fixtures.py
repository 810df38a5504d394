"""The quickstart's fixtures: made by the script as committed, and worth learning from."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from elmo_tagger.text import Sentence, read_columns
from elmo_tagger.text.static_vectors import load_vectors

FIXTURES = Path(__file__).parents[2] / "fixtures"
PARTS = {"train": 700, "dev": 150, "test": 200}


@pytest.fixture(scope="module")
def parts() -> dict[str, list[Sentence]]:
    return {part: list(read_columns(FIXTURES / "quickstart" / f"{part}.conll")) for part in PARTS}


def entities(sentences: list[Sentence]) -> list[tuple[str, str]]:
    """Type and text of every entity; the fixtures are well-formed BIO."""
    found: list[tuple[str, str]] = []
    for sentence in sentences:
        for token, tag in zip(sentence.tokens, sentence.tags or [], strict=True):
            if tag.startswith("B-"):
                found.append((tag[2:], token))
            elif tag != "O":
                assert found
                assert found[-1][0] == tag[2:]
                found[-1] = (tag[2:], found[-1][1] + " " + token)
    return found


def test_script_makes_what_is_committed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, FIXTURES / "make.py", tmp_path], check=True, cwd=FIXTURES.parent)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    assert made == sorted(
        path.relative_to(FIXTURES) for folder in ("quickstart", "vectors") for path in (FIXTURES / folder).iterdir()
    )
    for path in made:
        # Unpacked, because builds of zlib pack differently.
        unpack = gzip.decompress if path.suffix == ".gz" else bytes
        assert unpack((tmp_path / path).read_bytes()) == unpack((FIXTURES / path).read_bytes()), path


def test_sentences_differ_within_and_across_parts(parts: dict[str, list[Sentence]]) -> None:
    assert {part: len(sentences) for part, sentences in parts.items()} == PARTS
    assert len({tuple(sentence.tokens) for sentences in parts.values() for sentence in sentences}) == sum(
        PARTS.values()
    )


@pytest.mark.parametrize("part", PARTS)
def test_variety(parts: dict[str, list[Sentence]], part: str) -> None:
    types = [type_ for type_, _ in entities(parts[part])]
    assert set(types) == {"PER", "ORG", "LOC", "PRODUCT"}
    assert min(map(types.count, set(types))) >= 30
    assert parts[part][-1].document >= 10
    assert any(set(sentence.tags or []) == {"O"} for sentence in parts[part])
    assert any(sentence.tokens[0][0].islower() for sentence in parts[part])
    assert any(not token.isascii() for sentence in parts[part] for token in sentence.tokens)


def test_test_is_not_known_by_heart(parts: dict[str, list[Sentence]]) -> None:
    train = {text for _, text in entities(parts["train"])}
    for part in ("dev", "test"):
        texts = {text for _, text in entities(parts[part])}
        assert 0.4 <= len(texts - train) / len(texts) <= 0.7


def test_some_names_have_several_types(parts: dict[str, list[Sentence]]) -> None:
    found = {entity for sentences in parts.values() for entity in entities(sentences)}
    texts = [text for _, text in found]
    assert len({text for text in texts if texts.count(text) > 1}) >= 10


def test_vectors_know_which_words_are_alike() -> None:
    days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Sunday"]
    words = [*days, "factory", "library", "theatre"]
    plain = load_vectors(FIXTURES / "vectors" / "quickstart.16d.txt.gz", words)
    assert plain.coverage.exact == len(words)
    assert plain.matrix.shape == (9, 16)
    unit = plain.matrix / np.linalg.norm(plain.matrix, axis=1, keepdims=True)
    alike = unit @ unit.T
    assert alike[:6, :6].mean() > 2 * alike[:6, 6:].mean()
    headed = load_vectors(FIXTURES / "vectors" / "quickstart.16d.word2vec.txt.gz", words)
    np.testing.assert_array_equal(headed.matrix, plain.matrix)
