"""The embedder's `precision`."""

import pytest
import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.modules.elmo import batch_to_ids
from allennlp.modules.token_embedders import TokenEmbedder

IDS = batch_to_ids([["The", "plane", "landed", "."], ["Yes"]])


def embedder(**options: object) -> TokenEmbedder:
    return TokenEmbedder.from_params(Params({"type": "elmo_hdf5", "dropout": 0.0, **options})).eval()


def test_bfloat16_is_near_and_keeps_the_type(bilm_files: dict[str, str]) -> None:
    exact, rounded = embedder(**bilm_files), embedder(**bilm_files, precision="bfloat16")
    expected, received = exact(IDS), rounded(IDS)
    assert received.dtype == torch.float32
    assert 1e-5 < (received - expected).abs().max() < 0.05


def test_trained_weights_do_not_depend_on_the_precision(bilm_files: dict[str, str]) -> None:
    exact, rounded = embedder(**bilm_files), embedder(**bilm_files, precision="bfloat16")
    for name, value in exact.state_dict().items():
        assert torch.equal(rounded.state_dict()[name], value), name
    rounded.load_state_dict(exact.state_dict())


def test_fine_tuning_is_in_float32(bilm_files: dict[str, str]) -> None:
    exact = embedder(**bilm_files, requires_grad=True)
    rounded = embedder(**bilm_files, requires_grad=True, precision="bfloat16")
    assert torch.equal(exact(IDS), rounded(IDS))


def test_another_precision_is_refused(bilm_files: dict[str, str]) -> None:
    expected = "precision: expected one of float32, float16, bfloat16, int8, tf32, auto, received 'int4'"
    with pytest.raises(ConfigurationError, match=expected):
        embedder(**bilm_files, precision="int4")


@pytest.mark.parametrize(("precision", "share"), [("bfloat16", 0.5), ("float16", 0.5), ("int8", 0.4)])
def test_rounded_weights_give_the_same_from_less_memory(
    bilm_files: dict[str, str], precision: str, share: float
) -> None:
    exact = embedder(**bilm_files, precision=precision)
    rounded = embedder(**bilm_files, precision=precision, rounded_weights=True)
    assert torch.equal(rounded(IDS), exact(IDS))
    whole, kept = exact.bilm.state_dict(), rounded.bilm.state_dict()
    factors = [name for name in whole if name.split(".")[-1].startswith("W_")]
    assert sum(kept[name].nbytes for name in factors) <= share * sum(whole[name].nbytes for name in factors)
    again = embedder(**bilm_files, precision=precision, rounded_weights=True)
    torch.nn.init.zeros_(again.bilm.lstm.layers[0].W_0)
    again.load_state_dict(rounded.state_dict())
    assert torch.equal(again(IDS), exact(IDS))


def test_weights_that_are_trained_are_not_kept_rounded(bilm_files: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="rounded_weights: expected a biLM whose weights are not trained"):
        embedder(**bilm_files, precision="bfloat16", rounded_weights=True, requires_grad=True)
