import pytest
import torch

from elmo_tagger.bilm.pooling import POOLINGS, pool, pooled_dim
from tests.bilm.random_models import TOLERANCE
from tests.reference import pooling as reference

LENGTHS = [4, 1, 0, 7]


def batch(filling: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    vectors = torch.randn(len(LENGTHS), max(LENGTHS), 5, generator=generator)
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS).unsqueeze(1)
    return vectors.masked_fill(~mask.unsqueeze(-1), filling), mask


@pytest.mark.parametrize("how", POOLINGS)
@pytest.mark.parametrize("filling", [0.0, 1e9, -1e9, float("nan")])
def test_equals_plain_python_whatever_padding_holds(how: str, filling: float) -> None:
    vectors, mask = batch(filling)
    pooled = pool(vectors, mask, how)
    for row, length in enumerate(LENGTHS):
        expected = reference.pool(vectors[row, :length].tolist(), how) if length else [0.0] * pooled_dim(5, how)
        torch.testing.assert_close(pooled[row], torch.tensor(expected), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("how", POOLINGS)
def test_leading_axes_share_the_mask(how: str) -> None:
    vectors, mask = batch(0.0)
    layers = torch.stack([vectors, 2 * vectors, -vectors], dim=1)
    pooled = pool(layers, mask.unsqueeze(1), how)
    torch.testing.assert_close(pooled[:, 1], pool(2 * vectors, mask, how), atol=0, rtol=0)
    torch.testing.assert_close(pooled[:, 2], pool(-vectors, mask, how), atol=0, rtol=0)


@pytest.mark.parametrize("how", POOLINGS)
def test_a_gap_is_skipped(how: str) -> None:
    vectors, mask = batch(0.0)
    mask[3, [0, 2, 6]] = False
    together = vectors[3:, mask[3]]
    alone = pool(together, torch.ones(together.shape[:2], dtype=torch.bool), how)
    torch.testing.assert_close(pool(vectors, mask, how)[3:], alone, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("how", POOLINGS)
def test_no_words_at_all(how: str) -> None:
    pooled = pool(torch.empty(2, 0, 5), torch.empty(2, 0, dtype=torch.bool), how)
    assert pooled.tolist() == [[0.0] * pooled_dim(5, how)] * 2


@pytest.mark.parametrize("words", [0, 3])
def test_another_name_is_refused(words: int) -> None:
    with pytest.raises(ValueError, match="pooling: expected one of mean, max, first-last, received 'sum'"):
        pool(torch.ones(1, words, 2), torch.ones(1, words, dtype=torch.bool), "sum")
