import json
from pathlib import Path

import pytest

from elmo_tagger.text.files import DataError, skipping
from elmo_tagger.text.tables import LabelledText, TextTable, split


def pairs(file: Path, **options: object) -> list[tuple[str, str | None]]:
    return [(row.text, row.label) for row in TextTable(**options).read(file)]  # type: ignore[arg-type]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_is_read_by_names_and_by_numbers(separator: str, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    rows = [["id", "text", "label"], ["1", f'"a{separator} b"', "x"], ["2", '"two\nlines, ""quoted"""', "y"]]
    file.write_text("".join(separator.join(row) + "\n" for row in rows))
    expected = [(f"a{separator} b", "x"), ('two\nlines, "quoted"', "y")]
    assert pairs(file) == expected
    assert pairs(file, text_column=1, label_column=-1, header=True) == expected
    assert pairs(file, text_column=1, label_column=2) == [("text", "label"), *expected]
    assert pairs(file, label_column=None) == [(text, None) for text, _ in expected]


def test_quotation_marks_that_hold_nothing_together_are_part_of_the_text(tmp_path: Path) -> None:
    file = tmp_path / "t.tsv"
    file.write_text('text\tlabel\n"so\tx\nwhat" he said\ty\nno\tx\n')
    assert pairs(file) == [('"so', "x"), ('what" he said', "y"), ("no", "x")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("text,label\nMülton,x\n", encoding=encoding)
    assert pairs(file, encoding=encoding.removesuffix("-sig")) == [("Mülton", "x")]


def test_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text("".join(json.dumps({"tweet": text, "n": number}) + "\n" for number, text in enumerate("ab")))
    assert pairs(file, text_column="tweet", label_column="n") == [("a", "0"), ("b", "1")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("tweet,label\na,b\n", r":1: expected a column named 'text', received 'tweet', 'label'; a column may also be"),
        ("text,label\na,b\nc\n", r":3: expected 2 values, as in the first row, received 1: 'c'"),
        ("text,label\na,b\n ,b\n", r":3: expected a text in the column 'text', received ' '"),
        ("text,label\na,\n", r":2: expected a text in the column 'label', received ''"),
        ("text,label\n", r"t.csv: no texts in it"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(content)
    with pytest.raises(DataError, match=message):
        pairs(file)


def test_bad_rows_can_be_left_out_and_are_reported(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("text,label\na,x\nb\n,x\nc,y\n")
    noted: list[DataError] = []
    read = list(TextTable().read(file, report=skipping(noted.append)))
    assert read == [LabelledText("a", "x", 2), LabelledText("c", "y", 5)]
    assert [error.line for error in noted] == [3, 4]
    file = file.with_suffix(".jsonl")
    file.write_text('{"text": "a", "label": "x"}\n[]\n{"text": 3, "label": "x"}\n')
    assert len(list(TextTable().read(file, report=skipping(noted.append)))) == 1
    assert [error.line for error in noted[2:]] == [2, 3]


def test_shares_must_add_up() -> None:
    assert split(10, {"a": 0.5, "b": 0.5}, seed=1) == split(10, {"a": 0.5, "b": 0.5}, seed=1)
    with pytest.raises(DataError, match=r"split: expected shares that add up to 1, received"):
        split(10, {"a": 0.5, "b": 0.4}, seed=1)
