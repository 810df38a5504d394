from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
import pytest
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

from elmo_tagger.corpus.alignment import Pair
from elmo_tagger.corpus.compare import compare_runs
from elmo_tagger.corpus.runs import Run, distinct_rows, read_run, read_system
from elmo_tagger.text.sentence import Sentence

TAGS = ["O", "O", "B-A", "I-A", "B-B"]


def tagged(seed: int, sentences: int = 60) -> list[list[str]]:
    random = np.random.default_rng(seed)
    return [[TAGS[i] for i in random.integers(0, 5, size=random.integers(1, 9))] for _ in range(sentences)]


def predicted(gold: list[list[str]], seed: int, noise: float) -> list[list[str]]:
    random = np.random.default_rng(seed)
    return [[TAGS[random.integers(5)] if random.random() < noise else tag for tag in tags] for tags in gold]


def pairs(gold: list[list[str]], guesses: list[list[str]]) -> list[Pair]:
    return [Pair(Sentence([f"w{i}" for i in range(len(g))], g), p) for g, p in zip(gold, guesses, strict=True)]


GOLD = tagged(0)


def run(seed: int, noise: float, *, gold: list[list[str]] = GOLD, strict: bool = False) -> Run:
    found = pairs(gold, predicted(gold, seed, noise))
    return read_run(f"run{seed}", lambda: found, schemes=("BIO", "BIO") if strict else None)


@pytest.mark.parametrize("strict", [False, True])
def test_scores_are_seqevals(strict: bool) -> None:
    seeds = [1, 2, 3]
    report = compare_runs([run(s, 0.2, strict=strict) for s in seeds], [run(9, 0.5, strict=strict)], resamples=10)
    options = {"mode": "strict", "scheme": IOB2} if strict else {}
    expected = [100 * f1_score(GOLD, predicted(GOLD, s, 0.2), **options) for s in seeds]
    overall, by_type = report.rows[0], report.rows[1:]
    assert overall.first.runs == pytest.approx(expected)
    assert overall.first.mean == pytest.approx(np.mean(expected))
    assert overall.first.deviation == pytest.approx(np.std(expected, ddof=1))
    assert overall.second.deviation is None
    assert overall.difference == pytest.approx(overall.first.mean - overall.second.mean)
    per_type = f1_score(GOLD, predicted(GOLD, 9, 0.5), average=None, **options)
    assert [row.name for row in by_type] == ["A", "B"]
    assert [row.second.mean for row in by_type] == pytest.approx(100 * per_type)


def test_a_tie_is_rounded_as_conlleval_rounds_it() -> None:
    gold = [["B-A"]] * 27 + [["O"]] * 10
    exact = read_run("exact", lambda: pairs(gold, gold), schemes=None)
    found = read_run("found", lambda: pairs(gold, [["B-A"]] * 37), schemes=None)
    report = compare_runs([found], [exact], resamples=1)
    assert [f"{value:.2f}" for value in report.rows[0].first.runs] == ["84.38"], "conlleval.pl prints 84.38"


def test_distinct_rows_are_what_counting_sentences_gives() -> None:
    runs = [run(seed, noise) for seed, noise in ((1, 0.2), (2, 0.4), (3, 0.1))]
    expected: Counter[tuple[tuple[int, ...], ...]] = Counter()
    for index in range(len(GOLD)):
        rows = [
            tuple(map(int, record[2:])) if len(record) else (0, 0, 0)
            for each in runs
            for name in ("A", "B")
            for record in [next((r for r in each.records if r[0] == index and each.types[r[1]] == name), ())]
        ]
        expected[tuple(rows)] += 1
    expected.pop(((0, 0, 0),) * 6, None)
    names, counts, times = distinct_rows(runs)
    assert names == ["overall", "A", "B"]
    found = {
        tuple(tuple(map(int, counts[number, row, group])) for number in range(3) for group in (1, 2)): int(times[row])
        for row in range(len(times))
    }
    assert found == expected
    assert len(times) < len(GOLD), "some sentences are alike"
    assert np.array_equal(counts[:, :, 0], counts[:, :, 1:].sum(axis=2))


def test_a_system_has_one_scheme_and_its_notes() -> None:
    gold = [["B-A", "I-A", "O"]] * 12
    iob1 = [["I-A", "I-A", "O"]] * 12
    (first,) = read_system([("bio", lambda: pairs(gold, gold))], strict=True)
    second = read_system([("x", lambda: pairs(gold, iob1)), ("y", lambda: pairs(gold, gold))], strict=True)
    assert first.notes == ()
    assert [int(each.records[:, 4].sum()) for each in (first, *second)] == [12, 0, 12], "read as BIO in both runs"
    (alone,) = read_system([("x", lambda: pairs(gold, iob1))], strict=True)
    note = "the predictions are read as IOB1: 12 of the 12 sentences with predicted entities are ill-formed in BIO"
    assert [each.startswith(note) for each in alone.notes] == [True]
    assert compare_runs([first], [alone], resamples=5).warnings[0].startswith(f"x: {note}")
    (told,) = read_system([("x", lambda: pairs(gold, iob1))], strict=True, predicted_scheme="IOB2")
    assert (told.notes, int(told.records[:, 4].sum())) == ((), 0)


def test_a_real_difference_is_found_and_noise_is_not() -> None:
    good, again, bad = (
        [run(seed + base, noise) for seed in range(4)] for base, noise in ((0, 0.1), (10, 0.1), (20, 0.6))
    )
    different, same = compare_runs(good, bad, resamples=500), compare_runs(good, again, resamples=500)
    assert different.rows[0].p_sentences < 0.01
    assert different.rows[0].p_runs == pytest.approx(2 / 70)
    assert different.rows[0].low > 0
    assert same.rows[0].p_sentences > 0.05
    assert same.rows[0].low < 0 < same.rows[0].high


def test_a_seed_gives_the_same_report() -> None:
    reports = [compare_runs([run(1, 0.2)], [run(2, 0.3)], resamples=200, seed=seed).to_json() for seed in (5, 5, 6)]
    assert reports[0] == reports[1]
    assert reports[0]["rows"][0]["low"] != reports[2]["rows"][0]["low"]
    assert json.loads(json.dumps(reports[0])) == reports[0]


def test_adjusted_p_values_are_of_the_types_alone() -> None:
    report = compare_runs([run(1, 0.2)], [run(2, 0.4)], resamples=200)
    assert report.rows[0].p_holm is None
    assert all(row.p_sentences <= row.p_holm <= 1 for row in report.rows[1:])
    assert report.rows[0].p_runs is None, "one run of a system cannot be permuted"
    assert report.warnings == ["one run of each system: the noise between seeds is not in these numbers"]


def test_another_gold_file_is_warned_of() -> None:
    gold = [list(tags) for tags in GOLD]
    gold[2][0] = "B-NEW"
    report = compare_runs([run(1, 0.2), run(2, 0.2)], [run(3, 0.2), run(4, 0.2, gold=gold)], resamples=10)
    assert report.warnings == [
        "run4 is not on the same gold file as run1: tokens or gold entities differ in 1 of 60 sentences, "
        "first in sentence 3"
    ]
    assert [row.name for row in report.rows] == ["overall", "A", "B", "NEW"]


def test_runs_without_any_entity() -> None:
    nothing = read_run("nothing", lambda: pairs([["O"]] * 3, [["O"]] * 3))
    row = compare_runs([nothing], [nothing], resamples=20).rows[0]
    assert (row.difference, row.low, row.high, row.p_sentences) == (0.0, 0.0, 0.0, 1.0)


def test_runs_that_cannot_be_compared_say_why() -> None:
    short = run(5, 0.2, gold=GOLD[:50])
    with pytest.raises(
        ValueError, match=re.escape("run5 has 50 sentences, expected 60 as in run1: only runs on the same")
    ):
        compare_runs([run(1, 0.2)], [short])
    with pytest.raises(ValueError, match=re.escape("0 and 1 runs: expected at least one of each system")):
        compare_runs([], [short])
    with pytest.raises(ValueError, match=re.escape("empty: no sentences to score")):
        read_run("empty", list)
    with pytest.raises(
        ValueError, match=re.escape("resamples 10 and confidence 95: expected >= 1 and between 0 and 1")
    ):
        compare_runs([short], [short], resamples=10, confidence=95)
