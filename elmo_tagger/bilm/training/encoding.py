"""A block of text as numbers: its distinct words, and for each token which of them it is."""

from __future__ import annotations

from array import array
from collections import defaultdict
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt

from elmo_tagger.bilm.training.text_blocks import TextBlock
from elmo_tagger.text.files import decode_lines


@dataclass(frozen=True)
class EncodedBlock:
    """What a block of text says.

    Attributes:
        block: The block, without its data.
        words: Its distinct words in the order of their first tokens, UTF-8.
        tokens: For each token the place of its word in `words`, uint32.
        lengths: Tokens of each sentence, uint32; empty lines are no sentences.
    """

    block: TextBlock
    words: list[bytes]
    tokens: npt.NDArray[np.uint32]
    lengths: npt.NDArray[np.uint32]


def encode_block(block: TextBlock) -> EncodedBlock:
    r"""Number the words of a block: one sentence a line, tokens apart by ASCII white space.

    Other white space of Unicode stays in its token: tokenisers leave no-break spaces in numbers, for instance.

    Raises:
        DataError: The bytes are not UTF-8; names file, line and offset in the unpacked file.
    """
    _check_utf8(block)
    place: defaultdict[bytes, int] = defaultdict(count().__next__)
    tokens, lengths = array("I"), array("I")
    for line in block.data.split(b"\n"):
        words = line.split()
        if words:
            tokens.extend(map(place.__getitem__, words))
            lengths.append(len(words))
    place.default_factory = None
    return EncodedBlock(
        TextBlock(block.path, b"", block.first_line, block.offset, block.read, block.last),
        list(place),
        np.array(tokens, dtype=np.uint32),
        np.array(lengths, dtype=np.uint32),
    )


def _check_utf8(block: TextBlock) -> None:
    try:
        block.data.decode()
    except UnicodeDecodeError:
        for _ in decode_lines(_lines(block.data), name=block.path, first_line=block.first_line, offset=block.offset):
            pass  # the first bad line raises, with its place
        raise


def _lines(data: bytes) -> list[bytes]:
    r"""Lines that end at `\n` alone."""
    *whole, rest = data.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])
