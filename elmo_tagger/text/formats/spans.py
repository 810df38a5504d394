"""Entities by characters, spans by tokens, and tags: from each to the others."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from elmo_tagger.errors import shown
from elmo_tagger.text.files import DataError
from elmo_tagger.text.formats.document import Document, Entity
from elmo_tagger.text.sentence import Sentence, Span
from elmo_tagger.text.tokenize import TokenizedSentence

SpansOf = Callable[[Sentence], Sequence[Span]]
"""Reads a sentence's tags as spans; the caller chooses the scheme."""
TagsOf = Callable[[Sequence[Span], int], Sequence[str]]
"""Writes spans of a sentence of so many tokens as tags."""


def document_of(sentences: Sequence[Sentence]) -> Document:
    """One document of sentences without a text: tokens are set apart by spaces, sentences by line feeds.

    Args:
        sentences: At least one.
    """
    first = sentences[0]
    lines = [" ".join(sentence.tokens) for sentence in sentences]
    document = Document("\n".join(lines), number=first.document, path=first.path)
    document.place = first.where() if first.lines else first.path
    at = 0
    for sentence in sentences:
        starts: list[int] = []
        for token in sentence.tokens:
            starts.append(at)
            at += len(token) + 1
        ends = [start + len(token) for start, token in zip(starts, sentence.tokens, strict=True)]
        document.sentences.append(TokenizedSentence(sentence.tokens, starts, ends))
        document.lines.append(sentence.lines)
        if sentence.tags is not None:
            document.tags.append(sentence.tags)
    return document


def sentences_of(document: Document) -> Iterator[Sentence]:
    """The sentences of a document with the tags that it has."""
    for number, sentence in enumerate(document.sentences):
        tags = document.tags[number] if document.tags else None
        lines = document.lines[number] if document.lines else []
        yield Sentence(sentence.tokens, tags, document.path or document.place, lines, document.number)


def read_tags(document: Document, spans_of: SpansOf) -> None:
    """Fills in the entities that a document's tags say."""
    document.entities = [
        Entity(tokenized.starts[span.start], tokenized.ends[span.end - 1], span.type)
        for tokenized, sentence in zip(document.sentences, sentences_of(document), strict=True)
        for span in spans_of(sentence)
    ]


def write_tags(document: Document, index: int, tags_of: TagsOf) -> None:
    """Fills in the tags that a document's entities are written as.

    Raises:
        DataError: As `token_spans`.
    """
    document.tags = [
        list(tags_of(spans, len(sentence.tokens)))
        for sentence, spans in zip(document.sentences, token_spans(document, index), strict=True)
    ]


def token_spans(document: Document, index: int = 0) -> list[list[Span]]:
    """Each sentence's entities as spans of its tokens, in order.

    Args:
        document: With tokens.
        index: The document's place among others, for messages.

    Raises:
        DataError: An entity begins or ends within a token, covers no token, goes beyond its sentence, or overlaps
            another; names the document and the entities. Or a text has no tokens.
    """
    if not document.sentences and document.text.strip():
        raise DataError(
            f"{document.where(index)}: the text has no tokens, and tags belong to tokens: tokenize it first"
        )
    firsts = [sentence.starts[0] for sentence in document.sentences]
    found: list[list[Span]] = [[] for _ in document.sentences]
    last: Entity | None = None
    for entity in sorted(document.entities):
        if last is not None and entity.start < last.end:
            raise _inexpressible(document, index, entity, f"overlaps {_shown(document, last)}")
        last = entity
        number = bisect_right(firsts, entity.start) - 1
        if number < 0:
            raise _inexpressible(document, index, entity, "begins before the first token")
        sentence = document.sentences[number]
        start, end = bisect_left(sentence.starts, entity.start), bisect_left(sentence.ends, entity.end)
        if end == len(sentence.ends):
            raise _inexpressible(
                document, index, entity, f"goes beyond its sentence, which ends at {sentence.ends[-1]}"
            )
        if start == len(sentence.starts) or (sentence.starts[start], sentence.ends[end]) != (entity.start, entity.end):
            raise _inexpressible(document, index, entity, _cut_token(sentence, entity))
        found[number].append(Span(start, end + 1, entity.type))
    return found


def tokenized(
    document: Document, tokenizer: Callable[[str], list[TokenizedSentence]], *, split_at_entities: bool = False
) -> Document:
    """The document with tokens, if it has none yet.

    Args:
        document: Any; one that has tokens comes back as it is.
        tokenizer: Such as `elmo_tagger.text.Tokenizer()`.
        split_at_entities: Whether tokens that an entity would cut are split there, and sentences that end within an
            entity are joined, so that `token_spans` can hold every entity that overlaps no other.
    """
    if document.sentences:
        return document
    sentences = [sentence for sentence in tokenizer(document.text) if sentence.tokens]
    if split_at_entities:
        cuts = sorted({place for entity in document.entities for place in (entity.start, entity.end)})
        sentences = _joined([_split(sentence, document.text, cuts) for sentence in sentences], document.entities)
    return replace(document, sentences=sentences)


def _split(sentence: TokenizedSentence, text: str, cuts: list[int]) -> TokenizedSentence:
    starts: list[int] = []
    ends: list[int] = []
    for start, end in zip(sentence.starts, sentence.ends, strict=True):
        inner = cuts[bisect_right(cuts, start) : bisect_left(cuts, end)]
        starts += [start, *inner]
        ends += [*inner, end]
    return TokenizedSentence([text[start:end] for start, end in zip(starts, ends, strict=True)], starts, ends)


def _joined(sentences: list[TokenizedSentence], entities: list[Entity]) -> list[TokenizedSentence]:
    ahead, reach = sorted(entities, reverse=True), 0
    joined: list[TokenizedSentence] = []
    for sentence in sentences:
        while ahead and ahead[-1].start < sentence.starts[0]:
            reach = max(reach, ahead.pop().end)
        if joined and reach > sentence.starts[0]:
            before = joined.pop()
            sentence = TokenizedSentence(
                before.tokens + sentence.tokens, before.starts + sentence.starts, before.ends + sentence.ends
            )
        joined.append(sentence)
    return joined


def _cut_token(sentence: TokenizedSentence, entity: Entity) -> str:
    for token, start, end in zip(sentence.tokens, sentence.starts, sentence.ends, strict=True):
        if start < entity.start < end or start < entity.end < end:
            return f"cuts the token {shown(token)} ({start} to {end})"
    return "begins or ends in white space between tokens"


def _inexpressible(document: Document, index: int, entity: Entity, problem: str) -> DataError:
    return DataError(f"{document.where(index)}: {_shown(document, entity)} {problem}: tags cannot express it")


def _shown(document: Document, entity: Entity) -> str:
    text = document.text[entity.start : entity.end]
    return f"{shown(entity.type, quoted=False)} {shown(text, limit=40)} ({entity.start} to {entity.end})"
