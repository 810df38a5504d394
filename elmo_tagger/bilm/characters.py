"""Words as character ids: the UTF-8 bytes of a word between marks, as bilm-tf numbers them.

Ids are shifted by one, because 0 stands for a position without a word:

    1-256    a UTF-8 byte, plus one       259  begin of word
    257      begin of sentence            260  end of word
    258      end of sentence              261  filling after the end of the word

Source: https://github.com/allenai/bilm-tf, bilm/data.py, UnicodeCharsVocabulary and Batcher.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int16]

BEGIN_SENTENCE, END_SENTENCE = 257, 258
BEGIN_WORD, END_WORD, PAD_CHARACTER = 259, 260, 261
LARGEST_ID = PAD_CHARACTER

# Words with a meaning of their own in bilm-tf: they stand for the sentence boundaries.
BEGIN_SENTENCE_WORD, END_SENTENCE_WORD = "<S>", "</S>"

# Bytes that no UTF-8 text contains stand for the marks until the table turns bytes into ids.
_BEGIN_BYTE, _END_BYTE, _PAD_BYTE = b"\xfd", b"\xfe", b"\xff"
_BEGIN_SENTENCE_BYTE, _END_SENTENCE_BYTE = b"\xf8", b"\xf9"
_ID_OF_BYTE = np.arange(1, 257, dtype=np.int16)
_ID_OF_BYTE[_BEGIN_BYTE[0]] = BEGIN_WORD
_ID_OF_BYTE[_END_BYTE[0]] = END_WORD
_ID_OF_BYTE[_PAD_BYTE[0]] = PAD_CHARACTER
_ID_OF_BYTE[_BEGIN_SENTENCE_BYTE[0]] = BEGIN_SENTENCE
_ID_OF_BYTE[_END_SENTENCE_BYTE[0]] = END_SENTENCE


def encode_words(words: Iterable[str], *, max_characters: int = 50) -> Ids:
    """Character ids of words.

    A word of more than `max_characters - 2` bytes is cut, if need be within a character. Lone surrogates, which UTF-8
    cannot express, are dropped; control characters are bytes like any other; the empty word is its two marks.

    Args:
        words: W words. `<S>` and `</S>` stand for the sentence boundaries.
        max_characters: C, from the biLM's options.

    Returns:
        (W, C) int16.
    """
    return ids_of_rows((byte_row(word, max_characters) for word in words), max_characters=max_characters)


def encode_sentences(sentences: Sequence[Sequence[str]], *, max_characters: int = 50) -> Ids:
    """Character ids of a batch of sentences, each distinct word encoded once.

    Returns:
        (B, T, C) int16, T the longest sentence's length; a position without a word is all 0.
    """
    row_of: dict[str, int] = {}
    longest = max((len(sentence) for sentence in sentences), default=0)
    index = np.zeros((len(sentences), longest), dtype=np.int64)
    for row, sentence in enumerate(sentences):
        # row 0 of the table below is the position without a word
        index[row, : len(sentence)] = [row_of.setdefault(word, len(row_of) + 1) for word in sentence]
    table = np.zeros((len(row_of) + 1, max_characters), dtype=np.int16)
    table[1:] = encode_words(row_of, max_characters=max_characters)
    return table[index]


def boundary_ids(*, max_characters: int = 50) -> Ids:
    """Character ids (2, C) int16 of begin and end of sentence."""
    return encode_words((BEGIN_SENTENCE_WORD, END_SENTENCE_WORD), max_characters=max_characters)


@lru_cache(maxsize=2**16)  # some 10 MB at 50 characters a word
def byte_row(word: str, max_characters: int) -> bytes:
    """A word with its marks, a byte for each of its C character ids; the words met last are remembered."""
    if word == BEGIN_SENTENCE_WORD:
        text = _BEGIN_SENTENCE_BYTE
    elif word == END_SENTENCE_WORD:
        text = _END_SENTENCE_BYTE
    else:
        text = word.encode("utf-8", "ignore")[: max_characters - 2]
    return (_BEGIN_BYTE + text + _END_BYTE).ljust(max_characters, _PAD_BYTE)


def ids_of_rows(rows: Iterable[bytes], *, max_characters: int) -> Ids:
    """Character ids (W, C) int16 of W words' `byte_row`s."""
    ids: Ids = _ID_OF_BYTE.take(np.frombuffer(b"".join(rows), dtype=np.uint8))
    return ids.reshape(-1, max_characters)
