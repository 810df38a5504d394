"""conlleval's chunk definition, plain and slow: two yes/no questions per pair of neighbouring tags.

Written from the published rules of the CoNLL-2000 evaluation script: a chunk may end between two tags, and a chunk may
start between two tags; sentences are parted by `O`. Both files are walked side by side, as the script walks its lines,
so that nothing here knows of spans. `count(..., literal=True)` is the script's own table, which knows B, I and E, and
where an E before a B of the same type neither ends a chunk nor starts one; by default S is added, and that case.
"""

from __future__ import annotations

from collections import Counter

# Pairs (previous, current) of prefixes between which a chunk ends, whatever the types.
ENDS = {"BB", "BO", "IB", "IO", "EE", "EI", "EO"}
# Pairs between which a chunk starts, whatever the types.
STARTS = {"BB", "IB", "OB", "OI", "EE", "EI", "OE"}
# What is added to both; S is the chunk of one token.
ADDED_ENDS = {"EB", "BS", "IS", "ES", "SS", "SB", "SI", "SE", "SO"}
ADDED_STARTS = {"EB", "BS", "IS", "ES", "SS", "SB", "SI", "SE", "OS"}


def parts(tag: str) -> tuple[str, str]:
    prefix, dash, entity_type = tag.partition("-")
    return prefix.replace("L", "E").replace("U", "S"), entity_type if dash else ""


def ends(previous: tuple[str, str], current: tuple[str, str], literal: bool) -> bool:
    other_type = previous[0] != "O" and previous[1] != current[1]
    pair = previous[0] + current[0]
    return pair in ENDS or (not literal and pair in ADDED_ENDS) or other_type


def starts(previous: tuple[str, str], current: tuple[str, str], literal: bool) -> bool:
    other_type = current[0] != "O" and previous[1] != current[1]
    pair = previous[0] + current[0]
    return pair in STARTS or (not literal and pair in ADDED_STARTS) or other_type


def count(
    gold: list[list[str]], predicted: list[list[str]], *, literal: bool = False
) -> dict[str, tuple[int, int, int]]:
    """Type to (chunks in gold, chunks predicted, chunks correct)."""
    in_gold: Counter[str] = Counter()
    in_predicted: Counter[str] = Counter()
    correct: Counter[str] = Counter()
    outside = ("O", "")
    for gold_tags, predicted_tags in zip(gold, predicted, strict=True):
        running = ""  # type of the chunk that is correct up to here
        agreeing = False
        last_gold = last_predicted = outside
        for gold_tag, predicted_tag in zip([*gold_tags, "O"], [*predicted_tags, "O"], strict=True):
            this_gold, this_predicted = parts(gold_tag), parts(predicted_tag)
            gold_ends, predicted_ends = (
                ends(*pair, literal) for pair in ((last_gold, this_gold), (last_predicted, this_predicted))
            )
            if agreeing and (gold_ends or predicted_ends):
                agreeing = False
                if gold_ends and predicted_ends:
                    correct[running] += 1
            gold_starts, predicted_starts = (
                starts(*pair, literal) for pair in ((last_gold, this_gold), (last_predicted, this_predicted))
            )
            in_gold[this_gold[1]] += gold_starts
            in_predicted[this_predicted[1]] += predicted_starts
            if gold_starts and predicted_starts and this_gold[1] == this_predicted[1]:
                agreeing, running = True, this_gold[1]
            last_gold, last_predicted = this_gold, this_predicted
    types = {t for counter in (in_gold, in_predicted) for t, n in counter.items() if n}
    return {t: (in_gold[t], in_predicted[t], correct[t]) for t in types}
