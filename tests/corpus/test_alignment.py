from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from elmo_tagger.corpus.alignment import Pair, pair_reader

GOLD = "EU B-ORG\nrejects O\nGerman B-MISC\n\nPeter B-PER\nBlackburn I-PER\n\nEU O\n"
TOKENS = [["EU", "rejects", "German"], ["Peter", "Blackburn"], ["EU"]]
TAGS = [["B-ORG", "O", "O"], ["B-PER", "O"], ["B-ORG"]]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gold.conll").write_text(GOLD, encoding="utf-8")


def read(*records: Any) -> list[Pair]:
    text = "".join(record if isinstance(record, str) else json.dumps(record) + "\n" for record in records)
    Path("pred").write_text(text, encoding="utf-8")
    return list(pair_reader("gold.conll", "pred")())


def predicted(pairs: list[Pair]) -> list[list[str]]:
    assert [pair.tokens for pair in pairs] == TOKENS
    assert [pair.gold for pair in pairs] == [["B-ORG", "O", "B-MISC"], ["B-PER", "I-PER"], ["O"]]
    return [pair.predicted for pair in pairs]


def column_file() -> str:
    sentences = zip(TOKENS, TAGS, strict=True)
    return "\n".join("".join(f"{a} x {b}\n" for a, b in zip(*sentence, strict=True)) for sentence in sentences)


def test_a_column_file() -> None:
    assert predicted(read(column_file())) == TAGS


def test_predict_writes_one_object_a_sentence() -> None:
    records = [
        {"text": "", "tokens": a, "tags": b, "entities": [], "extra": 1} for a, b in zip(TOKENS, TAGS, strict=True)
    ]
    assert predicted(read(*records)) == TAGS
    words = [{"words": a, "tags": b, "logits": [[0.1]]} for a, b in zip(TOKENS, TAGS, strict=True)]
    assert predicted(read(*words)) == TAGS, "AllenNLP's own taggers write words"


def test_a_document_holds_several_sentences() -> None:
    document = {"tokens": list(chain(*TOKENS)), "tags": list(chain(*TAGS))}
    assert predicted(read(document)) == TAGS
    cut_elsewhere = [
        {"tokens": ["EU", "rejects"], "tags": ["B-ORG", "O"]},
        {"tokens": ["German", "Peter", "Blackburn", "EU"], "tags": ["O", "B-PER", "O", "B-ORG"]},
    ]
    assert predicted(read(*cut_elsewhere)) == TAGS


def test_evaluate_writes_batches_in_any_order() -> None:
    assert predicted(read({"tokens": TOKENS, "tags": TAGS})) == TAGS
    shuffled = [
        {"tokens": [TOKENS[2], TOKENS[1]], "tags": [TAGS[2], TAGS[1]]},
        {"tokens": [TOKENS[0]], "tags": [TAGS[0]]},
    ]
    assert predicted(read(*shuffled)) == TAGS


def test_tags_alone_must_be_in_order() -> None:
    assert predicted(read({"tags": TAGS[:2]}, {"tags": TAGS[2:]})) == TAGS
    assert predicted(read(*({"tags": tags} for tags in TAGS))) == TAGS


def test_equal_sentences_get_their_predictions_in_turn() -> None:
    Path("gold.conll").write_text("a O\n\na O\n", encoding="utf-8")
    pairs = read({"tokens": [["a"], ["a"]], "tags": [["B-X"], ["B-Y"]]})
    assert [pair.predicted for pair in pairs] == [["B-X"], ["B-Y"]]


def test_one_file_with_both() -> None:
    record = {"tokens": TOKENS, "tags": TAGS, "gold_tags": [["B-ORG", "O", "B-MISC"], ["B-PER", "I-PER"], ["O"]]}
    Path("both.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    assert predicted(list(pair_reader("both.jsonl")())) == TAGS
    Path("both.conll").write_text("a NN B-X B-Y\nb NN O O\n", encoding="utf-8")
    (pair,) = pair_reader("both.conll")()
    assert (pair.tokens, pair.gold, pair.predicted) == (["a", "b"], ["B-X", "O"], ["B-Y", "O"])


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (
            ["EU B-ORG\nrejects O\nGermany O\n"],
            "gold.conll:3: token 'German', but the prediction (pred:1) has 'Germany'",
        ),
        (["EU O\nrejects O\nGerman O\n\nPeter O\n"], "pred: ends where gold.conll:6 has 'Blackburn'"),
        ([column_file() + "\nmore x O\n"], "pred:10: more predictions than the gold file has tokens"),
        (
            [{"tokens": TOKENS[:2], "tags": TAGS[:2]}],
            "pred: no prediction for sentence 3 (gold.conll:8): EU",
        ),
        (
            [{"tokens": [*TOKENS, ["x"]], "tags": [*TAGS, ["O"]]}],
            "pred: 1 predicted sentences that the gold file does not have",
        ),
        (
            [{"tags": ["O", "O"]}],
            "pred:1: 2 tags, expected 3 as at gold.conll:1; without tokens the sentences must be those of the gold",
        ),
        (
            [{"tags": [["O", "O"]]}],
            "pred:1: 2 tags, expected 3 as at gold.conll:1; without tokens the sentences must be in the order of",
        ),
        ([{"tokens": ["EU"], "tags": ["O", "O"]}], 'pred:1: 1 of "tokens" for 2 "tags" in sentence 1 of the line'),
        ([{"tokens": [["EU"]], "tags": [["O"], ["O"]]}], 'pred:1: 1 sentences of "tokens" for 2 of "tags"'),
        ([{"tokens": ["EU"], "tags": [1]}], 'pred:1: "tags" is no list of strings nor a list of such lists'),
        ([{"tags": TAGS[0]}, {"words": ["x"]}], 'pred:2: no "tags"; its keys are words'),
        ([{"tags": TAGS[0]}, "[1]\n"], "pred:2: a JSON list, expected an object"),
        (['{"tags": \n'], "pred:1: no JSON: Expecting value: line 1 column 10 (char 9)"),
        ([{"tags": TAGS[0]}, "{" * 100 + "\n"], "pred:2: no JSON: Expecting property name enclosed in double quotes"),
        ([{"tags": TAGS[0]}, '{"a":' * 100_000 + "\n"], "pred:2: no JSON that can be read: too deeply nested"),
    ],
)
def test_files_that_cannot_be_aligned_say_where(records: list[Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the text is compared below)
        read(*records)
    assert str(caught.value).startswith(message)


def test_one_file_without_both() -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        list(pair_reader("gold.conll")())
    assert str(caught.value) == (
        "gold.conll: expected two columns of tags, gold and predicted, since no second file is given; "
        "its columns look like tokens, tags"
    )
