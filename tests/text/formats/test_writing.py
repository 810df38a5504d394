# ruff: noqa: E501 - tables of inputs and messages, one a line
"""What a format cannot express is an error that names the document and the entity; tokens for texts without."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.text import DataError, TokenizedSentence, Tokenizer
from elmo_tagger.text.formats import FORMATS, Document, Entity, token_spans, tokenized
from elmo_tagger.text.formats.json_lines import write as write_json_lines
from elmo_tagger.text.sentence import Span
from tests.text.formats.strategies import plain_documents, write


def document(*entities: tuple[int, int, str], **more: object) -> Document:
    sentences = [TokenizedSentence(["Ann", "sings"], [1, 5], [4, 10]), TokenizedSentence(["Bob"], [11], [14])]
    return Document(" Ann sings Bob ", [Entity(*entity) for entity in entities], sentences, **more)


def test_token_spans() -> None:
    assert token_spans(document((11, 14, "PER"), (1, 10, "X"))) == [[Span(0, 2, "X")], [Span(0, 1, "PER")]]


@pytest.mark.parametrize(
    ("entities", "problem"),
    [
        ([(2, 4, "PER")], "PER 'nn' (2 to 4) cuts the token 'Ann' (1 to 4): tags cannot express it"),
        ([(1, 7, "PER")], "PER 'Ann si' (1 to 7) cuts the token 'sings' (5 to 10): tags cannot express it"),
        ([(5, 11, "X")], "X 'sings ' (5 to 11) goes beyond its sentence, which ends at 10: tags cannot express it"),
        ([(5, 14, "X")], "X 'sings Bob' (5 to 14) goes beyond its sentence, which ends at 10: tags cannot express it"),
        ([(4, 10, "X")], "X ' sings' (4 to 10) begins or ends in white space between tokens: tags cannot express it"),
        ([(0, 4, "X")], "X ' Ann' (0 to 4) begins before the first token: tags cannot express it"),
        ([(1, 10, "X"), (5, 10, "Y")], "Y 'sings' (5 to 10) overlaps X 'Ann sings' (1 to 10): tags cannot express it"),
        ([(1, 4, "X"), (1, 4, "X")], "X 'Ann' (1 to 4) overlaps X 'Ann' (1 to 4): tags cannot express it"),
    ],
)
@pytest.mark.parametrize("name", ["columns", "conllu"])
def test_entities_that_tags_cannot_express(tmp_path: Path, name: str, entities: list, problem: str) -> None:
    with pytest.raises(DataError) as error:
        write([document(), document(*entities)], tmp_path / "a", name)
    assert str(error.value) == f"document 2: {problem}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        ("columns", Document("a b"), "a.jsonl:3: the text has no tokens, and tags belong to tokens: tokenize it first"),
        (
            "columns",
            Document("a b", [], [TokenizedSentence(["a b"], [0], [3])]),
            "sentence 1: token 'a b' contains a space: a column file cannot hold it",
        ),
        (
            "conllu",
            Document("a\tb", [], [TokenizedSentence(["a\tb"], [0], [3])]),
            "a.jsonl:3: token 'a\\tb' with 'NER=O': CoNLL-U holds no tabs, line feeds or bars",
        ),
        ("conllu", Document("a b", [], [TokenizedSentence(["a"], [0], [1])]), "a.jsonl:3: 'b' in no token: CoNLL-U cannot express it"),
        ("conllu", Document("\ud800", [], [TokenizedSentence(["\ud800"], [0], [1])]), "a.jsonl:3: the text has a lone surrogate, which UTF-8 cannot hold"),
        ("columns", Document(" "), "a.jsonl:3: no tokens: a column file cannot express an empty text"),
        ("conllu", Document(""), "a.jsonl:3: no tokens: CoNLL-U cannot express an empty text"),
        ("jsonl", Document("\ud83d\ude00"), "a.jsonl:3: the text has surrogates in pairs, which JSON would read as one character"),
        ("label-studio", Document("\ud800"), "a.jsonl:3: the text has a lone surrogate, which UTF-8 cannot hold"),
        ("brat", Document("\ud800"), "a.jsonl:3: the text has a lone surrogate, which UTF-8 cannot hold"),
        ("brat", Document("a", [Entity(0, 1, "A B")]), "a.jsonl:3: type 'A B' contains white space: brat cannot express it"),
        ("brat", Document("a\n", [Entity(0, 2, "X")]), "a.jsonl:3: X 'a\\n' (0 to 2) begins or ends with a line break: brat cannot express it"),
        ("brat", Document("a", name="../a"), "a.jsonl:3: the name '../a' is no file name"),
    ],
)  # fmt: skip
def test_inexpressible(tmp_path: Path, name: str, bad: Document, message: str) -> None:
    bad.place = "a.jsonl:3"
    with pytest.raises(DataError) as error:
        write([bad], tmp_path / "out", name)
    assert str(error.value).replace(" (a.jsonl:3)", "") == message


def test_brat_names_come_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^x: the name 'x' comes twice$"):
        FORMATS["brat"].write([Document("a", name="x"), Document("b", name="x")], tmp_path)


def test_brat_writes_all_or_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    with pytest.raises(DataError, match="contains white space"):
        FORMATS["brat"].write([Document("a"), Document("b", [Entity(0, 1, "A B")])], folder)
    assert list((tmp_path / "new").iterdir()) == []
    folder.mkdir()
    (folder / "annotation.conf").write_text("")
    FORMATS["brat"].write([Document("a")], folder)
    assert [path.name for path in sorted(folder.iterdir())] == [
        "annotation.conf",
        "document000001.ann",
        "document000001.txt",
    ]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]


def test_entity_key(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^entity_key 'x': expected one of 'entities', 'spans', 'label', 'labels'$"):
        write_json_lines([], tmp_path / "a", entity_key="x")


def test_tokenized_splits_where_asked() -> None:
    plain = Document("Dr. Ann's song. Then Bob", [Entity(4, 6, "X"), Entity(10, 20, "Y")])
    with pytest.raises(DataError, match="cuts the token 'Ann'"):
        token_spans(tokenized(plain, Tokenizer()))
    split = tokenized(plain, Tokenizer(), split_at_entities=True)
    assert [s.tokens for s in split.sentences] == [["Dr.", "An", "n", "'s", "song", ".", "Then", "Bob"]]
    assert token_spans(split) == [[Span(1, 2, "X"), Span(4, 7, "Y")]]
    assert tokenized(split, Tokenizer(language="xx")) is split


@settings(max_examples=60, deadline=None)
@given(found=plain_documents(alphabet=st.sampled_from("aB.'-! \n😀")))
def test_split_tokens_hold_every_entity_that_overlaps_no_other(found: Document) -> None:
    kept: list[Entity] = []
    for start, end, type_ in sorted(found.entities):
        text = found.text[start:end]
        if text == text.strip() and all(start >= other.end for other in kept):
            kept.append(Entity(start, end, type_))
    found.entities = kept
    split = tokenized(found, Tokenizer(), split_at_entities=True)
    again = [
        (sentence.starts[span.start], sentence.ends[span.end - 1], span.type)
        for sentence, spans in zip(split.sentences, token_spans(split), strict=True)
        for span in spans
    ]
    assert again == kept
