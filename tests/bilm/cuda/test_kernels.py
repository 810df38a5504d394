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

INTERPRETED = """
import torch

from elmo_tagger.bilm.cuda import kernels, reference_ops
from elmo_tagger.bilm.cuda.ops import StepOps
from elmo_tagger.bilm.cuda.stack import RecordedStack
from tests.bilm.random_models import random_bilm, raw_options

TOLERANCES = {torch.float32: 1e-6, torch.bfloat16: 0.03, torch.float16: 1e-3}  # the interpreter cuts digits off
for dtype, tolerance in TOLERANCES.items():
    for rows, width, clip in [(1, 7, None), (3, 600, 0.4)]:
        torch.manual_seed(0)
        all_gates, bias = torch.randn(2, 3, rows, 4 * width).to(dtype), torch.randn(2, 4 * width)
        cells, projected = torch.randn(2, rows + 2, width), torch.randn(2, 3, rows, width).to(dtype)
        outputs, left = torch.randn(2, rows + 1, width).to(dtype), torch.tensor([2, 0, 1][:rows], dtype=torch.int32)
        found = []
        for module in (reference_ops, kernels):
            cell, output, own = cells.clone(), outputs.clone(), projected.clone()
            hidden = module.update_cells(all_gates[:, 1].clone(), bias, cell[:, :rows], left, 1, clip)
            module.update_outputs(own[:, 1], output[:, :rows], left, 1, clip)
            found.append((hidden, cell, own, output))
        assert not torch.equal(found[0][1], cells)
        assert not torch.equal(found[0][3], outputs)
        for expected, got in zip(*found):
            assert got.dtype == expected.dtype
            assert ((got.float() - expected.float()).abs() <= tolerance * (1 + expected.abs())).all()

lstm = random_bilm(raw_options(cell_clip=0.5), scale=0.3).lstm
vectors, words = torch.randn(4, 5), torch.tensor([[0, 1, 2], [3, 0, -1], [-1, -1, -1]])
ops = StepOps(kernels.update_cells, kernels.update_outputs)
got = RecordedStack(list(lstm.layers), dtype=torch.float32, ops=ops).run(
    vectors, words, [3, 2, 0], None, depths=[1, 2], max_words=None
)
for layer, expected in lstm(vectors, words, depths=[1, 2]).items():
    assert (got[layer].view_as(expected) - expected).abs().max() <= 1e-5
print("equal")
"""


def test_interpreted_kernels_are_the_readable_ones():
    """And LSTM layers whose steps they are give what the reference gives."""
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    output = subprocess.run(
        [sys.executable, "-c", INTERPRETED],
        env=environment,
        cwd=Path(__file__).parents[3],
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
    from elmo_tagger.bilm.cuda import kernels

    constants = {"HAS_CLIP": True, "BLOCK": 512, **({"rows": 1} if rows == 1 else {})}
    numbers = {"step": "i32", "clip": "fp32", "rows": "i32", "width": "i32"}
    exact = dict.fromkeys(("bias", "cell"), "*fp32")
    kinds = {**numbers, **exact, "left": "*i32", **dict.fromkeys(constants, "constexpr")}
    for kernel in (kernels._cells, kernels._outputs):
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
        assert ops.best_ops(device, dtype) is ops.REFERENCE_OPS
    assert ops.best_ops(device, torch.float32) is not ops.REFERENCE_OPS
