"""Labels that leave tags open, from the file to the loss and the scores."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Batch, DatasetReader, Vocabulary
from allennlp.data.fields import SequenceLabelField
from allennlp.models import Model

from elmo_tagger.plugin.metric import EntityF1
from elmo_tagger.tagging.schemes import TagSchemeError
from tests.plugin.conftest import tagger_config
from tests.reference.crf import EnumeratedCrf

WHOLE = "Emma B-PER\nStone I-PER\nflew O\n\n"
PARTIAL = "Oslo B-PER|B-LOC\nis ?\nnice O|B-MISC|I-MISC\n\n"


def read(text: str, tmp_path: Path, **options: object) -> list[Any]:
    path = tmp_path / "in.conll"
    path.write_text(text)
    reader = DatasetReader.from_params(Params({"type": "conll_columns", "coding_scheme": "BIOUL", **options}))
    return list(reader.read(str(path)))


def tensors(instances: list[Any], vocab: Vocabulary) -> dict[str, Any]:
    batch = Batch(instances)
    batch.index_instances(vocab)
    return batch.as_tensor_dict()


def tagger(vocab: Vocabulary, **options: object) -> Model:
    torch.manual_seed(0)
    config = {
        "type": "elmo_bilstm_crf",
        "label_encoding": "BIOUL",
        "text_field_embedder": {"token_embedders": {"tokens": {"type": "embedding", "embedding_dim": 5}}},
        "encoder": {"type": "lstm", "hidden_size": 3, "bidirectional": True},
        **options,
    }
    return Model.from_params(Params(config), vocab=vocab)


@pytest.mark.parametrize(
    ("scheme", "tags", "expected"),
    [
        ("IOB1", "O I-PER|I-ORG ? I-LOC", "O B-ORG|U-ORG|B-PER|U-PER ? L-LOC|U-LOC"),
        ("BIOES", "B-PER|S-PER ? O", "B-PER|U-PER ? O"),
        ("BIO", "B-PER ? O", "B-PER|U-PER ? O"),
        ("BIO", "B-A|B I-A|B O", "B-A|B L-A|B O"),
        ("BIO", "? ? ?", "? ? ?"),
    ],
)
def test_partial_labels_are_converted(scheme: str, tags: str, expected: str, tmp_path: Path) -> None:
    text = "".join(f"w {tag}\n" for tag in tags.split())
    (instance,) = read(text, tmp_path, source_scheme=scheme)
    assert instance["tags"].labels == expected.split()


def test_labels_that_contradict_the_scheme_are_refused_with_their_line(tmp_path: Path) -> None:
    with pytest.raises(TagSchemeError, match=r"in.conll:2: I-PER\|I-ORG after O: no tags of BIO"):
        read("a O\nb I-PER|I-ORG\n", tmp_path, source_scheme="BIO")
    with pytest.raises(
        TagSchemeError, match=r"fit no scheme; nearest is .*in.conll:2: 'S-X' of 'B-X\|S-X' is no BIO tag"
    ):
        read("a B-X\nb B-X|S-X\nc I-X\n\nd B-X\ne I-X\n", tmp_path)


def test_without_partial_labels_tags_are_those_of_allennlps_field(tmp_path: Path) -> None:
    instances = read(WHOLE + WHOLE.replace("flew O\n", ""), tmp_path)
    vocab = Vocabulary.from_instances(instances)
    found = tensors(instances, vocab)["tags"]
    for instance in instances:
        instance.fields["tags"] = SequenceLabelField(instance["tags"].labels, instance["tokens"])
        instance.indexed = False
    assert torch.equal(found, tensors(instances, vocab)["tags"])


@pytest.mark.parametrize("ignore_o", [False, True])
def test_the_loss_is_that_of_all_tag_sequences_that_the_labels_allow(tmp_path: Path, ignore_o: bool) -> None:
    instances = read(PARTIAL + WHOLE, tmp_path)
    vocab = Vocabulary.from_instances(instances)
    tags = vocab.get_token_to_index_vocabulary("labels")
    assert set(tags) == {"O", "U-PER", "U-LOC", "B-PER", "L-PER", "B-LOC", "U-MISC", "L-MISC"}
    model = tagger(vocab, ignore_loss_on_o_tags=ignore_o, loss_reduction="sum")
    output = model.eval()(**tensors(instances, vocab))
    crf = model.crf
    pairs = {(i, j) for i, row in enumerate(crf._constraint_mask.tolist()) for j, legal in enumerate(row) if legal}
    scores = [each.tolist() for each in (crf.transitions, crf.start_transitions, crf.end_transitions)]
    expected = 0.0
    for emissions, instance in zip(output["emissions"].tolist(), instances, strict=True):
        options = []
        for label in instance["tags"].labels:
            named = {tags[tag] for tag in label.split("|")} if label != "?" else set(tags.values())
            options.append(set(tags.values()) if ignore_o and tags["O"] in named else named)
        expected -= EnumeratedCrf(emissions[: len(options)], *scores, allowed=pairs).log_likelihood(options)
    assert output["loss"].item() == pytest.approx(expected, abs=1e-4)


def test_a_sentence_has_the_same_loss_beside_partial_ones(tmp_path: Path) -> None:
    instances = read(PARTIAL + WHOLE, tmp_path)
    vocab = Vocabulary.from_instances(instances)
    model = tagger(vocab, loss_reduction="sum").eval()
    alone = [model(**tensors([instance], vocab))["loss"].item() for instance in instances]
    assert model(**tensors(instances, vocab))["loss"].item() == pytest.approx(sum(alone), abs=1e-4)


def test_a_tagger_without_a_scheme_counts_the_tokens_that_have_one_tag(tmp_path: Path) -> None:
    instances = read(PARTIAL + WHOLE, tmp_path)
    model = tagger(Vocabulary.from_instances(instances), label_encoding=None).eval()
    output = model.forward_on_instances(instances)
    whole = [each for each, label in zip(output[1]["tags"], output[1]["gold_tags"], strict=True) if each == label]
    assert model.get_metrics(reset=True)["accuracy"] == pytest.approx(len(whole) / 3)


def test_true_labels_come_out_as_they_went_in(tmp_path: Path) -> None:
    instances = read(PARTIAL + WHOLE, tmp_path)
    vocab = Vocabulary.from_instances(instances)
    found = tagger(vocab).eval().forward_on_instances(instances)
    named = [[set(label.split("|")) for label in instance["tags"].labels] for instance in instances]
    assert [[set(label.split("|")) for label in each["gold_tags"]] for each in found] == named


def test_a_tag_of_a_choice_that_the_vocabulary_lacks_is_left_out(tmp_path: Path) -> None:
    vocab = Vocabulary.from_instances(read(WHOLE, tmp_path))
    (instance,) = read("Emma B-PER|B-LOC\nStone I-PER|I-LOC\n", tmp_path)
    instance.index_fields(vocab)
    tags = vocab.get_token_to_index_vocabulary("labels")
    allowed = instance["tags"].as_tensor({"num_tokens": 2})
    assert [row.nonzero().flatten().tolist() for row in allowed] == [[tags["B-PER"]], [tags["L-PER"]]]
    (instance,) = read("Emma ?\nStone U-ORG|U-LOC\n", tmp_path)
    with pytest.raises(KeyError, match="U-ORG"):
        instance.index_fields(vocab)


TAGS = ["O", *(f"{letter}-{kind}" for letter in "BILU" for kind in ("PER", "MISC"))]


def allowed(labels: str) -> torch.Tensor:
    rows = [TAGS if label == "?" else label.split("|") for label in labels.split()]
    return torch.tensor([[tag in row for tag in TAGS] for row in rows])


def vocabulary() -> Vocabulary:
    built = Vocabulary()
    for tag in TAGS:
        built.add_token_to_namespace(tag, "labels")
    return built


def test_scores_leave_out_what_labels_leave_open() -> None:
    gold = torch.stack(
        [
            allowed("U-PER O|U-MISC O|U-MISC O|U-MISC"),
            allowed("B-PER L-PER O ?"),
            allowed("O U-PER ? ?"),  # the last token is no token
        ]
    )
    mask = torch.tensor([[True] * 4, [True] * 4, [True] * 3 + [False]])
    predicted = torch.tensor(
        [
            [TAGS.index(tag) for tag in tags.split()]
            for tags in ("U-PER U-MISC U-PER O", "B-PER I-PER L-PER O", "O U-PER U-PER U-PER")
        ]
    )
    metric = EntityF1(vocabulary(), label_encoding="BIOUL")
    metric(predicted, gold, mask)
    scores = metric.get_metric(reset=True)
    # right: U-PER twice; wrong: U-PER where only MISC may be, PER over three tokens of which the third is O; left out:
    # U-MISC and the last U-PER, which may be right
    assert (scores["precision-PER"], scores["recall-PER"]) == (2 / 4, 2 / 3)
    assert scores["f1-measure-overall"] == scores["conlleval-f1-overall"] == scores["f1-measure-PER"]
    assert "f1-measure-MISC" not in scores or scores["f1-measure-MISC"] == 0.0
    assert scores["tokens-left-out"] == 5
    assert scores["accuracy"] == 4 / 6
    assert "tokens-left-out" not in metric.get_metric()


def test_labels_that_leave_nothing_open_score_as_tags() -> None:
    ids = torch.tensor([[TAGS.index(tag) for tag in ("B-PER", "L-PER", "O", "U-MISC")]])
    guess = ids.roll(1)
    scores = []
    for gold in (ids, torch.nn.functional.one_hot(ids, len(TAGS)).bool()):
        metric = EntityF1(vocabulary(), label_encoding="BIOUL")
        metric(guess, gold)
        scores.append(metric.get_metric(reset=True))
    assert scores[0] == scores[1]


def test_scores_of_partial_labels_need_a_scheme() -> None:
    with pytest.raises(ConfigurationError, match="label_encoding"):
        EntityF1(vocabulary())(torch.zeros(1, 1, dtype=torch.long), allowed("?").unsqueeze(0))


@pytest.mark.parametrize("dev", [PARTIAL, "Emma ?\nflew ?\n"])
def test_a_training_takes_partial_labels_on_both_sides(dev: str, bilm_files: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "train.conll").write_text(WHOLE * 3 + PARTIAL)
    (tmp_path / "dev.conll").write_text(dev)
    config = tagger_config(bilm_files, str(tmp_path / "train.conll"), num_epochs=1)
    config["validation_data_path"] = str(tmp_path / "dev.conll")
    train_model(Params(config), str(tmp_path / "run"))
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["best_validation_tokens-left-out"] == dev.count("?") + dev.count(" B-PER|") + dev.count(" O|")
