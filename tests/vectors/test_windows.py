from hypothesis import given
from hypothesis import strategies as st

from elmo_tagger.vectors.sentences import InputSentence
from elmo_tagger.vectors.windows import length_batches, windows

LENGTHS = st.lists(st.integers(0, 30), max_size=60)


def sentence(length: int) -> InputSentence:
    return InputSentence("", ["x"] * length, 0, 1, 1, 0)


@given(LENGTHS, st.integers(1, 40), st.integers(1, 9))
def test_windows_are_the_stream_in_bounded_pieces(lengths: list[int], max_tokens: int, max_sentences: int) -> None:
    found = list(windows(map(sentence, lengths), max_tokens=max_tokens, max_sentences=max_sentences))
    assert [len(s.tokens) for window in found for s in window.sentences] == lengths
    assert [window.first for window in found] == [
        sum(len(w.sentences) for w in found[:number]) for number in range(len(found))
    ]
    for window, following in zip(found, [*found[1:], None], strict=False):
        assert len(window.sentences) <= max_sentences
        assert window.tokens <= max_tokens or len(window.sentences) == 1
        if following is not None:  # nor is a window cut too early
            full = len(window.sentences) == max_sentences
            assert full or window.tokens + len(following.sentences[0].tokens) > max_tokens


@given(LENGTHS, st.integers(1, 40))
def test_batches_hold_each_sentence_once_in_bounded_space(lengths: list[int], max_tokens: int) -> None:
    batches = length_batches(lengths, max_tokens=max_tokens)
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[place] for place in batch)
        assert lengths[batch[0]] == longest
        assert len(batch) * longest <= max_tokens or len(batch) == 1
