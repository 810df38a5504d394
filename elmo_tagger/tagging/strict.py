"""The strict reading of ill-formed tags: an entity counts only where its scheme's marks delimit it completely.

On well-formed tags this is what every other reading says. It is here because published strict scores are seqeval's,
and those depend on how its schemes take ill-formed sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Final, NamedTuple

from elmo_tagger.tagging.schemes import OUTSIDE, Scheme, TagSchemeError, get_scheme, split_tag
from elmo_tagger.text.sentence import Span


class _Rules(NamedTuple):
    """Which neighbouring tags open, continue and close an entity.

    Each word is the previous letter, the current letter, and the relation of their types: `=` equal, `!` different,
    `*` either. `?` stands for any letter.
    """

    opens: str
    continues: str
    closes: str


# Source: seqeval 1.2.2, seqeval/scheme.py, whose reading of each scheme these words repeat.
_RULES: Final = {
    "BIO": _Rules(opens="?B*", continues="BI= II=", closes="B?* I?*"),
    # A B between two types neither opens nor closes: IOB1 has B for a neighbour of the same type alone.
    "IOB1": _Rules(opens="OI* BI* II! IB= BB=", continues="BI= II=", closes="BI! BO* BB= I?*"),
    "IOE2": _Rules(opens="OI* OE* EI* EE* II! IE!", continues="II= IE=", closes="E?*"),
}
_DELIMITED: Final = _Rules(opens="?B* ?S*", continues="BI= BE= II= IE=", closes="E?* S?*")
_OPENS, _CONTINUES, _CLOSES = 1, 2, 4


def strict_spans(tags: Sequence[str], scheme: str | Scheme) -> list[Span]:
    """The entities that the scheme's marks delimit completely; all else belongs to none.

    Args:
        tags: `(T,)` the tags of one sentence, well-formed or not.
        scheme: How they are written.

    Returns:
        The spans in order: those of seqeval with `mode="strict"` in BIO (IOB2), IOB1, IOE2, BIOES (IOBES) and BIOUL
        (BILOU); by the same rules in BMES and BMEWO, which spell BIOES otherwise; in IOE1, which seqeval reads
        incompletely, those of IOB1 from right to left.

    Raises:
        TagSchemeError: An unknown scheme, or a tag that the scheme does not have.
    """
    scheme = get_scheme(scheme)
    if scheme.name == "IOE1":
        return _mirrored(tags)
    moves = _transitions(scheme.name)
    spans: list[Span] = []
    begin = -1
    previous, previous_type = OUTSIDE, ""
    for position, tag in enumerate(chain(tags, (OUTSIDE,))):
        if tag == OUTSIDE == previous:
            continue
        letter, entity_type = split_tag(tag)
        move = moves.get((previous, letter, previous_type == entity_type))
        if move is None:
            raise _unknown(tag, position, scheme)
        if begin < 0 or not move & _CONTINUES:
            if begin >= 0 and move & _CLOSES:
                spans.append(Span(begin, position, previous_type))
            begin = position if move & _OPENS else -1
        previous, previous_type = letter, entity_type
    return spans


@cache
def _transitions(name: str) -> dict[tuple[str, str, bool], int]:
    """Every (previous letter, letter, types are equal) of a scheme to what it may do, as bits."""
    scheme = get_scheme(name)
    rules = _RULES.get(name) or _spelled(_DELIMITED, scheme)
    letters = OUTSIDE + scheme.letters
    moves = {(a, b, same): 0 for a in letters for b in letters for same in (True, False)}
    for words, bit in ((rules.opens, _OPENS), (rules.continues, _CONTINUES), (rules.closes, _CLOSES)):
        for word in words.split():
            first, second, relation = tuple(word)
            for a, b, same in moves:
                if first in ("?", a) and second in ("?", b) and relation in ("*", "=" if same else "!"):
                    moves[a, b, same] |= bit
    return moves


def _spelled(rules: _Rules, scheme: Scheme) -> _Rules:
    """The rules of BIOES with a scheme's own letters."""
    letters = str.maketrans("BIES", scheme.first + scheme.inside + scheme.last + scheme.single)
    return _Rules(*(words.translate(letters) for words in rules))


def _mirrored(tags: Sequence[str]) -> list[Span]:
    """IOE1, read as the IOB1 that it is from right to left."""
    length = len(tags)
    for position, tag in enumerate(tags):
        if split_tag(tag)[0] not in ("O", "I", "E"):
            raise _unknown(tag, position, get_scheme("IOE1"))
    backwards = ["B" + tag[1:] if tag.startswith("E") else tag for tag in reversed(tags)]
    spans = strict_spans(backwards, "IOB1")
    return [Span(length - span.end, length - span.start, span.type) for span in reversed(spans)]


def _unknown(tag: str, position: int, scheme: Scheme) -> TagSchemeError:
    return TagSchemeError(
        f"token {position}: {tag!r} is no {scheme.name} tag: its letters are {', '.join(scheme.letters)}, O"
    )
