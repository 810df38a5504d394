from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.corpus.repetition import Annotated, find_duplicates, find_inconsistencies
from elmo_tagger.tagging.schemes import conlleval_spans
from elmo_tagger.text.sentence import Sentence
from tests.reference import repetition

TAGGED = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["O", "O", "B-X", "I-X", "B-Y"])), min_size=1, max_size=6
)
FILES = st.lists(st.lists(TAGGED, min_size=1, max_size=5), min_size=1, max_size=3)


@settings(max_examples=150, deadline=None)
@given(files=FILES)
def test_both_are_their_slow_twins(files: list[list[list[tuple[str, str]]]]) -> None:
    annotated: dict[str, list[Annotated]] = {}
    for number, file in enumerate(files):
        sentences = [Sentence([token for token, _ in pairs], [tag for _, tag in pairs]) for pairs in file]
        annotated[f"file{number}"] = [(sentence, conlleval_spans(sentence.tags)) for sentence in sentences]
    plain = [[(sentence.tokens, spans) for sentence, spans in file] for file in annotated.values()]
    found = {(pair.first, pair.second): pair.sentences for pair in find_duplicates(annotated, train="file0")}
    names = list(annotated)
    assert found == {
        (names[i], names[j]): count
        for j in range(len(plain))
        for i in range(j + 1)
        if (count := repetition.repeated(plain[i], plain[j]))
    }
    disputed, total = find_inconsistencies(annotated, limit=1000)
    assert {item.phrase: item.readings for item in disputed} == repetition.disputed(
        [sentence for file in plain for sentence in file]
    )
    assert total == len(disputed)
    minorities = [sum(item.readings.values()) - max(item.readings.values()) for item in disputed]
    assert minorities == sorted(minorities, reverse=True)
    assert find_inconsistencies(annotated, limit=1)[0] == disputed[:1]
