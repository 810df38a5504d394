import copy
from pathlib import Path

import pytest
import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.modules.elmo import batch_to_ids
from allennlp.modules.token_embedders import TokenEmbedder

import elmo_tagger.plugin  # noqa: F401 - registers elmo_hdf5

SENTENCES = [["The", "plane", "landed", "."], ["Yes"], ["Ünï", "can", "'t", "fly", "far"]]


def embedder(bilm_files: dict[str, str], **options: object) -> torch.nn.Module:
    options = copy.deepcopy(options)  # AllenNLP takes the arguments out of them
    return TokenEmbedder.from_params(Params({"type": "elmo_hdf5", "dropout": 0.0, **bilm_files, **options})).train()


def without_bilm(module: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the biLM must not be asked."""

    def asked(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(module.bilm, "forward", asked)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"do_layer_norm": True},
        {"mix": {"layer_norm": "token"}},
        {"layers": "top"},
        {"layers": "concat"},
        {"layers": 0},
    ],
    ids=str,
)
def test_the_second_epoch_and_the_next_run_are_read(
    options: dict, bilm_files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = batch_to_ids(SENTENCES)
    expected = embedder(bilm_files, **options)(ids)
    cached = embedder(bilm_files, **options, cache={"directory": str(tmp_path)})
    torch.testing.assert_close(cached(ids), expected, atol=1e-6, rtol=0)
    without_bilm(cached, monkeypatch)
    torch.testing.assert_close(cached(ids), expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(cached.eval()(ids.flip(0)), cached(ids).flip(0), atol=1e-6, rtol=0)
    again = embedder(bilm_files, **options, cache={"directory": str(tmp_path), "max_gib": 1})
    without_bilm(again, monkeypatch)
    torch.testing.assert_close(again(ids), expected, atol=1e-6, rtol=0)


def test_only_the_layers_needed_are_stored(bilm_files: dict[str, str], tmp_path: Path) -> None:
    """Of a token: P = 6 values for layer 0, 12 for each LSTM layer."""
    words = [[f"w{number}" for number in range(1000)]]
    for name, options, columns in (("top", {"layers": "top"}, 12), ("mix", {}, 30), ("cnn", {"layers": 0}, 6)):
        cache = {"directory": str(tmp_path / name), "dtype": "float16"}
        embedder(bilm_files, **options, cache=cache)(batch_to_ids(words))
        size = sum(path.stat().st_size for path in (tmp_path / name).iterdir())
        assert 2 * 1000 * columns < size < 2 * 1000 * columns + 500


def test_the_mix_learns_as_without(bilm_files: dict[str, str], tmp_path: Path) -> None:
    ids = batch_to_ids(SENTENCES)
    gradients = []
    for options in ({}, {"cache": {"directory": str(tmp_path)}}):
        built = embedder(bilm_files, **options)
        for _ in range(2):
            built.zero_grad()
            built(ids).square().sum().backward()
        gradients.append([parameter.grad for parameter in built.parameters() if parameter.requires_grad])
    assert len(gradients[0]) == 4
    for without, cached in zip(*gradients, strict=True):
        torch.testing.assert_close(cached, without, atol=1e-4, rtol=1e-5)


def test_a_model_that_only_predicts_touches_no_directory(bilm_files: dict[str, str], tmp_path: Path) -> None:
    directory = tmp_path / "cache"
    embedder(bilm_files, cache={"directory": str(directory)}).eval()(batch_to_ids(SENTENCES))
    assert not directory.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stateful": True}, "cache: expected a biLM whose layers stay the same, this one is stateful"),
        ({"requires_grad": True}, r"cache: expected a biLM whose layers stay the same, this one is fine-tuned"),
        ({"cache": {"directory": "x", "max_gib": 0}}, "cache: max_gib: expected a positive number, received 0"),
        (
            {"cache": {"directory": "x", "dtype": "int8"}},
            "cache: dtype: expected one of float32, float16, received 'int8'",
        ),
        ({"cache": {"directory": "x", "gib": 1}}, "gib"),
    ],
)
def test_cache_options_that_do_not_fit_are_refused(options: dict, message: str, bilm_files: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=message):
        embedder(bilm_files, **{"cache": {"directory": "x"}, **options})
