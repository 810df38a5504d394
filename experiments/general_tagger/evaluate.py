"""F1 of a tagger by corpus and type, and how it takes what people write.

    python experiments/general_tagger/evaluate.py MODEL runs/general_tagger/data [--output results.json]

MODEL is an archive of `tagger.jsonnet`, a model folder, or `en`. Each corpus counts the types that it annotates; the
average is over the corpora's dev sentences; WNUT-17's test set, whose names were chosen to be new, comes after it.
Robustness is measured on 2,000 dev sentences, as they are and in upper and lower case, and on sentences in which
nothing is an entity (HTML tags, emoji, URLs, mentions, prices).
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from training_set import CORPORA, lower_case, upper_case

import elmo_tagger
from elmo_tagger.corpus.calibration import reliability
from elmo_tagger.tagger import Tagger
from elmo_tagger.tagging.schemes import tags_to_spans
from elmo_tagger.tagging.scoring import EntityCounts
from elmo_tagger.text import Sentence, Span, read_columns

Tag = Callable[[Sequence[list[str]]], list[list[Span]]]
"""A tagger: tokens of sentences -> entities of each."""

TYPES = ("PER", "LOC", "ORG", "MISC")
WNUT17_TEST = Path("test", "wnut17.conll")
ROBUSTNESS_SENTENCES = 2000
NO_ENTITIES = ("<br/>", "</div>", "<p>", "&nbsp;", "😀", "🎉🎉", "❤️", "https://t.co/a1B2c3", "http://www.x.org/a?b=1",
               "@someone", "@the_real_one", "$5.99", "€20", "£3,000", "10%", "#fail")  # fmt: skip
CARRIERS = ("I like {} a lot", "{} this is what we got", "so {}", "It was sent to us as {} , was n't it ?")


def score(tag: Tag, sentences: Sequence[Sentence], types: Iterable[str] = TYPES) -> EntityCounts:
    """Counts of entities of some types, over sentences in BIO."""
    counts = EntityCounts()
    wanted = set(types)
    for sentence, found in zip(sentences, tag([each.tokens for each in sentences]), strict=True):
        gold = tags_to_spans(sentence, "BIO")
        counts.add([each for each in gold if each.type in wanted], [each for each in found if each.type in wanted])
    return counts


def by_corpus(tag: Tag, directory: Path) -> dict[str, dict[str, float]]:
    """F1 in percent by corpus: of all types together, and of each; tokens a second of them all."""
    table: dict[str, dict[str, float]] = {}
    tokens = 0
    begin = time.perf_counter()
    for corpus in CORPORA:
        dev = list(read_columns(directory / "dev" / f"{corpus.name}.conll"))
        tokens += sum(len(each.tokens) for each in dev)
        types = TYPES if corpus.misc else TYPES[:-1]
        counts = score(tag, dev, types)
        table[corpus.name] = {"all": 100 * counts.micro().f1, **{each: 100 * counts[each].f1 for each in types}}
    seconds = time.perf_counter() - begin
    average = sum(row["all"] for row in table.values()) / len(table)
    table["average"] = {"all": average, "tokens_per_second": tokens / seconds}
    table["wnut17_test"] = {"all": 100 * score(tag, list(read_columns(directory / WNUT17_TEST))).micro().f1}
    return table


def calibration(tagger: Tagger, directory: Path) -> dict[str, dict[str, float]]:
    """Expected calibration error of the entities that a tagger finds, ten bins, by corpus."""
    table = {}
    for name in (*(f"dev/{corpus.name}.conll" for corpus in CORPORA if corpus.misc), str(WNUT17_TEST)):
        sentences = list(read_columns(directory / name))
        gold = [set(tags_to_spans(sentence, "BIO")) for sentence in sentences]
        judged = [
            (entity.confidence, Span(entity.token_start, entity.token_end, entity.type) in right)
            for right, document in zip(gold, tagger.pipe([each.tokens for each in sentences]), strict=True)
            for entity in document.entities
        ]
        found = reliability(judged)
        table[name] = {"entities": found.entities, "expected_calibration_error": found.expected_error}
    return table


def robustness(tag: Tag, directory: Path) -> dict[str, float]:
    """F1 as written, in upper and in lower case; and how often what is no entity is tagged as one, in percent."""
    sentences = [
        sentence
        for corpus in CORPORA
        if corpus.misc
        for sentence in read_columns(directory / "dev" / f"{corpus.name}.conll")
    ]
    chosen = random.Random(0).sample(sentences, min(ROBUSTNESS_SENTENCES, len(sentences)))
    ways: dict[str, Callable[[Sentence], Sentence]] = {
        "as written": lambda each: each,
        "upper case": upper_case,
        "lower case": lower_case,
    }
    found = {name: 100 * score(tag, list(map(way, chosen))).micro().f1 for name, way in ways.items()}
    lines = [(carrier.format(word).split(), word) for carrier in CARRIERS for word in NO_ENTITIES]
    wrong = sum(
        any(word in tokens[span.start : span.end] for span in spans)
        for (tokens, word), spans in zip(lines, tag([tokens for tokens, _ in lines]), strict=True)
    )
    return {**found, "no entity, tagged as one": 100 * wrong / len(lines)}


def our_tag(tagger: Tagger) -> Tag:
    """By a tagger of this package."""

    def tag(sentences: Sequence[list[str]]) -> list[list[Span]]:
        return [
            [Span(entity.token_start, entity.token_end, entity.type) for entity in document.entities]
            for document in tagger.pipe(sentences)
        ]

    return tag


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    tagger = elmo_tagger.load(arguments.model)
    tag = our_tag(tagger)
    result = {
        "corpora": by_corpus(tag, arguments.data),
        "robustness": robustness(tag, arguments.data),
        "calibration": calibration(tagger, arguments.data),
    }
    text = json.dumps(result, indent=1) + "\n"
    if arguments.output:
        arguments.output.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
