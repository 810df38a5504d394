"""Raw text: tokens know their place whatever the text, and sentences end where a reader would end them."""

import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.text import DataError, Tokenizer, split_at_spaces, tokenize

TOKENIZER = Tokenizer()

# Every code point with lone surrogates, and more often what makes offsets go wrong.
TRAPS = st.sampled_from(
    [
        *"aA.!?\"'()…。 ",
        "\n",
        "\r\n",
        "\n\n",
        "\t",
        "\u00a0",
        "\u0301",
        "\u200d",
        "😀",
        "👩‍👧",
        "\ud800",
        "\U0001d504",
        "\0",
    ]
)
TEXT = st.lists(TRAPS | st.text(st.characters(codec=None, exclude_categories=()), max_size=3), max_size=30).map("".join)


def sentences(text: str, tokenizer: Tokenizer = TOKENIZER) -> list[str]:
    return [" ".join(sentence.tokens) for sentence in tokenizer(text)]


@settings(max_examples=200, deadline=None)
@given(
    text=TEXT,
    tokenizer=st.builds(
        Tokenizer, language=st.sampled_from(["en", "xx"]), max_sentence_tokens=st.sampled_from([None, 1, 3])
    ),
)
def test_offsets_of_any_text(text: str, tokenizer: Tokenizer) -> None:
    found = tokenizer(text)
    at = 0
    for sentence in found:
        assert sentence.tokens
        assert tokenizer.max_sentence_tokens is None or len(sentence.tokens) <= tokenizer.max_sentence_tokens
        for token, start, end in zip(sentence.tokens, sentence.starts, sentence.ends, strict=True):
            assert text[start:end] == token != ""
            assert not token.isspace()
            assert text[at:start] == "" or text[at:start].isspace()
            at = end
    assert text[at:].isspace() or at == len(text)


@given(text=TEXT)
def test_offsets_of_split_text(text: str) -> None:
    found = split_at_spaces(text)
    assert found.tokens == [
        token for token in text.replace("\t", " ").replace("\r", " ").replace("\n", " ").split(" ") if token
    ]
    assert [text[start:end] for start, end in zip(found.starts, found.ends, strict=True)] == found.tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\n ", []),
        ("Ann sings. Bob, too.", ["Ann sings .", "Bob , too ."]),
        ("Mr. J. K. Roe left the U.S. at 5 p.m. today.", ["Mr. J. K. Roe left the U.S. at 5 p.m. today ."]),
        (
            'He left. "Stay!" she said. "No." They (both) ran.',
            ["He left .", '" Stay ! " she said .', '" No . "', "They ( both ) ran ."],
        ),
        ("What?! (He left.) Yes.", ["What ? !", "( He left . )", "Yes ."]),
        ("lower case! and on. and on", ["lower case !", "and on . and on"]),
        ("See No. 5. It is 2020. 7 left.", ["See No . 5 .", "It is 2020 .", "7 left ."]),
        ("A title\nover two lines\n\nThe text", ["A title over two lines", "The text"]),
        ("A\r\nb\r\n \r\nC\rd", ["A b", "C d"]),
        ("Wait... Then more… End", ["Wait ...", "Then more …", "End"]),
        ("नमस्ते। वह गया।", ["नमस्ते ।", "वह गया ।"]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


LINE = "It was the custom of the house to let every guest"  # 49 characters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Guests\nAnn Lee\nBob", ["Guests", "Ann Lee", "Bob"]),
        ("To buy:\n- Milk\n- bread and butter\n* 3 eggs", ["To buy :", "- Milk", "- bread and butter", "* 3 eggs"]),
        ("1. Ann\n2) Bob\n(3) Cid\na) Dan", ["1 . Ann", "2 ) Bob", "( 3 ) Cid", "a ) Dan"]),
        ("• Ann sings\n  and Bob too\n• Cid", ["• Ann sings and Bob too", "• Cid"]),
        (f"{LINE}\nRome and Oslo offered", [f"{LINE} Rome and Oslo offered"]),
        (f"{LINE} Oslo, too.\n{LINE}\nRome", [f"{LINE} Oslo , too .", LINE, "Rome"]),
        ("She met Ann,\nBob and Cid.", ["She met Ann , Bob and Cid ."]),
        ("A title\nThe text goes\non. And on.", ["A title", "The text goes on .", "And on ."]),
        ("A\r\nB\rC", ["A", "B", "C"]),
    ],
    ids=[
        "names",
        "bullets",
        "numbers",
        "an item over two lines",
        "wrapped",
        "not full",
        "a comma",
        "a title",
        "breaks",
    ],
)
def test_a_line_break_that_ends_a_paragraph_or_an_item_ends_a_sentence(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize("language", ["en", "xx", "de"])
@pytest.mark.parametrize("emoji", ["👩‍👩‍👧", "👍🏽", "❤️", "🏳️‍🌈", "🇳🇴", "1️⃣", "👩🏽‍🚀", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🤷🏿‍♀️", "😀"])
def test_an_emoji_with_its_joiners_is_one_token(emoji: str, language: str) -> None:
    for text, expected in (
        (f"Ann {emoji} sings", ["Ann", emoji, "sings"]),
        (f"Ann {emoji}{emoji}.", ["Ann", emoji, emoji, "."]),
        (f"Oslo{emoji}", ["Oslo", emoji]),
    ):
        (sentence,) = Tokenizer(language=language)(text)
        assert sentence.tokens == expected


def test_wide_marks_need_no_space() -> None:
    assert sentences("我 来 。他 走 。」 好", Tokenizer(language="xx")) == ["我 来 。", "他 走 。 」", "好"]


def test_sentence_per_line() -> None:
    assert sentences("A b\nc dd. E\n\nf", Tokenizer(sentence_per_line=True)) == ["A b", "c dd .", "E", "f"]


def test_long_sentences_are_cut_at_the_best_place() -> None:
    tokenizer = Tokenizer(max_sentence_tokens=6)
    assert sentences("a b c d\ne , f g h", tokenizer) == ["a b c d", "e , f g h"]
    assert sentences("a b c d , e f g h", tokenizer) == ["a b c d ,", "e f g h"]
    assert sentences("a\nb c d e f g h", tokenizer) == ["a b c d e f", "g h"]


def test_long_text_is_the_sum_of_its_parts() -> None:
    part = "Ann (of Rome) sang 'O sole mio' at St. Mary's. Was it good? "
    found = TOKENIZER(part * 4000)
    assert len(part) * 4000 > 2 * 100_000
    single = [sentence.tokens for sentence in TOKENIZER(part)]
    assert [sentence.tokens for sentence in found] == single * 4000


def test_punctuation_without_end_takes_linear_time() -> None:
    begin = time.perf_counter()
    assert [len(sentence.tokens) for sentence in TOKENIZER(")" * 20_000)] == [1000] * 20
    assert time.perf_counter() - begin < 10  # spaCy alone needs a minute


def test_a_long_token_stays_whole() -> None:
    assert [sentence.tokens for sentence in TOKENIZER("x " + "a" * 10_000 + ".")] == [["x", "a" * 10_000, "."]]


def test_threads_and_pickles() -> None:
    texts = [f"Ann {number} sings. Bob sleeps." for number in range(40)]
    again = pickle.loads(pickle.dumps(TOKENIZER))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(again, texts)) == [TOKENIZER(text) for text in texts]


def test_unknown_language() -> None:
    with pytest.raises(
        DataError, match=r"^language 'qq': spaCy offers no tokenizer for it here, expected a code such as 'en'"
    ):
        Tokenizer(language="qq")("a")


def test_no_room_for_a_sentence() -> None:
    with pytest.raises(DataError, match=r"^max_sentence_tokens 0: expected at least 1, or None$"):
        Tokenizer(max_sentence_tokens=0)


def test_what_was_read_before_changes_no_tokens() -> None:
    text = "Emma's co-worker can't fly to Zürich (v2.0), e.g. tonight."
    before = TOKENIZER(text)
    for number in range(60):
        TOKENIZER(" ".join(f"x{number}y{word} can't" for word in range(400)))  # spaCy forgets now and then
        assert TOKENIZER(text) == before


def test_what_spacy_keeps_of_forgotten_words_goes_with_its_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    blank = spacy.blank
    monkeypatch.setattr(spacy, "blank", lambda language: made.append(language) or blank(language))
    monkeypatch.setattr(tokenize, "REMEMBERED", 100)
    monkeypatch.setattr(tokenize, "RENEWED", 1000)
    monkeypatch.setattr(tokenize, "_IDLE", {})
    tokens = [Tokenizer()(f"Word{number} isn't new.")[0].tokens for number in range(160)]
    assert tokens == [[f"Word{number}", "is", "n't", "new", "."] for number in range(160)]
    assert made == ["en", "en", "en"], "2,800 characters, a little more than 1,000 for each"
