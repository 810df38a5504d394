import gzip
import io
import json
import sys
from pathlib import Path

import pytest

from elmo_tagger.corpus.convert import convert_file
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
        assert list(source.read(offset=sentence.paragraph, first_line=sentence.paragraph_line)) == sentences[number:]


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
    places = [(sentence.line, sentence.paragraph_line, sentence.paragraph) for sentence in found]
    assert places == [(1, 1, 0), (1, 1, 0), (5, 5, 28)]
    assert list(source.read(offset=28, first_line=5)) == found[2:]


def test_a_sentence_of_raw_text_knows_the_line_that_it_begins_in(tmp_path: Path) -> None:
    path = tmp_path / "in.txt"
    path.write_text("\nNell left.\nShe came back. Then\nshe slept.\n\n\n  Again! And\nagain.\n")
    found = {" ".join(each.tokens): each.line for each in SentenceSource(path=str(path), tokenizer=Tokenizer()).read()}
    assert found == {"Nell left .": 2, "She came back .": 3, "Then she slept .": 3, "Again !": 7, "And again .": 7}
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "Yes.\\nNo."}\n{"text": "Oh."}\n')
    source = SentenceSource(path=str(path), layout="jsonl", tokenizer=Tokenizer())
    assert [each.line for each in source.read()] == [1, 1, 2], "a line break within JSON is none of the file"


def test_raw_text_in_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "Yes. No."}\n{"tokens": ["as", "is."]}\n')
    assert tokens(path, layout="jsonl", tokenizer=Tokenizer()) == [["Yes", "."], ["No", "."], ["as", "is."]]


def test_a_paragraph_of_more_than_100000_characters_is_cut_at_a_line(tmp_path: Path) -> None:
    path, line, lines = tmp_path / "in.txt", f"One {'long' * 2000} three four", 14
    path.write_text(f"{line}\n" * lines)
    cut = tokens(path, tokenizer=Tokenizer())
    assert [word for words in cut for word in words] == line.split() * lines, "nothing is lost"
    assert [len(words) for words in cut] == [4 * 12, 4 * 2], "12 lines of 8,015 characters fit"


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


COLUMNS = "-DOCSTART- -X- O\n\nNell NNP B-PER\nleft VBD O\n\nShe PRP O\n"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (COLUMNS, "in the format columns, expected"),
        ("So O\nthere O\n\nNell\tB-PER\nleft\tO", "in the format columns, expected"),
        ('[\n  {\n    "id": 1,', "in the format label-studio, expected"),
        ('[{"id": 1}]', "in the format label-studio, expected"),
        ('{\n"id": 1}', "in the format label-studio, expected"),
        ('{"text": "Nell left"}\n', "JSON lines, expected"),
    ],
)
@pytest.mark.parametrize("raw", [False, True])
def test_what_is_no_text_is_refused(content: str, kind: str, raw: bool, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text(content)
    with pytest.raises(DataError, match=rf"in\.txt: {kind}"):
        tokens(tmp_path / "in.txt", tokenizer=Tokenizer() if raw else None)


@pytest.mark.parametrize(
    "content",
    [
        "He took a U-boat\nShe sent an E-mail\n",
        "She sent an E-mail\nHis blood is type O\n",
        "and O\nor O\n",
        "B-PER\nO\n",
        "Nell B-PER\nleft O\nAshton .\n",
        '[\n{\n[ { " a " : 1\n',
        "[ 1 ]\n{ }\n",
        '{ " a " : 1 }\n',
        "-DOCSTART- O\n",
    ],
)
def test_text_that_looks_a_little_like_columns_or_json(content: str, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text(content)
    assert tokens(tmp_path / "in.txt") == [line.split() for line in content.splitlines()]


def test_the_advice_gives_the_sentences_of_a_column_file(tmp_path: Path) -> None:
    """A document of several sentences is one line of JSON."""
    path = tmp_path / "in.conll"
    path.write_text(COLUMNS)
    with pytest.raises(DataError) as refused:
        tokens(path)
    command = str(refused.value).rpartition(": ")[2].split()
    assert command[:3] == ["elmo-tagger", "convert", str(path)]
    convert_file(*command[2:])
    assert tokens(Path(command[3]), layout=layout_of(command[3])) == [["Nell", "left"], ["She"]]


def test_the_advice_for_label_studio(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    path.write_text('[{"data": {"text": "Nell left."}, "annotations": [{"result": []}]}]')
    message = rf"convert it first: elmo-tagger convert {path} {tmp_path}/in.jsonl, and read that with --raw$"
    with pytest.raises(DataError, match=message):
        tokens(path)
    convert_file(path, tmp_path / "in.jsonl")
    assert tokens(tmp_path / "in.jsonl", layout="jsonl", tokenizer=Tokenizer()) == [["Nell", "left", "."]]


def test_json_of_too_many_levels_is_an_error_of_its_line(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "Yes."}\n' + "[" * 200_000)
    with pytest.raises(DataError, match=r"in.jsonl:2: .*received no JSON"):
        tokens(path, layout="jsonl", tokenizer=Tokenizer())
