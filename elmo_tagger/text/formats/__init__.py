"""Files of annotated documents, all read into and written from one form."""

from elmo_tagger.text.formats.document import Document, Entity
from elmo_tagger.text.formats.format import FileOptions, Format
from elmo_tagger.text.formats.registry import FORMATS, format_of_file, format_of_name, get_format
from elmo_tagger.text.formats.spans import SpansOf, TagsOf, document_of, read_tags, token_spans, tokenized, write_tags

__all__ = [
    "FORMATS",
    "Document",
    "Entity",
    "FileOptions",
    "Format",
    "SpansOf",
    "TagsOf",
    "document_of",
    "format_of_file",
    "format_of_name",
    "get_format",
    "read_tags",
    "token_spans",
    "tokenized",
    "write_tags",
]
