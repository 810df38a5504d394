import inspect
import json
from pathlib import Path

import pytest
import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Vocabulary
from allennlp.data.token_indexers import ELMoTokenCharactersIndexer
from allennlp.data.tokenizers import Token
from allennlp.modules.elmo import batch_to_ids
from allennlp.modules.token_embedders import ElmoTokenEmbedder, TokenEmbedder
from torch.utils._python_dispatch import TorchDispatchMode

from elmo_tagger.bilm.loading.bundled import BUNDLED, files_of
from elmo_tagger.plugin.embedder import ElmoHdf5Embedder, mix_metrics
from elmo_tagger.plugin.indexer import ElmoHdf5Indexer

SENTENCES = [["The", "plane", "landed", "."], ["Yes"], ["Ünï", "can", "'t", "x" * 60, "fly", "far"]]
PARITY = 1e-5


def embedder(**options: object) -> ElmoHdf5Embedder:
    built = TokenEmbedder.from_params(Params({"type": "elmo_hdf5", "dropout": 0.0, **options}))
    assert isinstance(built, ElmoHdf5Embedder)
    return built.eval()


STOCK_OPTIONS = [
    {},
    {"do_layer_norm": True},
    {"scalar_mix_parameters": [0.3, -1.0, 2.0]},
    {"scalar_mix_parameters": [-9e10, 1, -9e10]},
    {"projection_dim": 5},
    {"requires_grad": True},
    {"vocab_to_cache": ["The", "plane"]},
]


@pytest.mark.parametrize("options", STOCK_OPTIONS, ids=str)
def test_equals_the_stock_embedder(options: dict, bilm_files: dict[str, str]) -> None:
    """Three batches in a row, so that carried state counts too."""
    stock = TokenEmbedder.from_params(
        Params({"type": "elmo_token_embedder", "dropout": 0.0, **bilm_files, **Params(options).as_dict(quiet=True)})
    ).eval()
    ours = embedder(**bilm_files, **options, stateful=True)
    assert ours.get_output_dim() == stock.get_output_dim()
    if "projection_dim" in options:
        ours._projection.load_state_dict(stock._projection.state_dict())
    for batch in (SENTENCES, SENTENCES[:2], SENTENCES[::-1]):
        ids = batch_to_ids(batch)
        expected, received = stock(ids), ours(ids)
        torch.testing.assert_close(received, expected, atol=PARITY, rtol=0)
        assert received.requires_grad == expected.requires_grad


def test_trainable_parameters_are_those_of_the_stock_embedder(bilm_files: dict[str, str]) -> None:
    for options in STOCK_OPTIONS:
        counts = []
        for kind in ("elmo_token_embedder", "elmo_hdf5"):
            built = TokenEmbedder.from_params(Params({"type": kind, **bilm_files, **options}))
            counts.append(sum(p.numel() for p in built.parameters() if p.requires_grad))
        # AllenNLP's copy of the character embedding has a row more, for padding, which nothing reads.
        assert counts[0] - counts[1] == (4 if options.get("requires_grad") else 0)


def test_regularisers_written_for_allennlp_find_the_mix(bilm_files: dict[str, str]) -> None:
    from allennlp.nn import RegularizerApplicator

    regularizer = RegularizerApplicator.from_params(
        Params({"regexes": [[".*scalar_mix_0.scalar_parameters.*", {"type": "l2", "alpha": 0.5}]]})
    )
    ours = embedder(**bilm_files, mix={"initial": [1.0, 2.0, 3.0]})
    assert regularizer(ours).item() == pytest.approx(0.5 * (1 + 4 + 9))


def test_layer_modes_agree_with_the_bilm(bilm_files: dict[str, str]) -> None:
    ids = batch_to_ids(SENTENCES)
    mixed = embedder(**bilm_files)
    layers = mixed.bilm(ids).layers
    for number in range(3):
        torch.testing.assert_close(embedder(**bilm_files, layers=number)(ids), layers[number])
    torch.testing.assert_close(embedder(**bilm_files, layers="top")(ids), layers[2])
    average = (layers[0] + layers[1] + layers[2]) / 3
    torch.testing.assert_close(embedder(**bilm_files, layers="average")(ids), average)
    # Equal weights and gamma 1 are the average; gamma is a factor.
    torch.testing.assert_close(mixed(ids), average)
    torch.testing.assert_close(embedder(**bilm_files, mix={"gamma": 2.5})(ids), 2.5 * average)
    concat = embedder(**bilm_files, layers="concat")
    assert concat.get_output_dim() == 6 + 12 + 12
    torch.testing.assert_close(concat(ids), torch.cat([layers[0][..., :6], layers[1], layers[2]], dim=-1))
    torch.testing.assert_close(layers[0][..., :6], layers[0][..., 6:])


def test_mix_trains_as_told(bilm_files: dict[str, str]) -> None:
    for mix, weights, gamma in (
        ({}, True, True),
        ({"trainable": False}, False, False),
        ({"trainable": False, "trainable_gamma": True}, False, True),
        ({"trainable_gamma": False}, True, False),
    ):
        built = embedder(**bilm_files, mix=mix)
        assert [p.requires_grad for p in built.scalar_mix_0.scalar_parameters] == [weights] * 3
        assert built.scalar_mix_0.gamma.requires_grad is gamma


def test_token_layer_norm_does_not_depend_on_the_batch(bilm_files: dict[str, str]) -> None:
    built = embedder(**bilm_files, mix={"layer_norm": "token", "initial": [1.0, 0.0, -1.0]})
    together = built(batch_to_ids(SENTENCES))
    for row, sentence in enumerate(SENTENCES):
        alone = built(batch_to_ids([sentence]))[0]
        torch.testing.assert_close(together[row, : len(sentence)], alone, atol=1e-6, rtol=0)


def test_a_sentence_alone_has_the_same_vectors(bilm_files: dict[str, str]) -> None:
    built = embedder(**bilm_files)
    together = built(batch_to_ids(SENTENCES))
    for row, sentence in enumerate(SENTENCES):
        alone = built(batch_to_ids([sentence]))[0]
        torch.testing.assert_close(together[row, : len(sentence)], alone, atol=1e-6, rtol=0)
        assert not together[row, len(sentence) :].any()


def test_dropout_is_on_in_training_only(bilm_files: dict[str, str]) -> None:
    built = embedder(**bilm_files, **{"dropout": 0.5})
    ids = batch_to_ids(SENTENCES[:1])
    quiet = built(ids)
    built.train()
    torch.manual_seed(0)
    noisy = built(ids)
    dropped = noisy == 0
    assert dropped.any()
    torch.testing.assert_close(noisy[~dropped], 2 * quiet[~dropped])


def test_further_axes_are_kept(bilm_files: dict[str, str]) -> None:
    built = embedder(**bilm_files)
    ids = batch_to_ids(SENTENCES)
    torch.testing.assert_close(built(torch.stack([ids, ids]))[1], built(ids))


def test_fine_tuning_reaches_every_parameter_and_freezing_none(bilm_files: dict[str, str]) -> None:
    tuned = embedder(**bilm_files, requires_grad=True)
    tuned(batch_to_ids(SENTENCES)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in tuned.bilm.parameters())
    frozen = embedder(**bilm_files)
    frozen(batch_to_ids(SENTENCES)).square().sum().backward()
    assert all(p.grad is None for p in frozen.bilm.parameters())
    assert frozen.scalar_mix_0.gamma.grad is not None


def test_both_indexers_give_the_same_ids(bilm_files: dict[str, str]) -> None:
    vocabulary = Vocabulary()
    words = ["", "a", "x" * 100, "日本", "\ud800", "<S>", "</S>", "\x00"]
    tokens = [Token(word) for word in words]
    padded = []
    for indexer in (ELMoTokenCharactersIndexer(), ElmoHdf5Indexer()):
        indexed = indexer.tokens_to_indices(tokens, vocabulary)
        padded.append(indexer.as_padded_tensor_dict(indexed, {"elmo_tokens": 10})["elmo_tokens"])
    assert padded[0].equal(padded[1].long())


def test_mix_metrics_show_shares_and_gamma(bilm_files: dict[str, str]) -> None:
    metrics = mix_metrics(torch.nn.ModuleList([embedder(**bilm_files, mix={"initial": [0.0, 0.0, 1e9], "gamma": 2.0})]))
    assert metrics == {"mix_layer_0": 0.0, "mix_layer_1": 0.0, "mix_layer_2": 1.0, "mix_gamma": 2.0}
    assert mix_metrics(torch.nn.ModuleList([embedder(**bilm_files, layers="top")])) == {}
    two = torch.nn.ModuleList([embedder(**bilm_files), embedder(**bilm_files)])
    assert set(mix_metrics(two)) >= {"mix_0_gamma", "mix_1_gamma"}


def test_initial_weights_are_the_shares_that_training_starts_from(bilm_files: dict[str, str]) -> None:
    shares = embedder(**bilm_files, mix={"initial_weights": [0.2, 0.3, 0.5]}).mix_weights()
    assert [shares[f"layer_{layer}"] for layer in range(3)] == pytest.approx([0.2, 0.3, 0.5])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"layers": "bottom"},
            r"layers: expected one of mix, average, top, concat or a number from 0 .* to 2, received",
        ),
        ({"layers": 3}, "a number from 0 .* to 2, received 3"),
        ({"mix": {"initial": [1.0]}}, "mix: initial: expected 3 values, one a layer, received 1"),
        ({"mix": {"initial_weights": [0.5, 0.5]}}, "mix: initial_weights: expected 3 values, one a layer, received 2"),
        ({"mix": {"initial_weights": [0, 0, 1]}}, r"initial_weights: expected positive numbers, .* received \[0, 0"),
        ({"mix": {"layer_norm": "layer"}}, "layer_norm: expected one of none, token, batch, received 'layer'"),
        ({"mix": {"gama": 1.0}}, "gama"),
        ({"mix": {}, "layers": "top"}, "mix is given, but layers is 'top'"),
        ({"mix": {}, "do_layer_norm": True}, "expected only mix"),
        ({"max_tokens_per_pass": 0}, "max_tokens_per_pass: expected a positive number, received 0"),
        ({"dropuot": 0.1}, "dropuot"),
        ({"weight_file": "starter"}, "starter: a biLM of the package has its own options, expected none"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(options: dict, message: str, bilm_files: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=message):
        embedder(**{**bilm_files, **options})


def test_another_number_of_characters_is_refused(bilm_files: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="gives 40 characters a token, but the biLM's options say 50"):
        embedder(**bilm_files)(torch.ones(1, 1, 40, dtype=torch.long))


def test_a_trained_directory_needs_no_other_file(bilm_files: dict[str, str], tmp_path: Path) -> None:
    built = embedder(**bilm_files, requires_grad=True)
    with torch.no_grad():
        built.bilm.char_cnn.char_embed.add_(0.1)
    torch.save({f"a.b.{key}": value for key, value in built.state_dict().items()}, tmp_path / "weights.th")
    gone = {"options_file": "https://nowhere.invalid/o.json", "weight_file": "/nowhere/w.hdf5"}
    again = embedder(**gone, requires_grad=True, serialization_dir=str(tmp_path))
    ids = batch_to_ids(SENTENCES)
    torch.testing.assert_close(again(ids), built(ids), atol=0, rtol=0)


def test_the_default_files_are_allennlps() -> None:
    defaults = [inspect.signature(kind.__init__).parameters for kind in (ElmoHdf5Embedder, ElmoTokenEmbedder)]
    for name in ("options_file", "weight_file", "dropout", "do_layer_norm", "requires_grad"):
        assert defaults[0][name].default == defaults[1][name].default


def test_the_starter_needs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_name = embedder(weight_file="starter")
    options_file, weight_file = files_of("starter")
    by_file = embedder(options_file=options_file, weight_file=weight_file)
    assert by_name.bilm.state_dict().keys() == by_file.bilm.state_dict().keys()
    ids = batch_to_ids(SENTENCES)
    assert torch.equal(by_name(ids), by_file(ids))
    torch.save({f"a.{key}": value for key, value in by_name.state_dict().items()}, tmp_path / "weights.th")
    monkeypatch.setitem(BUNDLED, "starter", tmp_path / "gone")
    again = embedder(weight_file="starter", serialization_dir=str(tmp_path))
    assert torch.equal(again(ids), by_name(ids))


def test_autocast_is_no_trouble(bilm_files: dict[str, str]) -> None:
    ids = batch_to_ids(SENTENCES)
    for requires_grad in (False, True):
        built = embedder(**bilm_files, requires_grad=requires_grad)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            received = built(ids)
            received.sum().backward()
        torch.testing.assert_close(received, built(ids))


def test_batches_without_tokens_have_no_vectors(bilm_files: dict[str, str]) -> None:
    built = embedder(**bilm_files)
    assert built(torch.zeros(2, 0, 50, dtype=torch.long)).shape == (2, 0, 12)


class LargestTensor(TorchDispatchMode):
    """Numbers in the largest tensor that any operation makes."""

    largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.is_floating_point():
            self.largest = max(self.largest, result.numel())
        return result


@pytest.mark.usefixtures("one_thread")
def test_memory_for_a_long_sentence_is_bounded(bilm_files: dict[str, str]) -> None:
    """Beside the result itself, nothing grows with the sentence."""
    bounded = embedder(**bilm_files, max_tokens_per_pass=64, layers="top")
    largest = []
    for length in (2_000, 6_000):
        ids = batch_to_ids([[f"w{number}" for number in range(length)]])
        with LargestTensor() as watch:
            received = bounded(ids)
        largest.append(watch.largest)
        result = 12 * (length + 2)
        assert watch.largest <= max(largest[0], 2 * result)
    free = embedder(**bilm_files, layers="top")
    with LargestTensor() as watch:
        expected = free(ids)
    assert watch.largest > 1.2 * largest[1]
    torch.testing.assert_close(received, expected, atol=1e-5, rtol=0)


def test_embedders_with_the_same_files_are_told_apart(bilm_files: dict[str, str], tmp_path: Path) -> None:
    from tests.plugin.test_static_embedding import vocabulary

    vectors = tmp_path / "vectors.txt"
    vectors.write_text("Oslo 1 2 3\n")
    static = {"namespace": "static_words", "pretrained_file": str(vectors)}

    def both(**options: object) -> torch.nn.ModuleDict:
        plain = {"type": "elmo_hdf5", **bilm_files, **options}
        return torch.nn.ModuleDict(
            {
                "a": TokenEmbedder.from_params(Params({**plain})),
                "b": TokenEmbedder.from_params(Params({**plain, "static": dict(static)}), vocab=vocabulary()),
            }
        )

    trained = both()
    torch.save(trained.state_dict(), tmp_path / "weights.th")
    del static["pretrained_file"]
    again = both(serialization_dir=str(tmp_path))
    again.load_state_dict(trained.state_dict())
    assert again["b"].static.dim == 3


def test_weights_of_another_bilm_are_refused(bilm_files: dict[str, str], tmp_path: Path) -> None:
    built = embedder(**bilm_files)
    state = built.state_dict()
    options = json.loads(Path(bilm_files["options_file"]).read_text())
    options["lstm"]["use_skip_connections"] = False
    changed = tmp_path / "options.json"
    changed.write_text(json.dumps(options))
    other = embedder(**{**bilm_files, "options_file": str(changed)})
    with pytest.raises(RuntimeError, match=r"'use_skip_connections': True.*'use_skip_connections': False"):
        other.load_state_dict(state)
