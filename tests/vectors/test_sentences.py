import gzip
import io
import json
import sys
from pathlib import Path

import pytest

from elmo_tagger.text import DataError
from elmo_tagger.text.tokenize import Tokenizer
from elmo_tagger.vectors.sentences import SentenceSource, layout_of


def tokens(path: Path, **options: object) -> list[list[str]]:
    return [sentence.tokens for sentence in SentenceSource(path=str(path), **options).read()]


def test_an_empty_line_is_a_sentence_without_words(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes("a b\n\n  c\u2028d \r\n\te\n".encode())
    assert tokens(path) == [["a", "b"], [], ["c\u2028d"], ["e"]]
    assert [sentence.text for sentence in SentenceSource(path=str(path)).read()] == ["a b", "", "c\u2028d", "e"]


def test_every_place_leads_back_to_its_sentence(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes("\ufeffä b\n\nc\nd e f\n\n".encode())
    source = SentenceSource(path=str(path))
    sentences = list(source.read())
    assert sentences[-1].end == source.size == path.stat().st_size
    for number, sentence in enumerate(sentences):
        assert list(source.read(offset=sentence.paragraph, first_line=sentence.line)) == sentences[number:]


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl.gz"
    lines = [{"tokens": ["a b", "c"]}, {"sentence": " d e"}, {"text": "f"}, {"tokens": []}]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    source = SentenceSource(path=str(path), layout=layout_of(str(path)))
    assert [sentence.tokens for sentence in source.read()] == [["a b", "c"], ["d", "e"], ["f"], []]
    assert [sentence.text for sentence in source.read()] == ["a b c", "d e", "f", ""]
    assert source.size is None, "the packed size would not tell how much is left"


def test_raw_text_is_taken_by_paragraph(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("Nell left. She\ncame back.\n\n\nAgain!\n")
    source = SentenceSource(path=str(path), tokenizer=Tokenizer())
    found = list(source.read())
    assert [sentence.tokens for sentence in found] == [
        ["Nell", "left", "."],
        ["She", "came", "back", "."],
        ["Again", "!"],
    ]
    assert [(sentence.line, sentence.paragraph) for sentence in found] == [(1, 0), (1, 0), (5, 28)]
    assert list(source.read(offset=28, first_line=5)) == found[2:]


def test_raw_text_in_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "Yes. No."}\n{"tokens": ["as", "is."]}\n')
    assert tokens(path, layout="jsonl", tokenizer=Tokenizer()) == [["Yes", "."], ["No", "."], ["as", "is."]]


def test_a_long_paragraph_is_cut_at_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elmo_tagger.vectors.sentences._PARAGRAPH", 20)
    path = tmp_path / "in.txt"
    path.write_text("One two three\nfour five six\n" * 3)
    assert [len(words) for words in tokens(path, tokenizer=Tokenizer())] == [3] * 6


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a b\nc\n")))
    source = SentenceSource(path="-")
    assert source.size is None
    assert [sentence.tokens for sentence in source.read()] == [["a", "b"], ["c"]]


def test_bytes_that_are_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes(b"good\nM\xfcnchen\n")
    with pytest.raises(
        DataError, match=r"in.txt:2: invalid utf-8: byte 0xfc at offset 6 of the file, byte 2 of the line"
    ):
        tokens(path)
    source = SentenceSource(path=str(path))
    with pytest.raises(DataError, match=r"in.txt:2: invalid utf-8: byte 0xfc at offset 6 of the file"):
        list(source.read(offset=5, first_line=2))


@pytest.mark.parametrize(
    "line", ["a b", "[]", '{"tokens": "a b"}', '{"tokens": [1]}', '{"words": ["a"]}', '{"text": 3}']
)
def test_json_that_is_no_sentence(line: str, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "fine"}\n' + line + "\n")
    with pytest.raises(DataError, match=r'in.jsonl:2: expected a JSON object with "tokens" \(a list of strings\), or'):
        tokens(path, layout="jsonl")


def test_another_layout_is_refused() -> None:
    with pytest.raises(DataError, match="layout: expected one of text, jsonl, received 'csv'"):
        SentenceSource(path="x", layout="csv")
    assert [layout_of(name) for name in ("a.txt", "a.JSONL", "a.ndjson.xz", "-")] == ["text", "jsonl", "jsonl", "text"]
