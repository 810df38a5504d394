"""Who computes a biLM, and what happens when a fast path is broken."""

from __future__ import annotations

import logging

import pytest
import torch

from elmo_tagger.bilm import encode_sentences
from elmo_tagger.bilm.backward.training import CpuTraining
from elmo_tagger.bilm.cpu import narrow_products
from elmo_tagger.bilm.cpu.inference import CpuInference
from elmo_tagger.bilm.cpu.narrow_products import float16_maker
from elmo_tagger.bilm.dispatch import PATH_VARIABLE, reference_only, using
from tests.bilm.random_models import TOLERANCE, CudaOnCpu, implementation, random_bilm

IDS = torch.from_numpy(encode_sentences([["Nell", "sat"], ["Yes"]], max_characters=12))


@pytest.fixture(autouse=True)
def checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PATH_VARIABLE, raising=False)


def wrong_numbers(*arguments, **options):
    return {depth: layer + 0.5 for depth, layer in CpuInference.run_layers(*arguments, **options).items()}


def raises(*arguments, **options):
    raise RuntimeError("no kernel image is available")


def wrong_gradients(self, layer, inputs, sizes, state):
    outputs, after = CpuTraining.run_layer(self, layer, inputs, sizes, state)
    return outputs.detach() + 0.9 * (outputs - outputs.detach()), after


BROKEN = {
    "numbers": (CpuInference, {"run_layers": wrong_numbers}, "results differ by 0.5"),
    "error": (CpuInference, {"run_layers": raises}, "RuntimeError: no kernel image is available"),
    "nothing embedded": (CpuInference, {"embed_words": raises}, "RuntimeError: no kernel image is available"),
    "gradients": (CpuTraining, {"run_layer": wrong_gradients}, "results differ by "),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_fast_path_costs_speed_and_one_warning(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    base, methods, reason = BROKEN[fault]
    broken = type("Broken", (base,), methods)
    trained = base is CpuTraining
    with reference_only():
        expected = random_bilm().requires_grad_(trained)(IDS)
    with using(broken), caplog.at_level(logging.WARNING):
        for bilm in (random_bilm(), random_bilm()):
            received = bilm.requires_grad_(trained)(IDS)
            for layer, values in expected.layers.items():
                assert torch.equal(received.layers[layer], values)
    (message,) = [record.getMessage() for record in caplog.records]
    assert reason in message
    assert f"fast path '{base.name}' does not work on cpu" in message


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16", "int8", "tf32", "auto"])
def test_fast_paths_that_work_pass_their_check(precision: str, caplog: pytest.LogCaptureFixture) -> None:
    for base in (CpuInference, CpuTraining, CudaOnCpu):
        fresh = type("Fresh", (base,), {})  # not checked yet in this process
        bilm = random_bilm(scale=0.3, precision=precision).requires_grad_(base is CpuTraining)
        with using(fresh), torch.inference_mode() if base is CpuInference else torch.enable_grad():
            bilm(IDS)
            assert implementation(bilm) == base.name
    assert [record for record in caplog.records if record.name.endswith("verification")] == []


def test_the_environment_decides_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    assert implementation(random_bilm()) == "cpu"
    assert implementation(random_bilm().requires_grad_(True)) == "backward"
    monkeypatch.setenv(PATH_VARIABLE, "reference")
    assert implementation(random_bilm()) == "reference"
    monkeypatch.setenv(PATH_VARIABLE, "fast")
    with using(type("Broken", (CpuInference,), {"run_layers": wrong_numbers})):
        received = random_bilm()(IDS).layers[2]
    with reference_only():
        expected = random_bilm()(IDS).layers[2]
    torch.testing.assert_close(received[0], expected[0] + 0.5, atol=TOLERANCE, rtol=0)
    monkeypatch.setenv(PATH_VARIABLE, "slow")
    with pytest.raises(ValueError, match=r"^ELMO_TAGGER_PATH: expected reference or fast, received 'slow'$"):
        random_bilm()(IDS)


def test_auto_is_what_the_processor_has(monkeypatch: pytest.MonkeyPatch) -> None:
    here = "float32" if float16_maker() is None else "float16"
    assert random_bilm(precision="auto").precision == here
    monkeypatch.setattr(narrow_products, "_is_x86", lambda: False)
    float16_maker.cache_clear()
    try:
        elsewhere = random_bilm(precision="auto")
    finally:
        float16_maker.cache_clear()
    assert elsewhere.precision == "float32"
    for layer, values in random_bilm()(IDS).layers.items():
        assert torch.equal(elsewhere(IDS).layers[layer], values)
