"""Weights that are kept only as products round them."""

from __future__ import annotations

import pytest
import torch

from elmo_tagger.bilm import Bilm, encode_sentences
from elmo_tagger.bilm.dispatch import reference_only, using
from elmo_tagger.bilm.model import BilmOutput
from tests.bilm.random_models import CudaOnCpu

FILES = ("fixtures/bilm/options.json", "fixtures/bilm/weights.hdf5")
SENTENCES = [["Nell", "sat", "in", "Reykjavík", "."], ["Yes"], [], ["a", "b", "a"]]


def factors(bilm: Bilm) -> dict[str, torch.Tensor]:
    return {name: each for name, each in bilm.named_parameters() if name.split(".")[-1].startswith("W_")}


def assert_equal(received: BilmOutput, expected: BilmOutput) -> None:
    for layer, vectors in expected.layers.items():
        assert received.layers[layer].dtype == vectors.dtype == torch.float32
        assert torch.equal(received.layers[layer], vectors)


@pytest.mark.parametrize("stateful", [False, True])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_vectors_are_those_of_whole_weights(precision: str, stateful: bool) -> None:
    whole = Bilm.load(*FILES, precision=precision, stateful=stateful).requires_grad_(False)
    rounded = Bilm.load(*FILES, precision=precision, stateful=stateful, rounded_weights=True).requires_grad_(False)
    ids = torch.from_numpy(encode_sentences(SENTENCES))
    for _ in range(2):  # of a stateful one, the second call goes on where the first left off
        assert_equal(rounded(ids), whole(ids))
    with reference_only():
        assert_equal(rounded(ids), whole(ids))
    for name, values in factors(whole).items():
        kept = factors(rounded)[name]
        assert 2 * kept.nbytes == values.nbytes
        assert torch.equal(kept.float(), values.to(kept.dtype).float())


def test_vectors_of_the_implementation_for_cuda_are_those_of_whole_weights() -> None:
    whole, rounded = (
        Bilm.load(*FILES, precision="bfloat16", stateful=True, rounded_weights=kept).requires_grad_(False)
        for kept in (False, True)
    )
    ids = torch.from_numpy(encode_sentences(SENTENCES))
    with using(CudaOnCpu):
        for _ in range(2):
            assert_equal(rounded(ids), whole(ids))


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_what_is_not_rounded_stays_whole(precision: str) -> None:
    kept = Bilm.load(*FILES, precision=precision, rounded_weights=True)
    assert {each.dtype for each in kept.parameters()} == {torch.float32}
