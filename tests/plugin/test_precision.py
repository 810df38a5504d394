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


def test_trained_weights_do_not_depend_on_it(bilm_files: dict[str, str]) -> None:
    exact, rounded = embedder(**bilm_files), embedder(**bilm_files, precision="bfloat16")
    for name, value in exact.state_dict().items():
        assert torch.equal(rounded.state_dict()[name], value), name
    rounded.load_state_dict(exact.state_dict())


def test_fine_tuning_is_in_float32(bilm_files: dict[str, str]) -> None:
    exact = embedder(**bilm_files, requires_grad=True)
    rounded = embedder(**bilm_files, requires_grad=True, precision="bfloat16")
    assert torch.equal(exact(IDS), rounded(IDS))


def test_another_precision_is_refused(bilm_files: dict[str, str]) -> None:
    with pytest.raises(
        ConfigurationError, match="precision: expected one of float32, bfloat16, float16, tf32, received 'int8'"
    ):
        embedder(**bilm_files, precision="int8")
