from __future__ import annotations

import numpy as np
import pytest

from elmo_tagger.corpus.resampling import bootstrap_interval, f1, holm, randomisation_test, runs_test
from tests.reference import resampling as reference


def system(seed: int, *, runs: int = 1, sentences: int = 10, quality: float = 0.8) -> np.ndarray:
    """`(runs, sentences, 1, 3)` counts of a tagger on the same gold entities, whatever its seed."""
    gold = np.random.default_rng(99).integers(0, 5, size=sentences)
    random = np.random.default_rng(seed)
    correct = random.binomial(gold, quality, size=(runs, sentences))
    predicted = correct + random.binomial(2, 1 - quality, size=(runs, sentences))
    return np.stack([np.broadcast_to(gold, correct.shape), predicted, correct], axis=-1)[:, :, None].astype(float)


def test_f1_of_counts() -> None:
    assert f1(np.array([[4.0, 6.0, 3.0], [0.0, 0.0, 0.0]])).tolist() == [0.6, 0.0]


@pytest.mark.parametrize(("seed", "quality"), [(1, 0.8), (2, 0.6), (3, 0.3)])
def test_p_values_approach_the_exact_ones(seed: int, quality: float) -> None:
    first, second = system(seed, quality=0.8), system(seed + 10, quality=quality)
    exact = reference.exact_randomisation(
        [tuple(row) for row in first[0, :, 0].astype(int).tolist()],
        [tuple(row) for row in second[0, :, 0].astype(int).tolist()],
    )
    (estimate,) = randomisation_test(first, second, resamples=20_000, seed=0)
    assert estimate == pytest.approx(exact, abs=0.015)  # four standard errors at p = 1/2


def test_equal_systems_cannot_differ() -> None:
    first = system(1, runs=2)
    assert randomisation_test(first, first, resamples=100, seed=0).tolist() == [1.0]
    low, high = bootstrap_interval(first[:1], first[:1], sentences=10, resamples=100, seed=0)
    assert (low.tolist(), high.tolist()) == ([0.0], [0.0])


def test_sides_and_repetition_of_runs_do_not_matter_to_the_test() -> None:
    first, second = system(1), system(2, quality=0.5)
    p = randomisation_test(first, second, resamples=500, seed=3)
    assert randomisation_test(second, first, resamples=500, seed=3) == p
    twice = np.concatenate([first, first])
    assert randomisation_test(twice, second, resamples=500, seed=3) == p


def test_groups_are_independent() -> None:
    first, second = system(1), system(2, quality=0.5)
    other = system(7)
    both = [np.concatenate([part, other], axis=2) for part in (first, second)]
    p = randomisation_test(*both, resamples=2000, seed=0)
    assert p[1] == 1.0, "the second group is the same in both systems"
    assert p[0] == pytest.approx(randomisation_test(first, second, resamples=2000, seed=0)[0], abs=0.05)


def test_the_false_alarm_rate_is_what_p_says() -> None:
    random = np.random.default_rng(0)
    p = [
        randomisation_test(system(a, sentences=40), system(b, sentences=40), resamples=200, seed=1)[0]
        for a, b in random.integers(0, 2**31, size=(200, 2)).tolist()
    ]
    assert np.mean(np.array(p) <= 0.2) == pytest.approx(0.2, abs=0.09)  # three standard errors


def test_the_interval_covers_the_difference_and_narrows_with_data() -> None:
    widths = []
    for sentences in (50, 800):
        first, second = system(1, sentences=sentences), system(2, sentences=sentences, quality=0.6)
        low, high = bootstrap_interval(first, second, sentences=sentences, resamples=500, seed=0)
        difference = f1(first.sum(axis=1)) - f1(second.sum(axis=1))
        assert low[0] < difference[0, 0] < high[0]
        widths.append(high[0] - low[0])
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.3)


def test_the_interval_has_the_width_of_the_normal_one_when_f1_is_a_mean() -> None:
    # One gold and one predicted entity a sentence: F1 is the fraction of sentences that are right.
    right = np.random.default_rng(0).random(400) < 0.7
    first = np.stack([np.ones(400), np.ones(400), right], axis=-1)[None, :, None]
    nothing_right = first * [1, 1, 0]
    low, high = bootstrap_interval(first, nothing_right, sentences=400, resamples=4000, seed=0)
    assert (high - low)[0] == pytest.approx(2 * 1.96 * np.sqrt(right.mean() * (1 - right.mean()) / 400), rel=0.05)


def test_rows_that_stand_for_several_sentences_are_those_sentences() -> None:
    rows = system(1, sentences=6), system(2, sentences=6, quality=0.5)
    times = np.array([1, 3, 2, 1, 4, 1])
    every = [np.repeat(part, times, axis=1) for part in rows]
    exact = reference.exact_randomisation(
        *([tuple(row) for row in part[0, :, 0].astype(int).tolist()] for part in every)
    )
    together = randomisation_test(*rows, resamples=20_000, seed=0, times=times)
    assert together[0] == pytest.approx(exact, abs=0.015)  # four standard errors at p = 1/2
    kwargs = {"sentences": 14, "resamples": 20_000, "seed": 0}  # two sentences have no entity
    one_by_one, drawn_together = bootstrap_interval(*every, **kwargs), bootstrap_interval(*rows, times=times, **kwargs)
    for a, b in zip(one_by_one, drawn_together, strict=True):
        assert b[0] == pytest.approx(a[0], abs=0.02)


def test_seed_noise_widens_the_interval() -> None:
    alike = np.repeat(system(1, sentences=300), 4, axis=0)
    spread = np.concatenate([system(seed, sentences=300, quality=q) for seed, q in enumerate((0.5, 0.7, 0.9, 0.95))])
    second = system(9, sentences=300)
    width = [
        np.subtract(*bootstrap_interval(a, second, sentences=300, resamples=300, seed=0)[::-1])[0]
        for a in (alike, spread)
    ]
    assert width[1] > 1.5 * width[0]


def test_random_numbers_depend_on_the_seed_alone() -> None:
    first, second = system(1, runs=2, sentences=60), system(2, runs=3, sentences=60)
    for seed in (0, 1):
        kwargs = {"resamples": 300, "seed": seed}
        assert randomisation_test(first, second, **kwargs) == randomisation_test(first, second, **kwargs)
        assert bootstrap_interval(first, second, sentences=60, **kwargs) == bootstrap_interval(
            first, second, sentences=60, **kwargs
        )
    drawn = {bootstrap_interval(first, second, sentences=60, resamples=300, seed=seed)[0][0] for seed in range(3)}
    assert len(drawn) == 3


def test_permutation_of_runs() -> None:
    # All 3 runs of the first system above all 3 of the second: 2 of 20 divisions are as extreme.
    first, second = np.array([[3.0], [4.0], [5.0]]), np.array([[0.0], [1.0], [2.0]])
    assert runs_test(first, second, resamples=1, seed=0).tolist() == [0.1]
    many = np.arange(20.0)[:, None]
    assert runs_test(many + 40, many, resamples=999, seed=0).tolist() == [0.001]
    assert runs_test(many, many, resamples=999, seed=0).tolist() == [1.0]


def test_holms_adjustment_is_monotone_and_at_most_one() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.5])).tolist() == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm(np.array([0.6, 0.7])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).tolist() == []
