"""Words in and out: annotated files, raw text, static word vectors.

In go files of any format or a raw text; out come `Sentence`s of tokens and tags, or tokens with their places in the
text, and the other way round. Begin with `sentence`, the type that all else exchanges, then `columns` (column files)
and `tokenize` (raw text); `formats` holds the other formats, a file each.

`files` opens and decodes what is read, and `outputs` sees to it that nothing is half-written or written over.
"""

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
