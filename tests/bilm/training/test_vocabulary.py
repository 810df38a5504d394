from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from elmo_tagger.bilm.training import LmVocabulary, VocabularyError, count_words
from tests.bilm.training.texts import SENTENCES, write


def test_counts_and_coverage(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", [*SENTENCES, "<UNK> <S>"])
    found = count_words([file, file], block_bytes=30)
    words = " ".join(SENTENCES * 2).split()
    expected = sorted(Counter(words).items(), key=lambda item: (-item[1], item[0].encode()))
    assert list(found.by_word.items()) == expected
    assert (found.sentences, found.tokens) == (2 * len(SENTENCES) + 2, len(words) + 4)
    assert found.coverage(2) == (expected[0][1] + expected[1][1]) / found.tokens


def test_the_vocabulary_is_the_commonest_words(tmp_path: Path) -> None:
    found = count_words([write(tmp_path / "a.txt", ["b b a", "a c b"])])
    assert found.vocabulary().words == ["<S>", "</S>", "<UNK>", "b", "a", "c"]
    assert found.vocabulary(size=5).words == ["<S>", "</S>", "<UNK>", "b", "a"]
    assert found.vocabulary(min_count=3).words == ["<S>", "</S>", "<UNK>", "b"]
    with pytest.raises(VocabularyError, match=r"^expected a word that occurs at least 4 times: there is none$"):
        found.vocabulary(min_count=4)
    with pytest.raises(VocabularyError, match=r"^size: expected more than the 3 special words, received 3$"):
        found.vocabulary(size=3)


def test_a_file_and_back(tmp_path: Path) -> None:
    vocabulary = LmVocabulary(["<S>", "</S>", "<UNK>", "the", "c\u00a0d", "日本語"])
    vocabulary.save(tmp_path / "vocab.txt")
    assert (tmp_path / "vocab.txt").read_bytes() == "<S>\n</S>\n<UNK>\nthe\nc\u00a0d\n日本語\n".encode()
    assert LmVocabulary.from_file(tmp_path / "vocab.txt") == vocabulary
    assert vocabulary.numbers(["日本語", "cat", "</S>", "the"]).tolist() == [5, 2, 1, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "the\nof\n<UNK>\n",
            "expected <S>, </S>, <UNK> as the first 3 words, received 'the', 'of', '<UNK>': bilm-tf's",
        ),
        (
            "",
            "expected <S>, </S>, <UNK> as the first 3 words, received nothing: bilm-tf's format, as `elmo-tagger",
        ),
        ("<S>\n</S>\n<unk>\n", "expected <S>, </S>, <UNK> as the first 3 words, received '<S>', '</S>', '<unk>'"),
        ("<S>\n</S>\n<UNK>\nthe\n\n", "vocab.txt:5: expected one word, received ''"),
        ("<S>\n</S>\n<UNK>\nthe 12\n", "vocab.txt:4: expected one word, received 'the 12'"),
        ("<S>\n</S>\n<UNK>\nthe\nof\nthe\n", "vocab.txt:6: 'the' is in line 4 too"),
    ],
)
def test_ill_formed_vocabularies_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text(text)
    with pytest.raises(VocabularyError) as error:
        LmVocabulary.from_file(tmp_path / "vocab.txt")
    assert message in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "vocab.txt"))


def test_an_order_other_than_by_frequency_is_refused() -> None:
    words = [f"w{number:03}" for number in range(200)]
    vocabulary = LmVocabulary(["<S>", "</S>", "<UNK>", *words], source="vocab.txt")
    counts = np.array([0, 0, 10**6, *(1000 // (rank + 1) for rank in range(200))])
    vocabulary.check_order(counts)
    random = np.random.default_rng(0)
    vocabulary.check_order(np.r_[0, 0, 0, random.permutation(counts[3:13]), counts[13:]])  # sorted by another text
    shuffled = np.r_[0, 0, 0, random.permutation(counts[3:])]
    with pytest.raises(
        VocabularyError, match=r"^vocab\.txt: expected words by descending frequency, .* of -?0\.\d\d, w"
    ):
        vocabulary.check_order(shuffled)
    with pytest.raises(VocabularyError, match=r"rank correlation of -1\.00, where 1 is sorted: build it with"):
        vocabulary.check_order(np.r_[0, 0, 0, np.arange(1, 201)])
    vocabulary.check_order(np.r_[shuffled[:50], np.zeros(153, dtype=int)])  # too few words to tell
