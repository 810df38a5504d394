"""The training set of the general English tagger, from the corpora of `../shared/data/ner`.

    python experiments/general_tagger/training_set.py ../shared runs/general_tagger/data

writes `train.conll`, `dev.conll`, for each corpus `dev/NAME.conll`, and `test/wnut17.conll`: PER, LOC, ORG and MISC in
BIO. Where a corpus has no dev of its own, every tenth sentence is one. `dev.conll`, by which a training stops, has as
many sentences of each corpus, so that none decides alone.
"""

import argparse
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from elmo_tagger.tagging.schemes import convert
from elmo_tagger.text import Sentence, read_columns, write_columns

DOMAINS = ("politics", "science", "music", "literature", "ai")  # of CrossNER
DEV_SHARE = 10  # one sentence of so many
STOPPING_SENTENCES = 150  # of each corpus, in dev.conll
# shares of the training sentences that come a second time, otherwise written
UPPER, LOWER, BARE, LITTERED = 0.25, 0.10, 0.05, 0.10
# what stands in texts from the web and is no entity
LITTER = (
    *("<b>", "</b>", "<i>", "</span>", "<li>", "</ul>", "<h1>", "&amp;", "&lt;", "🙂", "😂", "🔥", "👍🏽", "🚀🚀"),
    *("$12", "$1,499.00", "€7.50", "£80", "25%", "#now", "#wow", "https://t.co/Zx9kLm1q"),
    *("http://example.org/p/12?id=7", "www.shop.example", "@user_12", "@the_team", "@janedoe99"),
)
# what a token without an entity is where MISC is not annotated: anything but the other three types
UNKNOWN_MISC = "O|B-MISC|I-MISC"

TYPES = {
    # wnut17
    **{"person": "PER", "location": "LOC", "corporation": "ORG", "group": "ORG"},
    # CrossNER; what is not named here is MISC
    **dict.fromkeys(("politician", "scientist", "researcher", "writer", "musicalartist"), "PER"),
    "country": "LOC",
    **dict.fromkeys(("organisation", "politicalparty", "university", "band"), "ORG"),
    **{name: name for name in ("PER", "LOC", "ORG", "MISC")},
}


@dataclass(frozen=True)
class Corpus:
    """A corpus: its files, and whether it annotates MISC.

    Attributes:
        name: In the tables.
        train: Files of training sentences.
        dev: Files of sentences to measure on; none takes some of `train`.
        misc: Whether it annotates MISC.
    """

    name: str
    train: tuple[str, ...]
    dev: tuple[str, ...] = ()
    misc: bool = True


CORPORA = (
    Corpus("docred", ("docred/train.conll",), ("docred/dev.conll",)),
    Corpus("wikigold", ("wikigold/wikigold.conll.txt",)),
    Corpus(
        "crossner",
        tuple(f"crossner/{domain}/{part}.txt" for domain in DOMAINS for part in ("train", "dev")),
        tuple(f"crossner/{domain}/test.txt" for domain in DOMAINS),
    ),
    Corpus("wnut17", ("wnut17/train.conll",), ("wnut17/dev.conll",)),
    Corpus("btc", ("btc/train.conll",), ("btc/dev.conll",), misc=False),
    Corpus("tweebank", ("tweebank/train.conll",), ("tweebank/dev.conll",)),
    Corpus("multiner_gov", ("multiner_gov/train.conll",), ("multiner_gov/dev.conll",), misc=False),
)


def sentences_of(corpus: Corpus, directory: Path) -> tuple[list[Sentence], list[Sentence]]:
    """Training and dev sentences, in BIO, with the four types."""
    train = list(_read(corpus.train, directory))
    if corpus.dev:
        return train, list(_read(corpus.dev, directory))
    return (
        [sentence for place, sentence in enumerate(train) if place % DEV_SHARE],
        [sentence for place, sentence in enumerate(train) if not place % DEV_SHARE],
    )


def upper_case(sentence: Sentence) -> Sentence:
    """As a headline."""
    return _rewritten(sentence, str.upper)


def lower_case(sentence: Sentence) -> Sentence:
    """As typed in a hurry."""
    return _rewritten(sentence, str.lower)


def bare(sentence: Sentence) -> Sentence | None:
    """Without the punctuation that is outside of entities; None if nothing is left."""
    kept = [
        (token, tag)
        for token, tag in zip(sentence.tokens, sentence.tags or (), strict=True)
        if tag != "O" or any(map(str.isalnum, token))
    ]
    if not kept:
        return None
    tokens, tags = zip(*kept, strict=True)
    return Sentence(tokens=list(tokens), tags=list(tags))


def littered(sentence: Sentence, draw: random.Random) -> Sentence:
    """With one to three pieces of litter between its tokens, not within entities."""
    tokens, tags = list(sentence.tokens), list(sentence.tags or ())
    for _ in range(draw.randint(1, 3)):
        places = [place for place in range(len(tokens) + 1) if place == len(tokens) or not tags[place].startswith("I-")]
        place = draw.choice(places)
        tokens.insert(place, draw.choice(LITTER))
        tags.insert(place, "O")
    return Sentence(tokens=tokens, tags=tags)


def augmented(sentences: list[Sentence], draw: random.Random) -> Iterator[Sentence]:
    """The sentences, and a share of them a second time in each other way of writing."""
    ways: tuple[tuple[Callable[[Sentence], Sentence | None], float], ...] = (
        (upper_case, UPPER),
        (lower_case, LOWER),
        (bare, BARE),
        (lambda each: littered(each, draw), LITTERED),
    )
    yield from sentences
    for rewrite, share in ways:
        for sentence in draw.sample(sentences, int(share * len(sentences))):
            other = rewrite(sentence)
            if other is not None:
                yield other


def with_unknown_misc(sentence: Sentence) -> Sentence:
    """The sentence of a corpus that does not annotate MISC: a token outside of its entities may be in one."""
    return Sentence(tokens=sentence.tokens, tags=[UNKNOWN_MISC if tag == "O" else tag for tag in sentence.tags or ()])


def _read(files: Iterable[str], directory: Path) -> Iterator[Sentence]:
    for file in files:
        for sentence in read_columns(directory / file):
            tags = convert(sentence, "IOB1" if "wikigold" in file else "BIO", "BIO")
            yield Sentence(tokens=sentence.tokens, tags=_without_mentions(sentence.tokens, list(map(_mapped, tags))))


def _without_mentions(tokens: list[str], tags: list[str]) -> list[str]:
    """Tags in BIO, in which an account's name is no entity; the Broad Twitter Corpus marks most as persons."""
    mention = False
    kept = []
    for token, tag in zip(tokens, tags, strict=True):
        mention = token.startswith("@") if tag.startswith("B-") else mention and tag.startswith("I-")
        kept.append("O" if mention else tag)
    return kept


def _mapped(tag: str) -> str:
    if tag == "O":
        return tag
    prefix, _, name = tag.partition("-")
    return f"{prefix}-{TYPES.get(name, 'MISC')}"


def _rewritten(sentence: Sentence, change: Callable[[str], str]) -> Sentence:
    return Sentence(tokens=[change(token) for token in sentence.tokens], tags=sentence.tags)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shared", type=Path, help="directory with data/ner")
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of the sentences that are augmented")
    parser.add_argument(
        "--misc-absent", action="store_true", help="train as if corpora without MISC had none, not on partial labels"
    )
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    for part in ("dev", "test"):
        (arguments.output / part).mkdir(parents=True, exist_ok=True)
    train: list[Sentence] = []
    stopping: list[Sentence] = []
    for corpus in CORPORA:
        own, dev = sentences_of(corpus, arguments.shared / "data" / "ner")
        more = list(augmented(own, draw))
        partial = not corpus.misc and not arguments.misc_absent
        train += [with_unknown_misc(sentence) for sentence in more] if partial else more
        stopping += draw.sample(dev, min(len(dev), STOPPING_SENTENCES))
        write_columns(dev, arguments.output / "dev" / f"{corpus.name}.conll")
        print(f"{corpus.name}: {len(own)} sentences to train on, {len(more)} with augmented ones, {len(dev)} of dev")
    test = _read(["wnut17/test.conll"], arguments.shared / "data" / "ner")
    write_columns(test, arguments.output / "test" / "wnut17.conll")
    write_columns(train, arguments.output / "train.conll")
    write_columns(stopping, arguments.output / "dev.conll")


if __name__ == "__main__":
    main()
