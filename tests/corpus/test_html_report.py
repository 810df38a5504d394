from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from elmo_tagger.corpus.alignment import Pair
from elmo_tagger.corpus.html_report import write_html
from elmo_tagger.corpus.score import score_pairs
from elmo_tagger.text.sentence import Sentence

EVIL = '<script>alert("1")</script>'
VOID = {"meta"}


class Page(HTMLParser):
    """Collects tags, attributes, texts; refuses tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def page(tmp_path: Path) -> tuple[str, Page]:
    sentences = [
        Pair(Sentence(["A", EVIL, "&amp;"], ["B-X", f"I-{EVIL}", "O"], EVIL), ["B-X", "O", f"I-{EVIL}"]),
        Pair(Sentence(["New", "York", "is"], ["B-X", "I-X", "O"], "gold"), ["B-X", "O", "O"]),
    ]
    report = score_pairs(lambda: sentences, scheme="BIO", predicted_scheme="BIO", train=[], keep=10)
    write_html(report, tmp_path / "report.html", title=EVIL)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


def test_everything_is_escaped(tmp_path: Path) -> None:
    text, parsed = page(tmp_path)
    assert "script" not in parsed.tags
    assert EVIL in parsed.texts
    assert "&amp;amp;" in text
    assert {name for name in parsed.attributes if name.startswith("on")} == set()


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    text, parsed = page(tmp_path)
    assert not {"script", "link", "img", "iframe"} & set(parsed.tags)
    assert not {"src", "href"} & parsed.attributes
    assert re.findall(r"url\(|@import|https?:", text) == []
    assert "prefers-color-scheme: dark" in text


def test_every_colour_has_a_value_in_the_light_and_in_the_dark(tmp_path: Path) -> None:
    style = page(tmp_path)[0].split("<style>")[1].split("</style>")[0]
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    used = set(re.findall(r"var\((--[\w-]+)[,)]", style)) - {"--share"}
    assert used == set(re.findall(r"(--[\w-]+):", light))
    assert used == set(re.findall(r"(--[\w-]+):", dark.split("* {")[0]))


def test_sentences_are_highlighted_by_what_is_right_and_wrong(tmp_path: Path) -> None:
    text, _ = page(tmp_path)
    assert '<mark class="lost">New York<small>X</small></mark> is' in text
    assert '<mark class="wrong">New<small>X</small></mark> York is' in text
    assert '<mark class="right">A<small>X</small></mark>' in text


def test_no_number_may_be_broken_over_two_lines(tmp_path: Path) -> None:
    cells = re.findall(r'<t[dh] class="([^"]*)">([^<]*)</t[dh]>', page(tmp_path)[0])
    numbers = [look for look, content in cells if re.fullmatch(r"[\d,.]+", content)]
    assert numbers
    assert not any("wrap" in look.split() for look in numbers)
