"""The two readings of a tag sequence that published scores use: strict and conlleval's.

They differ on ill-formed sequences alone. The strict reading keeps an entity only where the scheme's own marks delimit
it completely; conlleval's makes an entity of anything that is not `O`, cutting wherever a boundary can be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import chain
from typing import Final, NamedTuple

from elmo_tagger.text.sentence import Span

NO_TYPE: Final = "_"
"""Type of an entity whose tags are bare prefixes ("B", "I"), as in seqeval."""


class _Rules(NamedTuple):
    """Which neighbouring tags open, continue and close an entity in a strict reading.

    Each word is the previous prefix, the current prefix, and the relation of their types: `=` equal, `!` different,
    `*` either. `?` stands for any prefix.
    """

    prefixes: str
    opens: str
    continues: str
    closes: str


_IOBES: Final = _Rules("BIOES", opens="?B* ?S*", continues="BI= BE= II= IE=", closes="E?* S?*")
# Source: seqeval 1.2.2, seqeval/scheme.py, whose reading of each scheme these words repeat.
_STRICT: Final = {
    # A B between two types neither opens nor closes: IOB1 has B for a neighbour of the same type alone.
    "IOB1": _Rules("BIO", opens="OI* BI* II! IB= BB=", continues="BI= II=", closes="BI! BO* BB= I?*"),
    "IOB2": _Rules("BIO", opens="?B*", continues="BI= II=", closes="B?* I?*"),
    "IOE2": _Rules("EIO", opens="OI* OE* EI* EE* II! IE!", continues="II= IE=", closes="E?*"),
    "IOBES": _IOBES,
    "BILOU": _Rules(*(word.translate(str.maketrans("ES", "LU")) for word in _IOBES)),
}
_ALIASES: Final = {"BIO": "IOB2", "BIOES": "IOBES", "BIOUL": "BILOU", "BIOLU": "BILOU", "IOB": "IOB1"}
_OPENS, _CONTINUES, _CLOSES = 1, 2, 4
# Prefixes before and after which conlleval cuts, whatever the types; sets, since "" is in every string.
_CUT_BEFORE, _CUT_AFTER = frozenset("OBSU"), frozenset("ESLU")


def strict_spans(tags: Sequence[str], scheme: str) -> list[Span]:
    """The entities that the scheme's marks delimit completely; everything else is nobody's.

    Args:
        tags: `(T,)` the tags of one sentence.
        scheme: "IOB1", "IOB2" (or "BIO"), "IOE2", "IOBES" (or "BIOES") or "BILOU" (or "BIOUL").

    Returns:
        The spans in order, equal to seqeval's with `mode="strict"`.

    Raises:
        ValueError: An unknown scheme, or a tag whose prefix the scheme does not have.
    """
    scheme = _scheme_name(scheme)
    moves = _transitions(scheme)
    spans: list[Span] = []
    begin = -1
    previous, previous_type = "O", NO_TYPE
    for position, tag in enumerate(chain(tags, ("O",))):
        if tag == "O" == previous:
            continue
        prefix, entity_type = split_tag(tag)
        try:
            move = moves[previous, prefix, previous_type == entity_type]
        except KeyError:
            allowed = ", ".join(_STRICT[scheme].prefixes)
            raise ValueError(f"tag {tag!r} at token {position}: {scheme} has the prefixes {allowed} alone") from None
        if begin < 0 or not move & _CONTINUES:
            if begin >= 0 and move & _CLOSES:
                spans.append(Span(begin, position, previous_type))
            begin = position if move & _OPENS else -1
        previous, previous_type = prefix, entity_type
    return spans


def conlleval_spans(tags: Sequence[str]) -> list[Span]:
    """The chunks that the CoNLL shared tasks' `conlleval` sees, whatever the scheme and however ill-formed.

    A chunk is a run of tags other than `O`, cut where the type changes, before B and S (U), and after E (L) and S (U).
    So an I after `O`, at the start of a sentence, or after another type begins a chunk.

    Args:
        tags: `(T,)` the tags of one sentence.

    Returns:
        The spans in order. They equal those of the original script, which knows B, I and E; as in seqeval's default
        mode, S stands for a chunk of one token and an E also ends its chunk before a B. L and U read as E and S.

    Source: E. Tjong Kim Sang, conlleval (2004), the conditions for the start and the end of a chunk.
    """
    spans: list[Span] = []
    begin = -1
    previous, previous_type = "O", NO_TYPE
    for position, tag in enumerate(tags):
        if tag == "O" == previous:
            continue
        prefix, entity_type = split_tag(tag)
        if begin >= 0 and (prefix in _CUT_BEFORE or previous in _CUT_AFTER or entity_type != previous_type):
            spans.append(Span(begin, position, previous_type))
            begin = -1
        if begin < 0 and prefix != "O":
            begin = position
        previous, previous_type = prefix, entity_type
    if begin >= 0:
        spans.append(Span(begin, len(tags), previous_type))
    return spans


@lru_cache(maxsize=4096)
def split_tag(tag: str) -> tuple[str, str]:
    """A tag's prefix and its entity type: ("B", "PER") for "B-PER", ("O", "_") for "O"."""
    prefix, _, entity_type = tag.partition("-")
    return prefix, entity_type or NO_TYPE


def _scheme_name(scheme: str) -> str:
    name = scheme.upper()
    name = _ALIASES.get(name, name)
    if name not in _STRICT:
        raise ValueError(f"no strict reading for scheme {scheme!r}; expected one of {', '.join(_STRICT)}")
    return name


@cache
def _transitions(scheme: str) -> dict[tuple[str, str, bool], int]:
    """Every (previous prefix, prefix, types are equal) of a scheme to what it may do, as bits."""
    rules = _STRICT[scheme]
    moves = {(a, b, same): 0 for a in rules.prefixes for b in rules.prefixes for same in (True, False)}
    for words, bit in ((rules.opens, _OPENS), (rules.continues, _CONTINUES), (rules.closes, _CLOSES)):
        for word in words.split():
            first, second, relation = tuple(word)
            for a, b, same in moves:
                if first in ("?", a) and second in ("?", b) and relation in ("*", "=" if same else "!"):
                    moves[a, b, same] |= bit
    return moves
