"""Tag schemes: how a sentence's entities are written as one tag a token, and read back.

A tag is `O`, or a letter, a hyphen and an entity type (`B-PER`). The first hyphen separates, so a type may contain
hyphens (`B-work-of-art`). A letter alone (`B`) carries the empty type, as in word segmentation; `B-` is no tag. A tag
that leaves its label open, `?` or `B-PER|B-ORG`, is no tag here: `partial` reads such sentences.

A scheme is data: the letters it writes, and for some letters which letters must stand right before or right after
them with the same type. Every rule looks at two neighbouring tags only, which is what lets a CRF obey all of it.
A letter means the same in all schemes, hence the central fact of this module: tags that are well-formed in two schemes
have the same entities in both, so a wrong guess between such schemes does no harm.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from elmo_tagger.errors import ElmoTaggerError, shown
from elmo_tagger.text.sentence import Sentence, Span

_REMEMBERED = 65536  # of tags, and of pairs and triples of them: so many, then they are found anew

OUTSIDE = "O"
UNKNOWN = "?"
"""In the place of a tag: nobody knows the label."""
CHOICE = "|"
"""Parts the tags of a choice."""
# Where a choice is parted: before a tag with a type, `O` or `?`; or, of letters without types, everywhere.
_PARTING = re.compile(r"\|(?=[A-Z]-[^|]|[O?](?:\||$))")
_LETTERS = re.compile(r"[A-Z?](?:\|[A-Z?])+")
BEGINS = frozenset("BSUW")
"""Letters that begin an entity wherever they stand."""
ENDS = frozenset("ELSUW")
"""Letters that end an entity wherever they stand."""

Tagged = Sentence | Sequence[str]
"""Tags of one sentence; given as a `Sentence`, messages say file and line."""


class TagSchemeError(ElmoTaggerError):
    """Tags, spans or a scheme's name that cannot be what they are said to be."""


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """One way of writing entities as tags.

    Attributes:
        name: Canonical name.
        aliases: Other names in use.
        first, inside, last, single: Letters of an entity's first, middle and last token and of a one-token entity.
        touching_first: Letter of the first token of an entity that touches a preceding one of the same type, if the
            scheme marks only those.
        touching_last: Letter of the last token of an entity that touches a following one of the same type, likewise.
        before: For a letter, the letters of which one must stand right before it, with the same type.
        after: For a letter, the letters of which one must stand right after it, with the same type.
    """

    name: str
    aliases: tuple[str, ...] = ()
    first: str
    inside: str
    last: str
    single: str
    touching_first: str = ""
    touching_last: str = ""
    # not part of the hash, as a mapping has none
    before: Mapping[str, str] = field(default_factory=dict, hash=False)
    after: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def letters(self) -> str:
        """The letters that the scheme knows, without `O`."""
        written = self.first + self.touching_first + self.inside + self.last + self.touching_last + self.single
        return "".join(dict.fromkeys(written))


def _delimited(name: str, first: str, inside: str, last: str, single: str, *aliases: str) -> Scheme:
    """A scheme in which both ends of every entity are marked."""
    opened, goes_on = first + inside, inside + last
    return Scheme(
        name=name,
        aliases=aliases,
        first=first,
        inside=inside,
        last=last,
        single=single,
        before=dict.fromkeys(goes_on, opened),
        after=dict.fromkeys(opened, goes_on),
    )


SCHEMES: dict[str, Scheme] = {
    scheme.name: scheme
    for scheme in (
        Scheme(name="BIO", aliases=("IOB2",), first="B", inside="I", last="I", single="B", before={"I": "BI"}),
        Scheme(name="IOB1", first="I", inside="I", last="I", single="I", touching_first="B", before={"B": "BI"}),
        Scheme(name="IOE2", aliases=("IOE",), first="I", inside="I", last="E", single="E", after={"I": "IE"}),
        Scheme(name="IOE1", first="I", inside="I", last="I", single="I", touching_last="E", after={"E": "IE"}),
        _delimited("BIOUL", "B", "I", "L", "U", "BILOU", "BILUO"),
        _delimited("BIOES", "B", "I", "E", "S", "IOBES", "BIESO"),
        _delimited("BMES", "B", "M", "E", "S", "BMEOS", "BMESO"),
        _delimited("BMEWO", "B", "M", "E", "W", "BMEW"),
    )
}
"""Every scheme by canonical name; where tags fit several, the first in this order is chosen."""

_BY_ANY_NAME = {name: scheme for scheme in SCHEMES.values() for name in (scheme.name, *scheme.aliases)}


def get_scheme(name: str | Scheme) -> Scheme:
    """The scheme of a name or alias, in any case.

    Raises:
        TagSchemeError: The name is unknown; the message lists the known ones.
    """
    if isinstance(name, Scheme):
        return name
    scheme = _BY_ANY_NAME.get(name.upper())
    if scheme is not None:
        return scheme
    known = ", ".join("/".join((each.name, *each.aliases)) for each in SCHEMES.values())
    near = difflib.get_close_matches(name.upper(), _BY_ANY_NAME, n=2)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise TagSchemeError(f"unknown tag scheme {name!r}, expected one of {known}{hint}")


@lru_cache(maxsize=_REMEMBERED)
def alternatives(tag: str) -> tuple[str, ...]:
    """The tags among which a partial label leaves the choice: `("?",)` for an unknown label, none for a plain tag.

    What follows a `|` is part of the type's name unless it is a tag with a type, `O` or `?`; bare letters are a choice
    where there are nothing but bare letters.
    """
    if tag == UNKNOWN:
        return (UNKNOWN,)
    if CHOICE not in tag:
        return ()
    parts = tag.split(CHOICE) if _LETTERS.fullmatch(tag) else _PARTING.split(tag)
    if len(parts) < 2 or not all(part == UNKNOWN or _split(part)[0] for part in parts):
        return ()
    return (UNKNOWN,) if UNKNOWN in parts else tuple(dict.fromkeys(parts))


@lru_cache(maxsize=_REMEMBERED)
def split_tag(tag: str) -> tuple[str, str]:
    """Letter and entity type of a tag: `B-PER` -> `("B", "PER")`, `O` -> `("O", "")`, `B` -> `("B", "")`.

    What has no such form (`B-`, `PER`, `O-PER`, the empty string, `?`, `B-PER|B-ORG`) comes back as `("", tag)`.
    """
    return ("", tag) if alternatives(tag) else _split(tag)


def _split(tag: str) -> tuple[str, str]:
    letter, hyphen, entity_type = tag.partition("-")
    well_formed = len(letter) == 1 and bool(entity_type) == bool(hyphen) and not (letter == OUTSIDE and hyphen)
    return (letter, entity_type) if well_formed else ("", tag)


def join_tag(letter: str, entity_type: str) -> str:
    """The tag of a letter and a type, the inverse of `split_tag`."""
    return f"{letter}-{entity_type}" if entity_type else letter


def is_tag(tag: str, scheme: str | Scheme) -> bool:
    """Whether the scheme knows this tag at all, wherever it stands."""
    letter = split_tag(tag)[0]
    return letter == OUTSIDE or (letter != "" and letter in get_scheme(scheme).letters)


def may_follow(previous: str, tag: str, scheme: str | Scheme) -> bool:
    """Whether `tag` may stand right after `previous`; either end of a sentence counts as `O`."""
    scheme = get_scheme(scheme)
    return _has_what_it_needs(previous, tag, scheme.after) and _has_what_it_needs(tag, previous, scheme.before)


def _has_what_it_needs(tag: str, neighbour: str, needs: Mapping[str, str]) -> bool:
    letter, entity_type = split_tag(tag)
    if letter not in needs:
        return True
    neighbour_letter, neighbour_type = split_tag(neighbour)
    return neighbour_letter != "" and neighbour_letter in needs[letter] and neighbour_type == entity_type


def pairs_of(tags: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each two neighbouring tags of a sentence, its ends counted as `O`."""
    return pairwise([OUTSIDE, *tags, OUTSIDE])


def is_well_formed(tags: Sequence[str], scheme: str | Scheme) -> bool:
    """Whether there are no `problems`: as quick to say as a sentence has pairs of tags that differ."""
    name = get_scheme(scheme).name
    return all(_is_sound(previous, tag, name) for previous, tag in set(pairs_of(tags)))


@lru_cache(maxsize=_REMEMBERED)
def _is_sound(previous: str, tag: str, scheme: str) -> bool:
    return is_tag(previous, scheme) and is_tag(tag, scheme) and may_follow(previous, tag, scheme)


def problems(tagged: Tagged, scheme: str | Scheme) -> Iterator[tuple[int, str]]:
    """What is wrong with a sentence's tags, and how lenient reading takes it.

    Yields:
        Position of the tag and a message without the place; in order of positions, at most two for a position.
    """
    scheme = get_scheme(scheme)
    tags = tags_of(tagged)
    for position, tag in enumerate(tags):
        if not is_tag(tag, scheme):
            expected = f"O, or one of {', '.join(scheme.letters)} with a type as in {join_tag(scheme.single, 'PER')}"
            yield position, f"{shown(tag)} is no {scheme.name} tag: expected {expected}"
            continue
        previous = tags[position - 1] if position else OUTSIDE
        following = tags[position + 1] if position + 1 < len(tags) else OUTSIDE
        if not _has_what_it_needs(tag, previous, scheme.before):
            neighbour = f"after {shown(previous, quoted=False)}" if position else "at the start of the sentence"
            yield (
                position,
                _describe(tag, neighbour, scheme, "before") + "leniently read as the first token of an entity",
            )
        if not _has_what_it_needs(tag, following, scheme.after):
            neighbour = (
                f"before {shown(following, quoted=False)}" if position + 1 < len(tags) else "at the end of the sentence"
            )
            yield (
                position,
                _describe(tag, neighbour, scheme, "after") + "leniently read as the last token of its entity",
            )


def _describe(tag: str, neighbour: str, scheme: Scheme, side: str) -> str:
    letter, entity_type = split_tag(tag)
    needed = " or ".join(shown(join_tag(each, entity_type), quoted=False) for each in (getattr(scheme, side))[letter])
    return f"{shown(tag, quoted=False)} {neighbour}: {scheme.name} expects {needed} {side} it; "


def tags_to_spans(tagged: Tagged, scheme: str | Scheme, *, strict: bool = True) -> list[Span]:
    """The entities of a tagged sentence, in order.

    Lenient reading takes chunks as the conlleval script does: an entity begins at a letter that says so, after the end
    of another, after `O`, or where the type changes. On well-formed tags strict and lenient reading agree.

    Args:
        tagged: Tags of one sentence.
        scheme: How they are written.
        strict: Refuse ill-formed tags instead of reading them leniently.

    Raises:
        TagSchemeError: Ill-formed tags if `strict`; tags that the scheme does not know in either case.
    """
    scheme = get_scheme(scheme)
    tags = tags_of(tagged)
    # most sentences have none, and are not looked at tag by tag
    for position, message in () if is_well_formed(tags, scheme) else problems(tagged, scheme):
        if strict or not is_tag(tags[position], scheme):
            where = tagged.where(position) if isinstance(tagged, Sentence) else f"token {position}"
            raise TagSchemeError(f"{where}: {message}")
    return conlleval_spans(tags)


def conlleval_spans(tags: Sequence[str]) -> list[Span]:
    """The chunks that the CoNLL shared tasks' `conlleval` sees, whatever the scheme and however ill-formed the tags.

    A chunk is a run of tags other than `O`, cut where the type changes, before B and S, and after E and S. So an I
    after `O`, at the start of a sentence or after another type begins a chunk. The script knows B, I and E; S (U, W)
    is a chunk of one token and E (L) also ends its chunk before a B, as in seqeval's default mode.

    Args:
        tags: `(T,)` tags of one sentence.

    Source: E. Tjong Kim Sang, conlleval (2004), its conditions for the start and the end of a chunk.
    """
    spans = []
    start, open_type = -1, None  # open_type is None where no entity is open: after O and after an ending letter
    for position, tag in enumerate(tags):
        letter, entity_type = split_tag(tag)
        if start >= 0 and (letter == OUTSIDE or letter in BEGINS or entity_type != open_type):
            spans.append(Span(start, position, open_type or ""))
            start = -1
        if letter == OUTSIDE:
            continue
        if start < 0:
            start, open_type = position, entity_type
        if letter in ENDS:
            spans.append(Span(start, position + 1, entity_type))
            start = -1
    if start >= 0:
        spans.append(Span(start, len(tags), open_type or ""))
    return spans


def spans_to_tags(spans: Sequence[Span], length: int, scheme: str | Scheme) -> list[str]:
    """The tags of a sentence with these entities.

    Args:
        spans: Entities in any order, no two sharing a token.
        length: Tokens of the sentence.
        scheme: How to write them.

    Raises:
        TagSchemeError: A span is empty, leaves the sentence or overlaps another.
    """
    scheme = get_scheme(scheme)
    ordered = sorted(spans)
    tags = [OUTSIDE] * length
    for index, span in enumerate(ordered):
        _check_span(span, ordered[index - 1] if index else None, length)
        before = index > 0 and (ordered[index - 1].end, ordered[index - 1].type) == (span.start, span.type)
        after = index + 1 < len(ordered) and (ordered[index + 1].start, ordered[index + 1].type) == (
            span.end,
            span.type,
        )
        for offset, letter in enumerate(_letters(span.end - span.start, scheme, before=before, after=after)):
            tags[span.start + offset] = join_tag(letter, span.type)
    return tags


def _check_span(span: Span, previous: Span | None, length: int) -> None:
    if not 0 <= span.start < span.end <= length:
        raise TagSchemeError(f"{span} is empty or leaves its sentence of {length} tokens")
    if previous is not None and previous.end > span.start:
        raise TagSchemeError(f"{span} overlaps {previous}; a tag scheme holds one entity a token")


def _letters(length: int, scheme: Scheme, *, before: bool, after: bool) -> list[str]:
    """Letters of an entity; `before` and `after` say whether it touches one of its own type there."""
    if length == 1:
        letters = [scheme.single]
    else:
        letters = [scheme.first, *scheme.inside * (length - 2), scheme.last]
    if before and scheme.touching_first:
        letters[0] = scheme.touching_first
    if after and scheme.touching_last:
        letters[-1] = scheme.touching_last
    return letters


def convert(tagged: Tagged, source: str | Scheme, target: str | Scheme, *, strict: bool = True) -> list[str]:
    """The same entities in another scheme.

    Raises:
        TagSchemeError: As `tags_to_spans`.
    """
    known = _conversion(source, target)
    tags = tags_of(tagged)
    try:
        return list(map(known.__getitem__, zip([OUTSIDE, *tags], tags, [*tags[1:], OUTSIDE], strict=False)))
    except KeyError:  # ill-formed, which takes the whole sentence to read or to describe
        return spans_to_tags(tags_to_spans(tagged, source, strict=strict), len(tags), target)


class _Conversion(dict[tuple[str, str, str], str]):
    """What a well-formed tag becomes, by the tag before it, itself and the tag after it; found once and remembered.

    These three tell whether an entity begins or ends at the tag and whether it touches one of its type there, and no
    scheme's letters say more.
    """

    def __init__(self, source: Scheme, target: Scheme) -> None:
        super().__init__()
        self._source = source
        self._target = target

    def __missing__(self, window: tuple[str, str, str]) -> str:
        previous, tag, following = window
        name = self._source.name
        if not (_is_sound(previous, tag, name) and _is_sound(tag, following, name)):
            raise KeyError(window)
        if len(self) >= _REMEMBERED:
            self.clear()
        converted = self[window] = spans_to_tags(conlleval_spans(window), 3, self._target)[1]
        return converted


@lru_cache(maxsize=64)
def _conversion(source: str | Scheme, target: str | Scheme) -> _Conversion:
    return _Conversion(get_scheme(source), get_scheme(target))


def allowed_transitions(tags: Sequence[str] | Mapping[int, str], scheme: str | Scheme) -> list[tuple[int, int]]:
    """Which tag may follow which, for a CRF with K tags.

    Args:
        tags: The K tags by id, as a list or as a vocabulary's mapping from 0 to K - 1.
        scheme: Their scheme.

    Returns:
        Pairs (from, to) of ids, sorted; K stands for the start of the sentence and K + 1 for its end, as in AllenNLP.
        (AllenNLP forbids `O` in BMES; here BMES data may have it.)

    Raises:
        TagSchemeError: A tag does not belong to the scheme, or the ids are not 0 to K - 1.
    """
    scheme = get_scheme(scheme)
    size = len(tags)
    by_id = dict(tags) if isinstance(tags, Mapping) else dict(enumerate(tags))
    if sorted(by_id) != list(range(size)):
        raise TagSchemeError(f"tag ids must be 0 to {size - 1}, received {sorted(by_id)}")
    for index, tag in sorted(by_id.items()):
        if not is_tag(tag, scheme):
            raise TagSchemeError(f"tag {index} of the vocabulary, {tag!r}, is no {scheme.name} tag")
    sources = [(index, by_id[index]) for index in range(size)]
    pairs = [(i, j) for i, left in sources for j, right in sources if may_follow(left, right, scheme)]
    pairs += [(i, size + 1) for i, left in sources if may_follow(left, OUTSIDE, scheme)]
    pairs += [(size, j) for j, right in sources if may_follow(OUTSIDE, right, scheme)]
    return sorted(pairs)


def tags_of(tagged: Tagged) -> Sequence[str]:
    """The tags of a sentence.

    Raises:
        TagSchemeError: It has none.
    """
    if not isinstance(tagged, Sentence):
        return tagged
    if tagged.tags is None:
        raise TagSchemeError(f"{tagged.where()}: the sentence has no tags")
    return tagged.tags
