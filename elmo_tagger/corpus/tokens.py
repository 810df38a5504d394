"""Tokens for documents that have only a text, and what to do where their entities do not fit the tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from elmo_tagger.text.files import DataError
from elmo_tagger.text.formats.document import Document
from elmo_tagger.text.formats.spans import token_spans, tokenized
from elmo_tagger.text.sentence import Span
from elmo_tagger.text.tokenize import TokenizedSentence

Tokenize = Callable[[str], list[TokenizedSentence]]


def with_tokens(
    document: Document, index: int, tokenizer: Tokenize, *, split: bool = False
) -> tuple[Document, Sequence[Sequence[Span]]]:
    """A document with tokens, and each sentence's entities.

    Args:
        document: With or without tokens.
        index: The document's place among others, for messages.
        tokenizer: Such as `elmo_tagger.text.Tokenizer()`.
        split: Whether tokens of `tokenizer` that an entity cuts are split.

    Raises:
        DataError: Entities that tags cannot express; where splitting tokens would help, the message says so.
    """
    whole = tokenized(document, tokenizer, split_at_entities=split)
    try:
        return whole, token_spans(whole, index)
    except DataError as error:
        advice = "" if split or document.sentences else _advice(document, index, tokenizer)
        raise DataError(f"{error}{advice}", reading="the document is left out") from None


def _advice(document: Document, index: int, tokenizer: Tokenize) -> str:
    try:
        token_spans(tokenized(document, tokenizer, split_at_entities=True), index)
    except DataError:
        return ""
    return "; --split-tokens of convert fits tokens and sentences to entities"
