"""Whatever a format can express comes back as it was, through any chain of formats."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.text import TokenizedSentence
from elmo_tagger.text.formats import FORMATS, Document, token_spans
from tests.text.formats.strategies import plain_documents, read, several, tokenized_documents, write

SPAN_FORMATS = [name for name, format_ in FORMATS.items() if not format_.has_tags]
KEEPS_TOKENS = [name for name in FORMATS if name not in ("brat", "columns", "csv")]


def through(name: str, documents: list[Document]) -> list[Document]:
    """Written and read again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        write(documents, path, name)
        return read(path, name)


def contents(documents: list[Document]) -> list[tuple[object, ...]]:
    tokens = [[(s.tokens, s.starts, s.ends) for s in document.sentences] for document in documents]
    return [(d.text, sorted(d.entities), found, d.number) for d, found in zip(documents, tokens, strict=True)]


def tagged(documents: list[Document]) -> list[tuple[object, ...]]:
    """What column files hold."""
    return [
        (sentence.tokens, spans, document.number)
        for document in documents
        for sentence, spans in zip(document.sentences, token_spans(document), strict=True)
    ]


@pytest.mark.parametrize("name", KEEPS_TOKENS)
@settings(max_examples=40)
@given(documents=several(tokenized_documents))
def test_tokenized_documents(name: str, documents: list[Document]) -> None:
    assert contents(through(name, documents)) == contents(documents)


@settings(max_examples=40)
@given(documents=several(tokenized_documents))
def test_columns(documents: list[Document]) -> None:
    again = through("columns", documents)
    assert tagged(again) == tagged(documents)
    assert contents(through("columns", again)) == contents(again)


@settings(max_examples=40)
@given(names=st.lists(st.sampled_from(KEEPS_TOKENS), min_size=2, max_size=4), document=tokenized_documents())
def test_sentences_one_by_one_through_chains(names: list[str], document: Document) -> None:
    """A file without document boundaries is a stream of sentences with one number."""
    documents = through("columns", [document, document])
    again = documents
    for name in names:
        again = through(name, again)
    assert contents(again) == contents(documents)
    assert tagged(through("columns", again)) == tagged(documents)


# JSON joins surrogates in pairs, so only high ones; brat has no place for line breaks at the ends of an entity.
ALPHABETS = {
    "label-studio": st.characters(codec="utf-8"),
    "brat": st.characters(codec="utf-8", exclude_characters="\n\r"),
}
ANY = st.characters(codec=None, exclude_categories=()).filter(lambda character: not "\udc00" <= character <= "\udfff")


@pytest.mark.parametrize("name", SPAN_FORMATS)
@settings(max_examples=40)
@given(data=st.data())
def test_any_spans(name: str, data: st.DataObject) -> None:
    documents = data.draw(several(plain_documents, alphabet=ALPHABETS.get(name, ANY)))
    assert contents(through(name, documents)) == contents(documents)


@settings(max_examples=40)
@given(document=tokenized_documents(spaces=st.sampled_from(["", " ", "\n", "\r\n\n", "\t"])))
def test_brat_goes_over_line_ends(document: Document) -> None:
    assert contents(through("brat", [document])) == [(document.text, sorted(document.entities), [], 0)]


@pytest.mark.parametrize("name", ["jsonl", "spans", "doccano", "label-studio"])
def test_other_keys_survive(name: str) -> None:
    document = Document("Ann", extra={"id": 7, "meta": {"source": ["web"]}})
    again = through(name, through(name, [document]))
    assert (again[0].extra, again[0].name) == ({"id": 7, "meta": {"source": ["web"]}}, "7")


@pytest.mark.parametrize("name", ["brat", "conllu", "jsonl", "label-studio"])
def test_names_survive(name: str) -> None:
    sentences = [TokenizedSentence(["Ann"], [0], [3]), TokenizedSentence(["sings"], [4], [9])]
    document = Document("Ann sings", [], sentences, name="report 1")
    assert [again.name for again in through(name, [document])] == ["report 1"]


@pytest.mark.parametrize("name", ["columns", "conllu"])
@pytest.mark.parametrize("marked", [True, False])
def test_the_mark_of_a_document_of_one_sentence_survives(name: str, marked: bool) -> None:
    document = Document("Ann", [], [TokenizedSentence(["Ann"], [0], [3])], marked=marked)
    (again,) = through(name, through(name, [document]))
    assert again.marked == marked
