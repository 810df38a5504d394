"""A stored word's vector is the one that any other batch would have given, to the last bit."""

import pytest
import torch

from elmo_tagger.bilm.characters import encode_words
from elmo_tagger.bilm.matrix import Matrix, available_layouts
from elmo_tagger.bilm.model import Bilm

needs_blocks = pytest.mark.skipif(len(available_layouts(torch.float32)) == 1, reason="no oneDNN blocks on this machine")


@needs_blocks
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(8, 8), (56, 32), (512, 128)], ids=str)
def test_a_steady_row_does_not_depend_on_the_others(shape: tuple[int, int], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    matrix = Matrix(torch.randn(shape), torch.randn(shape[1]), dtype=dtype, steady=True)
    rows = torch.randn(70, shape[0])
    together = matrix(rows)
    for size in (1, 2, 3, 16, 17, 33, 69):
        parts = torch.cat([matrix(rows[i : i + size]) for i in range(0, len(rows), size)])
        assert torch.equal(parts, together), size


@needs_blocks
def test_words_alone_have_the_bits_of_words_together() -> None:
    bilm = Bilm.load("fixtures/bilm/options.json", "fixtures/bilm/weights.hdf5").requires_grad_(False)
    words = ["a", "of", "Emma", "Hartdal", "extraordinarily", "x" * 60, "日本", ""]
    ids = torch.from_numpy(encode_words(words))
    together = bilm.embed_words(ids)
    for row in range(len(words)):
        assert torch.equal(bilm.embed_words(ids[row : row + 1])[0], together[row]), words[row]
