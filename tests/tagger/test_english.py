"""`elmo_tagger.load("en")`: what a visitor types, and what is no entity however it is written."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

import elmo_tagger
from elmo_tagger.bilm.loading.bundled import BUNDLED
from elmo_tagger.tagger import Tagger
from elmo_tagger.tagger.loading import NAMED
from elmo_tagger.tagging.schemes import convert, tags_to_spans
from elmo_tagger.tagging.scoring import EntityCounts
from elmo_tagger.text import Sentence, Span, read_columns

DEV_SETS = Path(__file__).parents[3] / "shared" / "data" / "ner"
NO_ENTITIES = ("<br/>", "</div>", "<p>", "&nbsp;", "😀", "🎉🎉", "❤️", "https://t.co/a1B2c3", "http://www.x.org/a?b=1",
               "@someone", "@the_real_one", "$5.99", "€20", "£3,000", "10%", "#fail")  # fmt: skip
CARRIERS = (
    "I like {} a lot .",
    "{} this is what we got",
    "so {}",
    "It was sent to us as {} , was n't it ?",
    "click {} for more",
    "They said {} and left .",
    "thanks {} !",
    "{}",
    "we paid for it {} last week",
    "and then {} {} again",
    "see {} or call us",
    "THIS IS {} TODAY",
    "please , no more {} in here",
)


@pytest.fixture(scope="module")
def english() -> Tagger:
    return elmo_tagger.load("en")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tim Cook met Angela Merkel in Berlin.", {("PER", "Tim Cook"), ("PER", "Angela Merkel"), ("LOC", "Berlin")}),
        ("Barack Obama was born in Hawaii.", {("PER", "Barack Obama"), ("LOC", "Hawaii")}),
        ("The University of Oxford is older than France.", {("ORG", "University of Oxford"), ("LOC", "France")}),
        ("We had lunch and went home.", set()),
    ],
)
def test_what_a_visitor_types_is_tagged(english: Tagger, text: str, expected: set[tuple[str, str]]) -> None:
    assert {(entity.type, entity.text) for entity in english(text).entities} == expected


def test_a_tag_an_emoji_a_link_a_mention_and_a_price_are_no_entities(english: Tagger) -> None:
    lines = [(carrier.replace("{}", word).split(), word) for carrier in CARRIERS for word in NO_ENTITIES]
    wrong = [
        (tokens, entity.text)
        for (tokens, word), document in zip(lines, english.pipe(tokens for tokens, _ in lines), strict=True)
        for entity in document.entities
        if word in tokens[entity.token_start : entity.token_end]
    ]
    assert len(lines) > 200
    assert len(wrong) <= len(lines) / 200, wrong


def test_it_finds_the_four_types(english: Tagger) -> None:
    assert english.labels == ["LOC", "MISC", "ORG", "PER"]


def test_a_saved_copy_has_the_scores_and_takes_no_more_room_than_its_parts(english: Tagger, tmp_path: Path) -> None:
    english.save(tmp_path / "copy")
    copied = tmp_path / "copy" / "README.md"
    for heading in ("## Entities and tags\n", "## Scores\n", "| DocRED (Wikipedia) |", "## What it does not do well\n"):
        assert heading in (NAMED["en"] / "README.md").read_text()
        assert heading in copied.read_text()
    assert "not known" not in copied.read_text()
    parts = [NAMED["en"] / "model.safetensors", BUNDLED["starter"] / "weights.hdf5"]
    assert (tmp_path / "copy" / "model.safetensors").stat().st_size < sum(part.stat().st_size for part in parts) * 1.01
    again = elmo_tagger.load(tmp_path / "copy").model.state_dict()
    for name, value in english.model.state_dict().items():
        assert again[name].dtype == value.dtype
        assert torch.equal(again[name], value), name


def test_the_starter_is_the_one_that_it_was_trained_on() -> None:
    # it shares the starter's weights, so a new starter needs a new tagger: experiments/general_tagger
    recorded = json.loads((NAMED["en"] / "training.json").read_text())
    assert recorded["starter"] == hashlib.sha256((BUNDLED["starter"] / "weights.hdf5").read_bytes()).hexdigest()


def f1(tagger: Tagger, sentences: list[Sentence]) -> float:
    counts = EntityCounts()
    for sentence, found in zip(sentences, tagger.pipe(each.tokens for each in sentences), strict=True):
        counts.add(
            tags_to_spans(sentence, "BIO"),
            [Span(entity.token_start, entity.token_end, entity.type) for entity in found.entities],
        )
    return counts.micro().f1


@pytest.mark.skipif(not DEV_SETS.is_dir(), reason="needs ../shared")
def test_upper_and_lower_case_cost_no_more_than_a_third(english: Tagger) -> None:
    sentences = []
    for sentence in list(read_columns(DEV_SETS / "docred" / "dev.conll"))[::20]:
        sentences.append(Sentence(tokens=sentence.tokens, tags=convert(sentence, "BIO", "BIO")))
    as_written = f1(english, sentences)
    assert as_written > 0.6
    for change in (str.upper, str.lower):
        changed = [Sentence(tokens=[change(token) for token in each.tokens], tags=each.tags) for each in sentences]
        assert f1(english, changed) > as_written * 2 / 3
