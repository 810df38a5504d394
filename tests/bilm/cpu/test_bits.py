"""What a word and a sentence get, other words and sentences beside them do not change, to the last bit."""

import pytest
import torch

from elmo_tagger.bilm.characters import encode_sentences, encode_words
from elmo_tagger.bilm.cpu.prepacked_linear import PrepackedLinear, available_layouts
from elmo_tagger.bilm.model import Bilm
from tests.bilm.random_models import random_bilm, raw_options

needs_blocks = pytest.mark.skipif(len(available_layouts(torch.float32)) == 1, reason="no oneDNN blocks on this machine")


def promised(dtype: torch.dtype) -> bool:
    """Whether this processor multiplies factors of a type as float32, which is where bits are promised."""
    return PrepackedLinear(torch.eye(8), dtype=dtype).computed_in == torch.float32


PRECISIONS = [
    "float32",
    "float16",
    pytest.param(
        "bfloat16",
        marks=pytest.mark.skipif(not promised(torch.bfloat16), reason="this processor multiplies bfloat16 itself"),
    ),
]
SHAPES = [(8, 8), (56, 32), (512, 128), (128, 2048), (512, 4096)]


@needs_blocks
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_row_does_not_depend_on_the_others(shape: tuple[int, int], precision: str) -> None:
    torch.manual_seed(0)
    dtype = getattr(torch, precision)
    matrix = PrepackedLinear(torch.randn(shape), torch.randn(shape[1]), dtype=dtype, layout="packed")
    rows, addends = torch.randn(70, shape[0]), torch.randn(70, shape[1]).to(dtype)
    together, added = matrix(rows), matrix(rows, addends.clone())
    for size in (1, 2, 3, 16, 17, 33, 69):
        parts = [slice(start, start + size) for start in range(0, len(rows), size)]
        assert torch.equal(torch.cat([matrix(rows[part]) for part in parts]), together), size
        assert torch.equal(torch.cat([matrix(rows[part], addends[part].clone()) for part in parts]), added), size


@needs_blocks
@pytest.mark.parametrize("precision", PRECISIONS)
def test_words_alone_have_the_bits_of_words_together(precision: str) -> None:
    # no vectors are stored: a word alone would get what it got together
    bilm = Bilm.load(
        "fixtures/bilm/options.json", "fixtures/bilm/weights.hdf5", precision=precision, stored_words=0
    ).requires_grad_(False)
    words = ["a", "of", "Emma", "Hartdal", "extraordinarily", "x" * 60, "日本", ""]
    ids = torch.from_numpy(encode_words(words))
    together = bilm.embed_words(ids)
    for row in range(len(words)):
        assert torch.equal(bilm.embed_words(ids[row : row + 1])[0], together[row]), words[row]


def same_bits_for_any_rows_in_float16() -> bool:
    """Whether the processor is one of those where float16 too is promised; narrower ones add up one row otherwise."""
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512")


SENTENCE_PRECISIONS = [
    "float32",
    "int8",
    pytest.param(
        "float16",
        marks=pytest.mark.skipif(not same_bits_for_any_rows_in_float16(), reason="not promised without AVX-512"),
    ),
    PRECISIONS[-1],
]


@needs_blocks
@pytest.mark.parametrize("precision", SENTENCE_PRECISIONS)
def test_a_sentence_alone_has_the_bits_of_a_sentence_in_a_batch(precision: str) -> None:
    # as wide as weights have to be for BLAS to add up one row otherwise than several
    options = raw_options(dim=1024, projection_dim=256, max_characters_per_token=50)
    bilm = random_bilm(options, scale=0.1, precision=precision, stored_words=0)
    sentences = [f"w{n} said that w{n % 7} saw {'w' * n} .".split()[: 2 + n % 5] for n in range(40)]
    ids = torch.from_numpy(encode_sentences(sentences))
    together = bilm(ids).layers
    for row, sentence in enumerate(sentences):
        alone = bilm(ids[row : row + 1, : len(sentence)]).layers
        for layer, vectors in alone.items():
            assert torch.equal(vectors[0], together[layer][row, : len(sentence)]), (layer, row)
