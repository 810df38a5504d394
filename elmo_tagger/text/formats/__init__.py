"""Files of annotated documents, all read into and written from one form."""

from elmo_tagger.text.formats.alignment import document_of, token_spans, tokenized
from elmo_tagger.text.formats.document import Document, Entity, SpansOf, TagsOf
from elmo_tagger.text.formats.registry import FORMATS, Format, format_of, get_format

__all__ = [
    "FORMATS",
    "Document",
    "Entity",
    "Format",
    "SpansOf",
    "TagsOf",
    "document_of",
    "format_of",
    "get_format",
    "token_spans",
    "tokenized",
]
