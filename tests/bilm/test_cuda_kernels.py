"""Triton's kernels: interpreted on a CPU beside their readable twins, and compiled for a GPU that need not be there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from elmo_tagger.bilm.cuda import ops

pytest.importorskip("triton")

TRAINING = ("_open", "_add", "_close")
INTERPRETED = """
import torch

from elmo_tagger.bilm import encode_sentences
from elmo_tagger.bilm import dispatch
from elmo_tagger.bilm import lstm
from elmo_tagger.bilm.cuda import gradient, kernels, stack, training_kernels
from elmo_tagger.bilm.cuda import reference_ops
from elmo_tagger.bilm.cuda import reference_training_ops
from elmo_tagger.bilm.cuda.ops import Steps, TrainingSteps
from tests.bilm.random_models import random_bilm, raw_options

TOLERANCES = {torch.float32: 1e-6, torch.bfloat16: 0.03, torch.float16: 1e-3}  # the interpreter cuts digits off
for dtype, tolerance in TOLERANCES.items():
    for rows, width, clip in [(1, 7, None), (3, 600, 0.4)]:
        torch.manual_seed(0)
        all_gates, bias = torch.randn(2, 3, rows, 4 * width).to(dtype), torch.randn(2, 4 * width)
        cells, projected = torch.randn(2, rows + 2, width), torch.randn(2, 3, rows, width).to(dtype)
        outputs, left = torch.randn(2, rows + 1, width).to(dtype), torch.tensor([2, 0, 1][:rows], dtype=torch.int32)
        found, training = [], []
        for module in (reference_ops, kernels):
            cell, output, own = cells.clone(), outputs.clone(), projected.clone()
            hidden = module.update_cells(all_gates[:, 1].clone(), bias, cell[:, :rows], left, 1, clip)
            module.update_outputs(own[:, 1], output[:, :rows], left, 1, clip)
            found.append((hidden, cell, own, output))
        drawn = [torch.randn(2, rows + 1, width) for _ in range(3)] + [torch.randn(2, rows, width).to(dtype)] * 2
        for module in (reference_training_ops, training_kernels):
            opened, (cell, before, of_cell, of_hidden, own) = all_gates.clone(), (each.clone() for each in drawn)
            cell, before, of_cell = (each[:, :rows] for each in (cell, before, of_cell))
            hidden = module.open_gates(opened[:, 1], bias, before, cell, clip)
            of_gates = torch.zeros_like(opened)
            module.close_gates(opened[:, 1], cell, before, of_hidden, of_cell, of_gates[:, 1], clip)
            at_bound = projected[:, 1] if clip is None else projected[:, 1].clamp(-clip, clip)
            module.add_to_outputs(own, hidden, at_bound, clip)
            assert of_gates.any() and not of_gates[:, 0].any()
            training.append((opened, hidden, cell, of_gates, of_cell, own))
        assert not torch.equal(found[0][1], cells)
        assert not torch.equal(found[0][3], outputs)
        for expected, got in [*zip(*found), *zip(*training)]:
            assert got.dtype == expected.dtype
            assert ((got.float() - expected.float()).abs() <= tolerance * (1 + expected.abs())).all()

dispatch._RECORDED_ON = {"cpu"}
stack.best_steps = lambda *_: Steps(kernels.update_cells, kernels.update_outputs)
fast, reference = (random_bilm(raw_options(cell_clip=0.5), scale=0.3, stateful=True) for _ in range(2))
for sentences in ([["a", "b"], ["c"]], [["d"]]):
    ids = torch.from_numpy(encode_sentences(sentences, max_characters=12))
    got = fast(ids).layers
    with dispatch.reference_only():
        expected = reference(ids).layers
    for layer in expected:
        assert (got[layer] - expected[layer]).abs().max() <= 1e-5

own = training_kernels.open_gates, training_kernels.add_to_outputs, training_kernels.close_gates
gradient.training_steps = lambda *_: TrainingSteps(*own)
found = []
for lstm.LstmSteps in (lstm.LstmSteps, gradient.FusedSteps):
    bilm = random_bilm(raw_options(cell_clip=0.5), scale=0.3).requires_grad_(True)
    sum(layer.square().sum() for layer in bilm(ids).layers.values()).backward()
    found.append([parameter.grad for parameter in bilm.parameters()])
for expected, got in zip(*found):
    assert (got - expected).abs().max() <= 1e-4 * expected.abs().max()
print("equal")
"""


def test_interpreted_kernels_are_the_readable_ones():
    """And a whole biLM whose steps they are is the reference."""
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    output = subprocess.run(
        [sys.executable, "-c", INTERPRETED],
        env=environment,
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert output == "equal\n"


@pytest.mark.parametrize("rows", [1, 32])
@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("factors", ["fp32", "bf16", "fp16"])
def test_kernels_compile_for_a_gpu(factors, capability, rows):
    """What the interpreter takes, the compiler may refuse. For one row it makes a kernel where that is a constant."""
    compiler = pytest.importorskip("triton.compiler")
    target = pytest.importorskip("triton.backends.compiler").GPUTarget("cuda", capability, 32)
    from elmo_tagger.bilm.cuda import kernels, training_kernels

    constants = {"HAS_CLIP": True, "BLOCK": 512, **({"rows": 1} if rows == 1 else {})}
    numbers = {"step": "i32", "clip": "fp32", "rows": "i32", "width": "i32"}
    exact = dict.fromkeys(("bias", "cell", "previous", "of_cell"), "*fp32")
    kinds = {**numbers, **exact, "left": "*i32", **dict.fromkeys(constants, "constexpr")}
    all_kernels = (kernels._cells, kernels._outputs, *(getattr(training_kernels, name) for name in TRAINING))
    for kernel in all_kernels:
        others = ("i64" if name.endswith("_direction") else f"*{factors}" for name in kernel.arg_names)
        signature = {name: kinds.get(name, other) for name, other in zip(kernel.arg_names, others, strict=True)}
        source = compiler.ASTSource(kernel, signature, constexprs=constants)
        assert ".entry" in triton_assembly(compiler, source, target)


def triton_assembly(compiler, source, target):
    return compiler.compile(source, target=target).asm["ptx"]


def test_kernels_are_for_cells_of_float32(monkeypatch):
    """Their exponential takes nothing narrower, and they clip in nothing wider."""
    monkeypatch.setattr(ops, "has_triton", lambda device: True)
    device = torch.device("cuda")
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        assert ops.best_steps(device, dtype) is ops.READABLE
        assert ops.training_steps(device, dtype) is ops.READABLE_TRAINING
    assert ops.best_steps(device, torch.float32) is not ops.READABLE
    assert ops.training_steps(device, torch.float32) is not ops.READABLE_TRAINING
