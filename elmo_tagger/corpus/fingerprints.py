"""64-bit fingerprints of token sequences, so that millions can be compared without being kept.

A fingerprint is the sum over tokens of (a random number of the word) x (an odd random number of the place), modulo
2 ** 64. Two different sequences share one with a probability of about 2 ** -64: among a million, 3e-8 for any pair.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Prints = NDArray[np.uint64]
_BLOCK = 1_000_000  # tokens at a time, to bound memory


class Fingerprints:
    """The random numbers of words and places.

    Args:
        words: How many distinct words there are; number -1 is one more.
        longest: Tokens of the longest sequence.
    """

    def __init__(self, *, words: int, longest: int) -> None:
        random = np.random.default_rng(0)
        self._of_word = random.integers(0, 2**64, size=words + 1, dtype=np.uint64)
        self._of_place = random.integers(0, 2**63, size=longest, dtype=np.uint64) * np.uint64(2) + np.uint64(1)

    def extend(self, prints: Prints, place: int, words: NDArray[np.int32]) -> Prints:
        """`(n,)` fingerprints of sequences of `place` tokens, each with one more word; those of none are 0."""
        terms: Prints = self._of_word[words] * self._of_place[place]
        return prints + terms

    def of_slices(self, tokens: NDArray[np.int32], begins: NDArray[np.int64], lengths: NDArray[np.int64]) -> Prints:
        """`(n,)` fingerprints of the sequences that begin at given positions of an array.

        Args:
            tokens: `(positions,)` word numbers.
            begins: `(n,)` first positions.
            lengths: `(n,)` numbers of tokens.
        """
        prints = np.zeros(len(begins), dtype=np.uint64)
        ends = np.cumsum(lengths)
        done = 0
        while done < len(begins):
            before = int(ends[done - 1]) if done else 0
            stop = max(int(np.searchsorted(ends, before + _BLOCK, side="right")), done + 1)
            sizes = lengths[done:stop]
            offsets = np.cumsum(sizes) - sizes
            places = np.arange(int(sizes.sum())) - np.repeat(offsets, sizes)
            terms = self._of_word[tokens[np.repeat(begins[done:stop], sizes) + places]] * self._of_place[places]
            filled = sizes > 0  # reduceat gives a term, not 0, for an empty slice
            if filled.any():
                prints[done:stop][filled] = np.add.reduceat(terms, offsets[filled])
            done = stop
        return prints
