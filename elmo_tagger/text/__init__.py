"""Engine 3, words: files in and out, tokens with character offsets, static vectors."""

from elmo_tagger.text.columns import read_columns, write_columns
from elmo_tagger.text.files import DataError
from elmo_tagger.text.sentence import Sentence, Span

__all__ = ["DataError", "Sentence", "Span", "read_columns", "write_columns"]
