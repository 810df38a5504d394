"""Tiny texts for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from elmo_tagger.bilm.training import Corpus, LmVocabulary, count_words, prepare

SENTENCES = [
    "Nell sat in Reykjavík .",
    "The cat sat .",
    "1987",
    "Nell saw the cat in 1987 , and the cat saw Nell .",
    "日本語 — is a word of Donaudampfschifffahrtsgesellschaft .",
    "The cat saw the dog and the dog saw the cat .",
]


def write(path: Path, sentences: list[str]) -> Path:
    path.write_text("".join(f"{sentence}\n" for sentence in sentences))
    return path


def corpus_of(directory: Path, sentences: list[str] = SENTENCES) -> Corpus:
    return prepare([write(directory / "text.txt", sentences)], directory / "prepared")


def vocabulary_of(directory: Path, **options: int) -> LmVocabulary:
    """Of the file that `corpus_of` wrote."""
    return count_words([directory / "text.txt"]).vocabulary(**options)


def grammar(count: int, seed: int = 0) -> list[str]:
    """Sentences in which a word tells much of its neighbours."""
    random = np.random.default_rng(seed)
    names, verbs, places = ([f"{kind}{number}" for number in range(20)] for kind in ("name", "verb", "place"))
    chosen = random.integers(0, 20, size=(count, 3))
    # the place follows from the name
    return [f"{names[a]} {verbs[b]} to {places[(7 * a + 3) % 20]} ." for a, b, _ in chosen.tolist()]
