"""The training set of experiments/general_tagger on made-up corpora."""

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path("experiments/general_tagger").resolve()))
from training_set import LITTER, UNKNOWN_MISC, Corpus, augmented, bare, littered, sentences_of, with_unknown_misc

from elmo_tagger.text import Sentence

SENTENCE = Sentence(["Mr.", "Bo", "saw", "U.S.", ",", "Inc", "."], ["O", "B-PER", "O", "B-LOC", "O", "B-ORG", "O"])


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Two corpora without dev: WNUT-17's types, and CrossNER's."""
    lines = [f"Bo\tB-person\nsings{place}\tO\nHelp\tB-song\n\n" for place in range(20)]
    (tmp_path / "a.conll").write_text("".join(lines))
    return tmp_path


def test_types_become_the_four_and_a_tenth_is_dev(directory: Path) -> None:
    train, dev = sentences_of(Corpus("a", ("a.conll",)), directory)
    assert [each.tags for each in train] == [["B-PER", "O", "B-MISC"]] * 18
    assert [each.tokens[1] for each in dev] == ["sings0", "sings10"]
    assert not {each.tokens[1] for each in train} & {each.tokens[1] for each in dev}


def test_a_dev_of_its_own_leaves_training_whole(directory: Path) -> None:
    train, dev = sentences_of(Corpus("a", ("a.conll",), ("a.conll",)), directory)
    assert len(train) == len(dev) == 20


def test_no_entity_loses_a_token_with_the_punctuation() -> None:
    found = bare(SENTENCE)
    assert found is not None
    assert found.tokens == ["Mr.", "Bo", "saw", "U.S.", "Inc"]
    assert found.tags == ["O", "B-PER", "O", "B-LOC", "B-ORG"]
    assert bare(Sentence(["...", "!"], ["O", "O"])) is None


def test_augmented_sentences_keep_their_tags() -> None:
    found = list(augmented([SENTENCE] * 100, random.Random(0)))
    assert found[:100] == [SENTENCE] * 100
    written = {tuple(each.tokens): each.tags for each in found[100:] if not set(each.tokens) & set(LITTER)}
    assert set(written) == {
        ("MR.", "BO", "SAW", "U.S.", ",", "INC", "."),
        ("mr.", "bo", "saw", "u.s.", ",", "inc", "."),
        ("Mr.", "Bo", "saw", "U.S.", "Inc"),
    }
    assert written["mr.", "bo", "saw", "u.s.", ",", "inc", "."] == SENTENCE.tags


def test_litter_stands_between_the_words_and_is_no_entity() -> None:
    phrase = Sentence(["Bo", "Inc", "won"], ["B-ORG", "I-ORG", "O"])
    draw = random.Random(0)
    for _ in range(200):
        found = littered(phrase, draw)
        pairs = list(zip(found.tokens, found.tags or [], strict=True))
        assert [pair for pair in pairs if pair[0] not in LITTER] == list(
            zip(phrase.tokens, phrase.tags or [], strict=True)
        )
        assert {tag for token, tag in pairs if token in LITTER} == {"O"}
        assert pairs.index(("Inc", "I-ORG")) == pairs.index(("Bo", "B-ORG")) + 1


def test_an_account_is_no_person(directory: Path) -> None:
    (directory / "a.conll").write_text("@\tB-PER\nbo\tI-PER\nmet\tO\nAda\tB-PER\nKing\tI-PER\n\n" * 2)
    train, _ = sentences_of(Corpus("a", ("a.conll",), ("a.conll",)), directory)
    assert train[0].tags == ["O", "O", "O", "B-PER", "I-PER"]


def test_outside_of_entities_misc_is_unknown() -> None:
    tags = with_unknown_misc(SENTENCE).tags
    assert tags == [UNKNOWN_MISC, "B-PER", UNKNOWN_MISC, "B-LOC", UNKNOWN_MISC, "B-ORG", UNKNOWN_MISC]
