"""Which layer of a biLM separates the senses of a word: `python experiments/senses/senses.py [--weights starter]`.

`senses.tsv` has sentences, written for this, with an ambiguous word, its sense, and the sentence. For each layer, each
occurrence is given the sense of the nearest other occurrence of the same word, by the cosine; the score is the share
that is right. Chance is what the nearest would be right if it were any other occurrence. Beside it: the mean cosine of
occurrences of one sense, and of two. Prints Markdown.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from elmo_tagger.bilm.loading.source import load_bilm
from elmo_tagger.vectors.compute import Request, SentenceVectors
from elmo_tagger.vectors.nearest import unit
from elmo_tagger.vectors.neighbours import Occurrence, occurrence_vectors

EXAMPLES = Path(__file__).parent / "senses.tsv"


def examples() -> list[tuple[str, Occurrence]]:
    """Sense and place of each occurrence."""
    found = []
    for line, text in enumerate(EXAMPLES.read_text(encoding="utf-8").splitlines(), start=1):
        word, sense, sentence = text.split("\t")
        tokens = sentence.split()
        found.append((f"{word}: {sense}", Occurrence(tokens, tokens.index(word), line)))
    return found


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="starter")
    found = examples()
    bilm = load_bilm(parser.parse_args().weights)
    layers = occurrence_vectors([place for _, place in found], SentenceVectors(bilm, Request()))
    named = {f"layer {number}": layers[:, number] for number in range(layers.shape[1])}
    named["average"] = layers.mean(1)
    senses = np.array([sense for sense, _ in found])
    words = np.array([place.tokens[place.place] for _, place in found])
    same_word = (words[:, None] == words[None]) & ~np.eye(len(words), dtype=bool)
    same_sense = (senses[:, None] == senses[None]) & same_word
    chance = (same_sense.sum(1) / same_word.sum(1)).mean()
    print(f"{len(found)} occurrences of {len(set(words))} words in {len(set(senses))} senses; chance {chance:.1%}.\n")
    print("| layer | nearest is of the same sense | cosine, same sense | cosine, other sense |\n|---|--:|--:|--:|")
    by_word: dict[str, dict[str, float]] = defaultdict(dict)
    for name, vectors in named.items():
        cosines = unit(vectors) @ unit(vectors).T
        nearest = np.where(same_word, cosines, -np.inf).argmax(1)
        right = senses[nearest] == senses
        own, other = cosines[same_sense].mean(), cosines[same_word & ~same_sense].mean()
        print(f"| {name} | {right.mean():.1%} | {own:.3f} | {other:.3f} |")
        for word in sorted(set(words)):
            by_word[word][name] = right[words == word].mean()
    print(f"\n| word | {' | '.join(named)} |\n|---|{'--:|' * len(named)}")
    for word, row in by_word.items():
        print(f"| {word} | {' | '.join(f'{row[name]:.0%}' for name in named)} |")


if __name__ == "__main__":
    main()
