"""Partial labels: tags that leave open what a token is.

`?` is an unknown label. Tags with `|` between them are a choice: `B-PER|B-ORG`, or `O|B-MISC|I-MISC` for a token that
is in no entity, or in one of a type that its file does not annotate. Where what follows a `|` is no tag (`B-A|B`), it
is part of a type's name.

A sentence with partial labels stands for all well-formed tag sequences that take one of the tags allowed at each token.
What all of them have in common is certain, what some of them have is left open, and the rest is ruled out. The
functions here take sentences with partial labels and without; where a sentence has none they are those of `schemes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from elmo_tagger.errors import shown
from elmo_tagger.tagging import schemes
from elmo_tagger.tagging.schemes import (
    CHOICE,
    OUTSIDE,
    UNKNOWN,
    Scheme,
    Tagged,
    TagSchemeError,
    alternatives,
    conlleval_spans,
    get_scheme,
    is_tag,
    join_tag,
    may_follow,
    spans_to_tags,
    split_tag,
    tags_of,
)
from elmo_tagger.text.sentence import Sentence, Span

Options = frozenset[str]
"""The tags that a token may have."""

_ANY_OTHER = UNKNOWN  # stands for all types that a sentence does not name, which an unknown label may be of
_WHOLE = "BIOUL"  # a span's tags in it say where it begins and ends, whatever stands beside it
_REMEMBERED = 65536  # of steps from token to token


def is_partial(tags: Iterable[str]) -> bool:
    """Whether any of these is a partial label."""
    return any((tag == UNKNOWN or CHOICE in tag) and bool(alternatives(tag)) for tag in tags)


def open_tokens(tags: Sequence[str]) -> list[bool]:
    """Which of these are partial labels."""
    return [bool(alternatives(tag)) for tag in tags]


def possible_tags(tagged: Tagged, scheme: str | Scheme) -> list[Options]:
    """The tags of each token in all the tag sequences that a sentence stands for.

    An unknown label may be a tag of the types that the sentence names, or of the type `?`, which stands for all others.

    Raises:
        TagSchemeError: There is no well-formed sequence; names the place.
    """
    tags, scheme = tags_of(tagged), get_scheme(scheme)
    for position, message in _problems(tags, scheme):
        where = tagged.where(position) if isinstance(tagged, Sentence) else f"token {position}"
        raise TagSchemeError(f"{where}: {message}")
    reached = _reachable(tags, scheme)[:-1]
    following: Options = frozenset({OUTSIDE})
    found = []
    for here in reversed(reached):
        following = _before(here, following, scheme.name)
        found.append(following)
    return found[::-1]


def is_well_formed(tags: Sequence[str], scheme: str | Scheme) -> bool:
    """Whether there are no `problems`."""
    if schemes.is_well_formed(tags, scheme):
        return True
    return is_partial(tags) and next(_problems(tags, get_scheme(scheme)), None) is None


def problems(tagged: Tagged, scheme: str | Scheme) -> Iterator[tuple[int, str]]:
    """What is wrong with a sentence's tags: as `schemes.problems`, and of one with partial labels the first problem.

    Yields:
        Position of the tag and a message without the place.
    """
    tags = tags_of(tagged)
    yield from _problems(tags, get_scheme(scheme)) if is_partial(tags) else schemes.problems(tagged, scheme)


def convert(tagged: Tagged, source: str | Scheme, target: str | Scheme, *, strict: bool = True) -> list[str]:
    """The same sentence in another scheme, an unknown label as `?`.

    A choice becomes all the tags that it may be in the other scheme: `I-PER|I-ORG` of BIO is
    `I-ORG|L-ORG|I-PER|L-PER` of BIOUL. So the new labels allow what the old ones did; where the letters of the source
    depend on neighbours that are open themselves, they may allow more.

    Args:
        tagged: The sentence.
        source: Its scheme.
        target: The other one.
        strict: Refuse ill-formed tags. A sentence with partial labels is always read strictly.

    Raises:
        TagSchemeError: Ill-formed tags, among them choices without a well-formed sequence.
    """
    tags = tags_of(tagged)
    if not is_partial(tags):
        return schemes.convert(tagged, source, target, strict=strict)
    source, target = get_scheme(source), get_scheme(target)
    possible = possible_tags(tagged, source)
    if source == target:
        return list(tags)
    found = _converted(possible, source, target)
    return [
        UNKNOWN if alternatives(tag) == (UNKNOWN,) else written(options, target)
        for tag, options in zip(tags, found, strict=True)
    ]


def written(options: Iterable[str], scheme: str | Scheme) -> str:
    """Tags as a choice: `O` first, then type by type in the order of the scheme's letters."""
    letters = get_scheme(scheme).letters

    def order(tag: str) -> tuple[bool, str, int]:
        letter, entity_type = split_tag(tag)
        return tag != OUTSIDE, entity_type, letters.find(letter)

    return CHOICE.join(sorted(options, key=order))


def with_unannotated(tags: Sequence[str], types: Iterable[str], scheme: str | Scheme) -> list[str]:
    """The tags of a sentence in whose file some types are not annotated: a token outside may be in one of them.

    Args:
        tags: In the scheme.
        types: What the file does not annotate.
        scheme: How the tags are written.
    """
    hidden = tags_of_types(types, scheme)
    return [
        written({*(alternatives(tag) or (tag,)), *hidden}, scheme) if OUTSIDE in (alternatives(tag) or (tag,)) else tag
        for tag in tags
    ]


def tags_of_types(types: Iterable[str], scheme: str | Scheme) -> list[str]:
    """Every tag of a scheme with one of these types."""
    letters = get_scheme(scheme).letters
    return [join_tag(letter, entity_type) for entity_type in types for letter in letters]


@dataclass(frozen=True)
class KnownEntities:
    """What a sentence says of its entities.

    Attributes:
        certain: Those that are in all the tag sequences it stands for, in order.
        possible: The tags in BIOUL that each token may have; None where no label is partial, and so nothing is open.
        named: The types that the sentence names; all others are `?` in `possible`.
    """

    certain: list[Span]
    possible: list[Options] | None = None
    named: frozenset[str] = frozenset()

    def counted(self, predicted: Iterable[Span]) -> list[Span]:
        """The predicted entities that are right or wrong for certain, without those that are left open."""
        certain = set(self.certain)
        return [span for span in predicted if span in certain or not self._allows(span)]

    def _allows(self, span: Span) -> bool:
        if self.possible is None:
            return False
        length, kind = span.end - span.start, span.type if span.type in self.named else _ANY_OTHER
        tags = spans_to_tags([Span(0, length, kind)], length, _WHOLE)
        # each of a token's possible tags is part of a whole sequence, and these fit each other
        return all(tag in options for tag, options in zip(tags, self.possible[span.start : span.end], strict=True))


def read_entities(tagged: Tagged, scheme: str | Scheme) -> KnownEntities:
    """The entities of a sentence, strictly read.

    Raises:
        TagSchemeError: Ill-formed tags.
    """
    tags = tags_of(tagged)
    if not is_partial(tags):
        return KnownEntities(schemes.tags_to_spans(tagged, scheme))
    whole = _converted(possible_tags(tagged, scheme), get_scheme(scheme), get_scheme(_WHOLE))
    certain = [next(iter(options)) if len(options) == 1 else OUTSIDE for options in whole]
    entities = [span for span in conlleval_spans(certain) if _is_whole(certain, span)]
    return KnownEntities(entities, whole, _named_types(tags))


def _is_whole(tags: Sequence[str], span: Span) -> bool:
    """Whether both ends of a span are marked, in BIOUL, rather than cut off by what is open."""
    return tags[span.start][0] in "BU" and tags[span.end - 1][0] in "LU"


def _problems(tags: Sequence[str], scheme: Scheme) -> Iterator[tuple[int, str]]:
    for position, tag in enumerate(tags):
        for part in alternatives(tag) or (tag,):
            if part != UNKNOWN and not is_tag(part, scheme):
                named = f"{shown(part)} of {shown(tag)}" if part != tag else shown(tag)
                example = join_tag(scheme.single, "PER")
                expected = f"O, or one of {', '.join(scheme.letters)} with a type as in {example}"
                yield position, f"{named} is no {scheme.name} tag: expected {expected}; or ? for an unknown label"
                return
    reached = _reachable(tags, scheme)
    if all(reached):
        return
    position = next(place for place, options in enumerate(reached) if not options)
    place = f"after {shown(tags[position - 1], quoted=False)}" if position else "at the start of the sentence"
    if position == len(tags):
        position, place = position - 1, "at the end of the sentence"
    named = shown(tags[position], quoted=False)
    yield position, f"{named} {place}: no tags of {scheme.name} that these labels allow fit each other"


def _reachable(tags: Sequence[str], scheme: Scheme) -> list[Options]:
    """Of each token's options those that some well-formed beginning leads to; and last, `O` if it may end there."""
    unknown = frozenset([OUTSIDE, *tags_of_types(_named_types(tags) | {_ANY_OTHER}, scheme)])
    here: Options = frozenset({OUTSIDE})
    reached = []
    for found in [*(alternatives(tag) or (tag,) for tag in tags), (OUTSIDE,)]:
        here = _after(here, unknown if found == (UNKNOWN,) else frozenset(found), scheme.name)
        reached.append(here)
    return reached


def _named_types(tags: Sequence[str]) -> frozenset[str]:
    parts = {part for tag in tags for part in alternatives(tag) or (tag,)}
    return frozenset(split_tag(part)[1] for part in parts - {OUTSIDE, UNKNOWN})


@lru_cache(maxsize=_REMEMBERED)
def _after(previous: Options, options: Options, scheme: str) -> Options:
    return frozenset(tag for tag in options if any(may_follow(before, tag, scheme) for before in previous))


@lru_cache(maxsize=_REMEMBERED)
def _before(options: Options, following: Options, scheme: str) -> Options:
    return frozenset(tag for tag in options if any(may_follow(tag, after, scheme) for after in following))


def _converted(possible: Sequence[Options], source: Scheme, target: Scheme) -> list[Options]:
    """Possible tags in another scheme, which a tag and its neighbours tell."""
    ends = frozenset({OUTSIDE})
    framed = [ends, *possible, ends]
    return [_converted_token(*framed[place : place + 3], source.name, target.name) for place in range(len(possible))]


@lru_cache(maxsize=_REMEMBERED)
def _converted_token(before: Options, here: Options, after: Options, source: str, target: str) -> Options:
    return frozenset(
        spans_to_tags(conlleval_spans(window), 3, target)[1]
        for window in product(before, here, after)
        if may_follow(window[0], window[1], source) and may_follow(window[1], window[2], source)
    )
