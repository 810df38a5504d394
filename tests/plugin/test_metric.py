import random

import pytest
import torch
from allennlp.common.testing.distributed_test import run_distributed_test
from allennlp.data import Vocabulary
from seqeval.metrics import accuracy_score, classification_report
from seqeval.scheme import IOBES

from elmo_tagger.plugin.metric import EntityF1

TAGS = ["O", *(f"{letter}-{kind}" for letter in "BIES" for kind in ("PER", "LOC"))]


def vocabulary() -> Vocabulary:
    built = Vocabulary()
    for tag in TAGS:
        built.add_token_to_namespace(tag, "labels")
    return built


def batches(seed: int) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Random predictions, gold tags and masks; most sequences are ill-formed."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for size, length in ((5, 9), (3, 4)):
        gold = torch.randint(len(TAGS), (size, length), generator=generator)
        noise = torch.randint(len(TAGS), (size, length), generator=generator)
        predicted = torch.where(torch.rand(size, length, generator=generator) < 0.3, noise, gold)
        lengths = torch.randint(1, length + 1, (size, 1), generator=generator)
        made.append((predicted, gold, torch.arange(length) < lengths))
    return made


def words(ids: torch.Tensor, mask: torch.Tensor) -> list[list[str]]:
    return [[TAGS[tag] for tag in row[keep].tolist()] for row, keep in zip(ids, mask, strict=True)]


@pytest.mark.parametrize("seed", range(8))
def test_equals_seqeval(seed: int) -> None:
    metric = EntityF1(vocabulary(), label_encoding="BIOES")
    gold_tags, predicted_tags = [], []
    for predicted, gold, mask in batches(seed):
        metric(predicted, gold, mask)
        gold_tags += words(gold, mask)
        predicted_tags += words(predicted, mask)
    scores = metric.get_metric(reset=True)
    options = {"output_dict": True, "zero_division": 0}
    strict = classification_report(gold_tags, predicted_tags, mode="strict", scheme=IOBES, **options)
    loose = classification_report(gold_tags, predicted_tags, **options)
    for name, row in (("overall", "micro avg"), ("PER", "PER"), ("LOC", "LOC")):
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1-measure", "f1-score")):
            assert scores[f"{ours}-{name}"] == pytest.approx(strict[row][theirs], abs=1e-12)
    assert scores["conlleval-f1-overall"] == pytest.approx(loose["micro avg"]["f1-score"], abs=1e-12)
    assert scores["accuracy"] == pytest.approx(accuracy_score(gold_tags, predicted_tags))


def test_reset_forgets_and_types_are_told_at_reset_only() -> None:
    metric = EntityF1(vocabulary(), label_encoding="BIOES")
    (_, gold, mask), _ = batches(0)
    metric(gold, gold, mask)
    assert "f1-measure-PER" not in metric.get_metric()
    assert metric.get_metric(reset=True)["f1-measure-PER"] == 1.0
    assert metric.get_metric()["f1-measure-overall"] == 0.0


def test_scores_are_taken_by_their_highest() -> None:
    metric = EntityF1(vocabulary(), label_encoding="BIOES")
    _, gold, mask = batches(1)[0]
    metric(torch.nn.functional.one_hot(gold, len(TAGS)).float(), gold, mask)
    assert metric.get_metric()["accuracy"] == 1.0


def _count_in_process(rank: int, processes: int, gpu: int, seeds: list[int], expected: dict[str, float]) -> None:
    metric = EntityF1(vocabulary(), label_encoding="BIOES")
    for predicted, gold, mask in batches(seeds[rank]):
        metric(predicted, gold, mask)
    scores = metric.get_metric(reset=True)
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value, abs=1e-12), name


def test_processes_add_up() -> None:
    seeds = random.Random(0).sample(range(100), 2)
    together = EntityF1(vocabulary(), label_encoding="BIOES")
    for seed in seeds:
        for predicted, gold, mask in batches(seed):
            together(predicted, gold, mask)
    run_distributed_test([-1, -1], _count_in_process, seeds, together.get_metric(reset=True))
