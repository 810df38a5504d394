"""Raw text to sentences of tokens that know their place in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from elmo_tagger.text.files import DataError
from elmo_tagger.text.sentence_bounds import sentence_bounds

if TYPE_CHECKING:
    from spacy.language import Language

PIECE = 100_000  # characters that spaCy is given at once; it needs about 1 KB of memory for each
REMEMBERED = 100_000  # characters of texts whose words spaCy remembers: twice as fast as forgetting each text at once
RENEWED = 2_000_000  # characters after which its tokenizer is made anew, in 0.1 s: forgotten words leave some memory
MAX_AFFIXES = 100  # spaCy's time grows with the square of the punctuation marks of one word

_SURROGATE = re.compile("[\ud800-\udfff]")
_LONG_WORD = re.compile(rf"\S{{{MAX_AFFIXES},}}")
_WORD_PART = re.compile(r"[^\W_]+|.", re.DOTALL)
# What is drawn as one picture: a flag, a key with a number, or emoji with their variants, skin tones and joiners.
_PICTURE = (
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u2460-\u24ff\u25a0-\u27bf\u2900-\u297f"
    "\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
_VARIANT = "[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
_EMOJI = re.compile(f"[\U0001f1e6-\U0001f1ff]{{2}}|[#*0-9]\ufe0f?\u20e3|{_PICTURE}(?:{_VARIANT}|\u200d{_PICTURE})+")
_SPACES = " \t\r\n"
_PRETOKENIZED = re.compile(f"[^{_SPACES}]+")
# By language; a spaCy pipeline serves one thread at a time, and a long text shall not hold up those of other threads.
_IDLE: dict[str, list[_Pipeline]] = {}


@dataclass(slots=True)
class TokenizedSentence:
    """Tokens and their places: `text[starts[i]:ends[i]] == tokens[i]`.

    Attributes:
        tokens: The words.
        starts: Where each begins in the whole text, in characters.
        ends: Where each ends, exclusive.
    """

    tokens: list[str]
    starts: list[int]
    ends: list[int]


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """spaCy's rules for words (no model, no download) and our own for sentences.

    spaCy is imported at the first call. Memory stays bounded: what spaCy learns from texts it forgets again.

    Attributes:
        language: spaCy's code of a language, or "xx" for rules that fit many.
        sentence_per_line: Whether every line break ends a sentence; otherwise those that end a paragraph or an item of
            a list do.
        max_sentence_tokens: Longer sentences are cut (lists, tables, text without punctuation); None for never.
    """

    language: str = "en"
    sentence_per_line: bool = False
    max_sentence_tokens: int | None = 1000

    def __post_init__(self) -> None:
        if self.max_sentence_tokens is not None and self.max_sentence_tokens < 1:
            raise DataError(f"max_sentence_tokens {self.max_sentence_tokens}: expected at least 1, or None")

    def __call__(self, text: str) -> list[TokenizedSentence]:
        """Every character of the text but white space is in exactly one token, an emoji with its joiners in one.

        Args:
            text: Any string, lone surrogates included.

        Raises:
            DataError: spaCy has no tokenizer for the language.
        """
        marks = _sentence_ends()
        # spaCy cannot hash lone surrogates; the stand-in is as long, so offsets stay.
        plain = _SURROGATE.sub("\ufffd", text)
        starts: list[int] = []
        ends: list[int] = []
        with _borrowed(self.language) as pipeline:
            pipeline.make_room(len(plain))
            for begin, end in _pieces(plain):
                for token in pipeline.nlp.tokenizer(plain[begin:end]):
                    if not token.is_space:
                        starts.append(begin + token.idx)
                        ends.append(begin + token.idx + len(token))
        starts, ends = _with_whole_emoji(plain, starts, ends)
        bounds = sentence_bounds(
            plain, starts, ends, marks=marks, per_line=self.sentence_per_line, max_tokens=self.max_sentence_tokens
        )
        return [_sentence(text, starts[first:last], ends[first:last]) for first, last in bounds]


def split_at_spaces(text: str) -> TokenizedSentence:
    r"""A sentence whose tokens are set apart by spaces, tabs, `\r` or `\n`; other white space belongs to tokens."""
    matches = list(_PRETOKENIZED.finditer(text))
    return _sentence(text, [match.start() for match in matches], [match.end() for match in matches])


def _sentence(text: str, starts: list[int], ends: list[int]) -> TokenizedSentence:
    return TokenizedSentence([text[start:end] for start, end in zip(starts, ends, strict=True)], starts, ends)


def _with_whole_emoji(text: str, starts: list[int], ends: list[int]) -> tuple[list[int], list[int]]:
    """The tokens with each emoji of several characters as one of them."""
    emoji = [match.span() for match in _EMOJI.finditer(text)]
    if not emoji:
        return starts, ends
    borders = {*starts, *ends}
    for start, end in emoji:
        borders.difference_update(range(start + 1, end))
        borders.update((start, end))
    pairs = [(a, b) for a, b in pairwise(sorted(borders)) if not text[a:b].isspace()]
    return [start for start, _ in pairs], [end for _, end in pairs]


@cache
def _sentence_ends() -> frozenset[str]:
    from spacy.pipeline import Sentencizer

    return frozenset(Sentencizer.default_punct_chars) | {"...", "…"}


class _Pipeline:
    """spaCy's tokenizer of a language, which forgets what it learnt once it has read `REMEMBERED` characters.

    Attributes:
        nlp: Without components; another one once it has read `RENEWED` characters.
    """

    def __init__(self, language: str) -> None:
        self.nlp = _blank(language)
        self._language = language
        self._memory = ExitStack()
        self._read = REMEMBERED
        self._read_in_all = 0

    def make_room(self, characters: int) -> None:
        """Forget what was learnt, if so many more characters would be too many."""
        self._read += characters
        self._read_in_all += characters
        if self._read > REMEMBERED:
            self._memory.close()
            if self._read_in_all > RENEWED:
                self.nlp = _blank(self._language)
                self._read_in_all = 0
            self._memory.enter_context(self.nlp.memory_zone())
            self._read = characters


@contextmanager
def _borrowed(language: str) -> Iterator[_Pipeline]:
    """A pipeline that no other thread uses; there are as many as threads have ever needed at once."""
    idle = _IDLE.setdefault(language, [])
    try:
        pipeline = idle.pop()
    except IndexError:
        pipeline = _Pipeline(language)
    try:
        yield pipeline
    finally:
        idle.append(pipeline)


def _blank(language: str) -> Language:
    import spacy

    try:
        return spacy.blank(language)
    except ImportError as error:
        raise DataError(
            f"language {language!r}: spaCy offers no tokenizer for it here, expected a code such as 'en', 'de'"
            f" or 'xx' for any language ({error})"
        ) from None


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Cuts a text, where there is white space, into pieces that spaCy takes in little memory and time."""
    begin = 0
    for match in _LONG_WORD.finditer(text):
        word = match.group()
        if sum(not character.isalnum() for character in word) > MAX_AFFIXES:
            yield from _windows(text, begin, match.start())
            yield from (
                (match.start() + part.start(), match.start() + part.end()) for part in _WORD_PART.finditer(word)
            )
            begin = match.end()
    yield from _windows(text, begin, len(text))


def _windows(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    while end - begin > PIECE:
        cut = next(
            (place for place in range(begin + PIECE, begin + PIECE // 2, -1) if text[place].isspace()), begin + PIECE
        )
        yield begin, cut
        begin = cut
    if begin < end:
        yield begin, end
