import math
from copy import deepcopy

import allennlp_models.tagging  # noqa: F401  (registers crf_tagger)
import pytest
import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Vocabulary
from allennlp.models import Model

from elmo_tagger.plugin.model import ElmoBilstmCrf

TAGS = ["O", *(f"{letter}-{kind}" for letter in "BILU" for kind in ("PER", "LOC"))]
GOLD = [["B-PER", "L-PER", "O", "U-LOC"], ["O", "U-PER"]]


def vocabulary() -> Vocabulary:
    built = Vocabulary()
    for tag in TAGS:
        built.add_token_to_namespace(tag, "labels")
    for word in "abcdefgh":
        built.add_token_to_namespace(word, "tokens")
    return built


OURS = "elmo_bilstm_crf"


def model(kind: str = OURS, vocab: Vocabulary | None = None, **options: object) -> Model:
    torch.manual_seed(0)
    embedders = {"tokens": {"type": "embedding", "embedding_dim": 7}}
    config = {
        "type": kind,
        "label_encoding": "BIOUL",
        "text_field_embedder": {"token_embedders": embedders},
        "encoder": {"type": "lstm", "hidden_size": 5, "bidirectional": True, "input_size": 7},
        **deepcopy(options),
    }
    return Model.from_params(Params(config), vocab=vocab or vocabulary())


def batch() -> dict:
    vocab = vocabulary()
    tokens = torch.tensor([[2, 3, 4, 5], [6, 7, 0, 0]])
    tags = torch.zeros(2, 4, dtype=torch.long)
    for row, sentence in enumerate(GOLD):
        tags[row, : len(sentence)] = torch.tensor([vocab.get_token_index(tag, "labels") for tag in sentence])
    metadata = [{"words": list("abcd")}, {"words": list("ef")}]
    return {"tokens": {"tokens": {"tokens": tokens}}, "tags": tags, "metadata": metadata}


ALLENNLPS = {"constrain_training": False, "loss_reduction": "sum"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"label_weights": {"B-PER": 2.0, "O": 0.5}},
        {"label_weights": {"B-PER": 2.0, "O": 0.5}, "weight_strategy": "emission_transition"},
        {"label_weights": {"B-PER": 2.0, "O": 0.5}, "weight_strategy": "lannoy"},
        {"include_start_end_transitions": False},
        {"feedforward": {"input_dim": 10, "num_layers": 1, "hidden_dims": 4, "activations": "tanh"}},
        {"constrain_crf_decoding": False, "calculate_span_f1": False},
    ],
    ids=str,
)
def test_crf_taggers_weights_load_and_mean_the_same(options: dict) -> None:
    stock = model("crf_tagger", **options).eval()
    ours = model(**options, **ALLENNLPS).eval()
    missing, unexpected = ours.load_state_dict(stock.state_dict(), strict=False)
    assert unexpected == []
    assert all("label_weights" in key for key in missing)
    expected, received = stock(**batch()), ours(**batch())
    torch.testing.assert_close(received["loss"], expected["loss"], atol=1e-5, rtol=1e-5)
    decoded = ours.make_output_human_readable(received)["tags"]
    assert decoded == stock.make_output_human_readable(expected)["tags"]


@pytest.mark.parametrize(
    "options",
    [
        {"label_encoding": None, "verbose_metrics": True},
        {"label_encoding": None, "verbose_metrics": False},
        {"calculate_span_f1": False, "verbose_metrics": True},
        {"verbose_metrics": True},
    ],
    ids=str,
)
def test_crf_taggers_metrics_are_reported_with_its_values(options: dict) -> None:
    stock, ours = model("crf_tagger", **options), model(**options, **ALLENNLPS)
    ours.load_state_dict(stock.state_dict(), strict=False)
    for training in (True, False):
        for tagger in (stock.train(training), ours.train(training)):
            tagger(**batch())
        expected, received = stock.get_metrics(reset=True), ours.get_metrics(reset=True)
        assert {name: received[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_accuracy3_is_crf_taggers_with_more_tags_than_pytorch_sorts_stably() -> None:
    types = [f"T{number}" for number in range(12)]
    tags = ["O", *(f"{letter}-{name}" for letter in "BILU" for name in types)]
    vocab = vocabulary()
    for tag in tags:
        vocab.add_token_to_namespace(tag, "many")
    options = {"label_namespace": "many", "label_encoding": None}
    stock, ours = (
        model(kind, vocab=vocab, **options, **extra).eval() for kind, extra in (("crf_tagger", {}), (OURS, ALLENNLPS))
    )
    ours.load_state_dict(stock.state_dict(), strict=False)
    tokens = {"tokens": torch.randint(2, 10, (40, 12))}
    gold = torch.randint(len(tags), (40, 12))
    for tagger in (stock, ours):
        tagger(tokens={"tokens": tokens}, tags=gold)
    expected = stock.get_metrics()
    assert 0 < expected["accuracy"] < expected["accuracy3"]
    assert {name: ours.get_metrics()[name] for name in expected} == pytest.approx(expected)


def test_metrics_of_single_tags_are_zeros_of_the_same_names_where_nothing_was_counted() -> None:
    verbose = model(label_encoding=None, verbose_metrics=True).eval()
    empty = verbose.get_metrics(reset=True)
    assert set(empty.values()) == {0.0}
    verbose(**batch())
    assert verbose.get_metrics(reset=True).keys() == empty.keys()
    assert verbose.get_metrics(reset=True) == empty


def test_fields_of_a_reader_that_the_tagger_has_no_use_for_are_ignored() -> None:
    built = model().eval()
    with torch.no_grad():
        expected = built(**batch())
        received = built(**batch(), pos_tags=torch.zeros(2, 4, dtype=torch.long), chunk_tags=None)
    torch.testing.assert_close(received["loss"], expected["loss"])


def test_loss_is_the_mean_over_sentences() -> None:
    mean, total = model().eval(), model(loss_reduction="sum").eval()
    torch.testing.assert_close(mean(**batch())["loss"] * 2, total(**batch())["loss"])


def test_training_steps_can_be_spared_the_decoding() -> None:
    spared = model(training_f1=False).train()
    assert "decoded" not in spared(**batch())
    assert spared.get_metrics() == {}
    assert model().train()(**batch())["decoded"].shape == (2, 4)


def test_ignoring_o_sums_over_what_stands_there() -> None:
    """The loss of the second sentence, O U-PER, is that of U-PER whatever precedes it."""
    built = model(ignore_loss_on_o_tags=True, loss_reduction="sum").eval()
    data = batch()
    one = {
        "tokens": {"tokens": {"tokens": data["tokens"]["tokens"]["tokens"][1:, :2]}},
        "tags": data["tags"][1:, :2],
    }
    output = built(**one)
    expected = built.crf.marginals(output["emissions"], output["mask"])[0, 1, TAGS.index("U-PER")]
    assert math.exp(-output["loss"].item()) == pytest.approx(expected.item(), abs=1e-6)


def test_readable_output_has_entities_with_posteriors() -> None:
    built = model(top_k=3).eval()
    with torch.no_grad():
        # Emissions decide: the gold tags of the first sentence, by far.
        built.tag_projection_layer = torch.nn.Module()
        scores = torch.full((2, 4, len(TAGS)), -20.0)
        scores.scatter_(2, batch()["tags"].unsqueeze(2), 20.0)
        built.tag_projection_layer.forward = lambda _: scores
        output = built.make_output_human_readable(built(**batch()))
    assert output["tags"] == GOLD == output["gold_tags"]
    assert output["tokens"] == [list("abcd"), list("ef")]
    assert [[(e["type"], e["start"], e["end"]) for e in row] for row in output["entities"]] == [
        [("PER", 0, 2), ("LOC", 3, 4)],
        [("PER", 1, 2)],
    ]
    assert all(e["confidence"] == pytest.approx(1.0, abs=1e-5) for row in output["entities"] for e in row)
    assert all(rows[0]["tags"] == tags for rows, tags in zip(output["n_best"], GOLD, strict=True))
    assert all(rows[0]["probability"] == pytest.approx(1.0, abs=1e-5) for rows in output["n_best"])
    assert not {"emissions", "mask", "decoded", "gold"} & set(output)


def test_confidence_is_the_share_of_all_taggings_that_hold_the_entity() -> None:
    """Enumerated through the CRF's own n-best: all legal taggings of a two-token sentence."""
    built = model(top_k=200).eval()
    with torch.no_grad():
        built.tag_projection_layer._module.bias[TAGS.index("O")] = -3.0
    data = batch()
    del data["tags"]
    output = built.make_output_human_readable(built(**data))
    entities, taggings = output["entities"][1], output["n_best"][1]
    assert sum(t["probability"] for t in taggings) == pytest.approx(1.0, abs=1e-4)
    assert entities, "with O unlikely, something is found"
    for entity in entities:
        kind, start, end = entity["type"], entity["start"], entity["end"]
        held = ["U"] if end - start == 1 else ["B", "L"]
        wanted = [f"{letter}-{kind}" for letter in held]
        share = sum(t["probability"] for t in taggings if t["tags"][start:end] == wanted)
        assert entity["confidence"] == pytest.approx(share, abs=1e-4)


def test_decoding_is_legal_whatever_the_weights() -> None:
    built = model().eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.normal_(0, 3)
    output = built.make_output_human_readable(built(**batch()))
    from elmo_tagger.tagging.schemes import problems

    assert [list(problems(tags, "BIOUL")) for tags in output["tags"]] == [[], []]


def test_widths_follow_from_the_embedder() -> None:
    encoder = {"type": "lstm", "hidden_size": 5, "bidirectional": True}
    feedforward = {"num_layers": 1, "hidden_dims": 4, "activations": "relu"}
    built = model(encoder=encoder, feedforward=feedforward)
    assert isinstance(built, ElmoBilstmCrf)
    assert (built.encoder.get_input_dim(), built._feedforward.get_input_dim()) == (7, 10)
    assert model(encoder="pass_through").encoder.get_output_dim() == 7  # the short form of a part


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss_reduction": "max"}, "loss_reduction 'max': expected one of mean, sum"),
        ({"weight_strategy": "lanoy", "label_weights": {}}, "'lanoy': expected one of emission, emission_transition"),
        ({"weight_strategy": "lannoy"}, "label_weights is not"),
        ({"label_weights": {"B-XXX": 1.0}}, "B-XXX not among the tags: B-LOC"),
        ({"label_encoding": None, "constrain_crf_decoding": True}, "constrain_crf_decoding is true, but no label_enc"),
        ({"label_encoding": "BIO"}, "is no BIO tag"),
        ({"label_namespace": "tags"}, "no tags in its namespace 'tags'"),
        ({"dropuot": 0.5}, "dropuot"),
        ({"encoder": {"type": "lstm", "hidden_size": 5, "input_size": 8}}, "embedder output dim"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(options: dict, message: str) -> None:
    with pytest.raises((ConfigurationError, ValueError), match=message):
        model(**options)
