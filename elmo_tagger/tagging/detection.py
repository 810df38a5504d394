"""Which tag scheme a file uses, found while its sentences stream by."""

from __future__ import annotations

from collections.abc import Iterable

from elmo_tagger.tagging.partial import is_well_formed, problems
from elmo_tagger.tagging.schemes import (
    SCHEMES,
    UNKNOWN,
    Tagged,
    TagSchemeError,
    alternatives,
    get_scheme,
    is_tag,
    may_follow,
    pairs_of,
)
from elmo_tagger.text.sentence import Sentence


class _Judged(dict[tuple[str, str], frozenset[str]]):
    """The schemes that each pair of neighbouring tags breaks; told once and remembered.

    A pair with a partial label has `UNKNOWN` in their place: what is open can only be told from the whole sentence.
    """

    def __missing__(self, pair: tuple[str, str]) -> frozenset[str]:
        previous, tag = pair
        if alternatives(previous) or alternatives(tag):
            broken = self[pair] = frozenset({UNKNOWN})
            return broken
        broken = self[pair] = frozenset(
            name
            for name in SCHEMES
            if not (is_tag(previous, name) and is_tag(tag, name) and may_follow(previous, tag, name))
        )
        return broken


class SchemeDetector:
    """Counts, scheme by scheme, the sentences that break it.

    Every scheme's rules look at two neighbouring tags, so a pair is judged once and remembered, however many schemes
    there are; memory grows with the tag set alone.

    Sentences with partial labels are judged one by one.

    Tags that fit several schemes have the same entities in each of them. The first of `SCHEMES` is then chosen: BIO
    where there is nothing but `O`, IOB1 where there is `I` alone, BIOES rather than BMES where no entity is longer
    than two tokens.

    Attributes:
        sentences: Sentences seen.
        broken: By scheme name, the sentences that are ill-formed in it.
        first_problem: By scheme name, the first place and message, where there is one.
    """

    def __init__(self) -> None:
        self.sentences = 0
        self.broken = dict.fromkeys(SCHEMES, 0)
        self.first_problem: dict[str, str] = {}
        self._judged = _Judged()

    def add(self, tagged: Tagged) -> None:
        """Take one sentence into account."""
        self.sentences += 1
        tags = (tagged.tags or []) if isinstance(tagged, Sentence) else tagged
        # a sentence has many pairs, but few that differ
        broken = frozenset().union(*map(self._judged.__getitem__, set(pairs_of(tags))))
        if UNKNOWN in broken:
            broken = frozenset(name for name in SCHEMES if not is_well_formed(tags, name))
        for name in broken:
            self.broken[name] += 1
            if name not in self.first_problem:
                self.first_problem[name] = self._problem(tagged, name)

    def _problem(self, tagged: Tagged, name: str) -> str:
        position, message = next(problems(tagged, name))
        where = tagged.where(position) if isinstance(tagged, Sentence) else f"sentence {self.sentences - 1}"
        return f"{where}: {message}"

    def ranking(self) -> list[str]:
        """Scheme names, those first that the fewest sentences break, ties in the order of `SCHEMES`."""
        return sorted(SCHEMES, key=lambda name: self.broken[name])

    def result(self, *, strict: bool = True) -> str:
        """The scheme of everything seen.

        Args:
            strict: Refuse when no scheme fits all; otherwise, of the schemes that have all of the tags, the one that
                the fewest sentences break.

        Raises:
            TagSchemeError: No scheme fits all sentences; or, if not `strict`, none has all of the tags.
        """
        ranking = self.ranking()
        best = next((name for name in ranking if strict or self._has_all_tags(name)), None)
        if best is None or (strict and self.broken[best]):
            raise TagSchemeError(f"the tags fit no scheme; nearest is {self.account(ranking[0])}")
        return get_scheme(best).name

    def account(self, name: str) -> str:
        """A scheme with the number of sentences that break it and the first of them, for messages."""
        return (
            f"{name}, which {self.broken[name]:,} of {self.sentences:,} sentences break, first at "
            f"{self.first_problem[name]}"
        )

    def _has_all_tags(self, name: str) -> bool:
        tags = {part for pair in self._judged for tag in pair for part in alternatives(tag) or (tag,)}
        return all(is_tag(tag, name) for tag in tags - {UNKNOWN})


def detect_scheme(sentences: Iterable[Tagged], *, strict: bool = True) -> str:
    """The scheme that all sentences fit; see `SchemeDetector` for ambiguous tags.

    Raises:
        TagSchemeError: No scheme fits; the message names the nearest one and the place that breaks it.
    """
    detector = SchemeDetector()
    for sentence in sentences:
        detector.add(sentence)
    return detector.result(strict=strict)
