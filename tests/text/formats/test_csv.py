"""Tables of values: the dialects that are met, and what else quotation marks and commas can be."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings

from elmo_tagger.text import DataError
from elmo_tagger.text.formats import Document, format_of_file, token_spans
from elmo_tagger.text.formats.registry import format_of_lines
from tests.text.formats.strategies import read, several, tokenized_documents, write

READ = [(["Ann", "Lee"], [(0, 2, "PER")]), (["in", "Rome"], [(1, 2, "LOC")])]
ROWS = "Ann,B-PER\nLee,L-PER\n{}in,O\nRome,U-LOC\n"


def sentences(documents: list[Document]) -> list[tuple[list[str], list[tuple[int, int, str]]]]:
    return [
        (sentence.tokens, [tuple(span) for span in spans])
        for document in documents
        for sentence, spans in zip(document.sentences, token_spans(document), strict=True)
    ]


@pytest.mark.parametrize(
    "text",
    [
        ROWS.format("\n"),
        ROWS.format(",\n"),
        ROWS.format(" , \n"),
        "token,tag\n" + ROWS.format(",\n"),
        ROWS.format("\n").replace(",", ";"),
        ROWS.format(",\n").replace(",", "\t"),
        '"Ann","B-PER"\n"Lee","L-PER"\n,\n"in","O"\n"Rome","U-LOC"\n',
        "Sentence #,Word,POS,Tag\nSentence: 1,Ann,NNP,B-PER\n,Lee,NNP,L-PER\nSentence: 2,in,IN,O\n,Rome,NNP,U-LOC\n",
        "ner;word;sentence_id\nB-PER;Ann;7\nL-PER;Lee;7\nO;in;8\nU-LOC;Rome;8\n",
        ROWS.format("\n").replace("\n", "\r\n"),
    ],
)
def test_spellings_of_one_table(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode())
    assert sentences(read(tmp_path / "a.csv", "csv")) == READ


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ('"New York",U-LOC\n"""",O\n",",O\n', ["New York", '"', ","]),
        ('"\tO\nNew York\tU-LOC\n"\tO\n', ['"', "New York", '"']),
        ("a;O\n,;O\nb;U-X\n", ["a", ",", "b"]),
        ('"a;b";O\nc;U-X\n', ["a;b", "c"]),
    ],
    ids=["quoted", "a quotation mark is a token", "commas between semicolons", "a quoted semicolon"],
)
def test_quotation_marks_and_separators_as_tokens(tmp_path: Path, text: str, tokens: list[str]) -> None:
    (tmp_path / "a.csv").write_text(text)
    (document,) = read(tmp_path / "a.csv", "csv")
    assert document.sentences[0].tokens == tokens


def test_a_document_begins_where_its_number_changes(tmp_path: Path) -> None:
    rows = "document,sentence,token,tag\n1,1,a,O\n1,2,b,O\n2,1,c,O\n"
    (tmp_path / "a.csv").write_text(rows)
    found = read(tmp_path / "a.csv", "csv")
    assert [(d.number, d.marked, [s.tokens for s in d.sentences]) for d in found] == [
        (0, True, [["a"], ["b"]]),
        (1, True, [["c"]]),
    ]


@settings(max_examples=60)
@given(documents=several(tokenized_documents))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, documents: list[Document]) -> None:
    path = tmp_path_factory.getbasetemp() / "a.csv"
    documents = [each for each in documents if not any("\x00" in token for s in each.sentences for token in s.tokens)]
    if documents:
        write(documents, path, "csv")
        again = read(path, "csv")
        assert sentences(again) == sentences(documents)
        assert {document.number for document in again} == set(range(len(documents)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,O\nb\nc,O\nd,O\ne,O\nf,O\ng,O\nh,O\ni,O\nj,O\nk,O\n", "{}:2: 1 column, expected 2 as in line 1"),
        ("a,O\n,O\n", "{}:2: empty token (column 1 of 2)"),
        ("a,O\nb,\n", "{}:2: empty tag (column 2 of 2)"),
        ("a\nb\n", "{}: expected rows of as many values each, parted by commas, semicolons or tabs; its first line is 'a'"),  # noqa: E501
        ("", "{}: expected rows of as many values each, parted by commas, semicolons or tabs; it is empty"),
        ("token,tag\n,\n", "{}: no sentences in it"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read(path, "csv")
    assert str(error.value) == message.replace("{}", str(path))


def test_bad_rows_are_reported_and_the_others_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("token,tag\n" + "a,O\n" * 20 + "b\n,O\nc,\nd,O\n")
    errors: list[DataError] = []
    (document,) = read(tmp_path / "a.csv", "csv", report=errors.append)
    assert document.sentences[0].tokens == ["a"] * 20 + ["d"]
    assert [error.line for error in errors] == [22, 23, 24]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig", "gb18030"])
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_text("token,tag\nZoë,U-PER\n", encoding=encoding)
    (document,) = read(tmp_path / "a.csv", "csv", encoding=encoding)
    assert document.text == "Zoë"


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (["Ann B-PER", "left O"], "columns"),
        (["Ann\tB-PER", "New York\tO"], "columns"),
        (["-DOCSTART- O", "", "Ann NNP B-PER", "left VBD O"], "columns"),
        (["Ann,B-PER", "left,O"], "csv"),
        (["token\ttag", "Ann\tB-PER", "left\tO"], "csv"),
        (["1\tAnn" + "\t_" * 8], "conllu"),
        (['{"text": "Ann left"}'], "jsonl"),
        (["[", "  {", '    "id": 1,'], "label-studio"),
        (['[{"id": 1}]'], "label-studio"),
        (["He took a U-boat", "She sent an E-mail"], None),
        (["She sent an E-mail", "His blood is type O"], None),
        (["and O", "or O"], None),
        (["B-PER", "O"], None),
        (["Ann B-PER", "left O", "Ashton ."], None),
        (['{ " a " : 1 }'], None),
        (["[ 1 ]", "{ }"], None),
        (["One, two", "three, four"], None),
        ([], None),
    ],
)
def test_formats_are_told_by_the_first_lines(lines: list[str], name: str | None, tmp_path: Path) -> None:
    found = format_of_lines(lines)
    assert (found.name if found else None) == name
    (tmp_path / "a.txt").write_text("\n".join(lines) + "\n")
    assert format_of_file(tmp_path / "a.txt") == found
