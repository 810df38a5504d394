"""Annotated documents for property tests."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from hypothesis import strategies as st

from elmo_tagger.tagging.schemes import spans_to_tags, tags_to_spans
from elmo_tagger.text import Sentence, TokenizedSentence
from elmo_tagger.text.files import Report
from elmo_tagger.text.formats import FORMATS, Document, Entity, FileOptions, read_tags, write_tags
from elmo_tagger.text.sentence import Span

TYPES = st.sampled_from(["PER", "LOC", "work-of-art"])
SPACES = st.text(st.sampled_from(" \t\n\r\u00a0\u2028"), max_size=3)
# Letters as well as what goes wrong most easily.
TOKEN = st.text(st.sampled_from("ab_#-|\\=é😀\u0301\u200b\ufeff\x00"), min_size=1, max_size=4).filter(
    lambda token: token != "-DOCSTART-"
)


def tags_of(spans: list[Span], length: int) -> list[str]:
    return spans_to_tags(spans, length, "BIOUL")


def spans_of(sentence: Sentence) -> list[Span]:
    return tags_to_spans(sentence, "BIOUL")


def read(path: Path, name: str, *, report: Report | None = None, **options: object) -> list[Document]:
    """The documents of a file with their entities, tags taken as BIOUL."""
    documents = list(FORMATS[name].read(path, FileOptions(**options), report))
    for document in documents:
        if FORMATS[name].has_tags:
            read_tags(document, spans_of)
    return documents


def write(documents: Iterable[Document], path: Path, name: str) -> None:
    """Documents to a file, tags in BIOUL."""

    def tagged() -> Iterator[Document]:
        for index, document in enumerate(documents):
            if FORMATS[name].has_tags:
                write_tags(document, index, tags_of)
            yield document

    FORMATS[name].write(tagged(), path)


@st.composite
def tokenized_documents(draw: st.DrawFn, number: int = 0, *, spaces: st.SearchStrategy[str] = SPACES) -> Document:
    """Any white space (or none) around tokens, entities of whole tokens that do not overlap."""
    document = Document(draw(spaces), number=number)
    for _ in range(draw(st.integers(1, 3))):
        sentence = TokenizedSentence([], [], [])
        inside: str | None = None
        for token in draw(st.lists(TOKEN, min_size=1, max_size=4)):
            sentence.tokens.append(token)
            sentence.starts.append(len(document.text))
            document.text += token
            sentence.ends.append(len(document.text))
            document.text += draw(spaces)
            begins = draw(st.sampled_from(["in", "begin", "out"]))
            if begins == "in" and inside:
                last = document.entities.pop()
                document.entities.append(Entity(last.start, sentence.ends[-1], last.type))
            else:
                inside = draw(TYPES) if begins == "begin" else None
                if inside:
                    document.entities.append(Entity(sentence.starts[-1], sentence.ends[-1], inside))
        document.sentences.append(sentence)
    return document


@st.composite
def plain_documents(draw: st.DrawFn, number: int = 0, *, alphabet: st.SearchStrategy[str]) -> Document:
    """No tokens; entities anywhere, overlapping as they like."""
    text = draw(st.text(alphabet, max_size=20))
    places = st.lists(st.integers(0, len(text)), min_size=2, max_size=2, unique=True).map(sorted)
    entity = st.builds(lambda place, type_: Entity(place[0], place[1], type_), places, TYPES)
    return Document(text, draw(st.lists(entity, max_size=4)) if text else [], number=number)


def several(documents, **options) -> st.SearchStrategy[list[Document]]:
    """One to three documents of a file."""
    return (
        st.integers(1, 3).flatmap(lambda count: st.tuples(*map(partial(documents, **options), range(count)))).map(list)
    )
