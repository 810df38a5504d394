"""Engine 3, words: files in and out, tokens with character offsets, static vectors."""

from elmo_tagger.text.columns import read_columns, write_columns
from elmo_tagger.text.files import DataError
from elmo_tagger.text.sentence import Sentence, Span
from elmo_tagger.text.tokenize import TokenizedSentence, Tokenizer, split_at_spaces

__all__ = [
    "DataError",
    "Sentence",
    "Span",
    "TokenizedSentence",
    "Tokenizer",
    "read_columns",
    "split_at_spaces",
    "write_columns",
]
