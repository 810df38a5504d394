"""Triton's kernels: interpreted on a CPU beside their readable twins, and compiled for a GPU that need not be there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

INTERPRETED = """
import torch

from elmo_tagger.bilm import encode_sentences, paths
from elmo_tagger.bilm.cuda import gates, kernels, stack
from elmo_tagger.bilm.cuda.steps import Steps
from tests.bilm.random_models import random_bilm, raw_options

TOLERANCES = {torch.float32: 1e-6, torch.bfloat16: 0.016, torch.float16: 1e-3}  # roundings of values up to 2
for dtype, tolerance in TOLERANCES.items():
    for rows, width, clip in [(1, 7, None), (3, 600, 0.4)]:
        torch.manual_seed(0)
        all_gates, bias = torch.randn(2, 3, rows, 4 * width).to(dtype), torch.randn(2, 4 * width)
        cells, projected = torch.randn(2, rows + 2, width), torch.randn(2, 3, rows, width).to(dtype)
        outputs, left = torch.randn(2, rows + 1, width).to(dtype), torch.tensor([2, 0, 1][:rows], dtype=torch.int32)
        found = []
        for module in (gates, kernels):
            cell, output, own = cells.clone(), outputs.clone(), projected.clone()
            hidden = module.update_cells(all_gates[:, 1].clone(), bias, cell[:, :rows], left, 1, clip)
            module.update_outputs(own[:, 1], output[:, :rows], left, 1, clip)
            found.append((hidden, cell, own, output))
        assert not torch.equal(found[0][1], cells)
        assert not torch.equal(found[0][3], outputs)
        for expected, got in zip(*found):
            assert got.dtype == expected.dtype
            assert (got.float() - expected.float()).abs().max() <= tolerance

paths._RECORDED_ON = {"cpu"}
stack.best_steps = lambda device: Steps(kernels.update_cells, kernels.update_outputs)
fast, reference = (random_bilm(raw_options(cell_clip=0.5), scale=0.3, stateful=True) for _ in range(2))
for sentences in ([["a", "b"], ["c"]], [["d"]]):
    ids = torch.from_numpy(encode_sentences(sentences, max_characters=12))
    got = fast(ids).layers
    with paths.reference_only():
        expected = reference(ids).layers
    for layer in expected:
        assert (got[layer] - expected[layer]).abs().max() <= 1e-5
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


@pytest.mark.parametrize("factors", ["fp32", "bf16", "fp16"])
def test_kernels_compile_for_a_gpu(factors):
    """What the interpreter takes, the compiler may refuse."""
    compiler = pytest.importorskip("triton.compiler")
    target = pytest.importorskip("triton.backends.compiler").GPUTarget("cuda", 80, 32)
    from elmo_tagger.bilm.cuda import kernels

    numbers = {"step": "i32", "clip": "fp32", "rows": "i32", "width": "i32", "HAS_CLIP": "constexpr"}
    pointers = {"left": "*i32", **dict.fromkeys(("gates", "hidden", "projected", "output"), f"*{factors}")}
    strides = dict.fromkeys(("gates_direction", "projected_direction", "cell_direction", "output_direction"), "i64")
    kinds = {**numbers, **pointers, **strides, "bias": "*fp32", "cell": "*fp32", "BLOCK": "constexpr"}
    for kernel in (kernels._cells, kernels._outputs):
        signature = {name: kinds[name] for name in kernel.arg_names}
        source = compiler.ASTSource(kernel, signature, constexprs={"HAS_CLIP": True, "BLOCK": 512})
        assert ".entry" in triton_assembly(compiler, source, target)


def triton_assembly(compiler, source, target):
    return compiler.compile(source, target=target).asm["ptx"]
