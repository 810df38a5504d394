"""Distinct rows: found, put back, and safe from chance."""

from __future__ import annotations

import pytest
import torch

from elmo_tagger.bilm import distinct


@pytest.mark.parametrize("dtype", [torch.int16, torch.int64])
@pytest.mark.parametrize("count", [0, 1, 200])
def test_rows_come_back(count, dtype):
    rows = torch.randint(0, 3, (count, 4), generator=torch.Generator().manual_seed(0)).to(dtype)
    found, places = distinct.distinct_rows(rows)
    assert torch.equal(found[places], rows)
    assert sorted(found.tolist()) == sorted(map(list, set(map(tuple, rows.tolist()))))


def test_order_within_a_row_counts():
    found, _ = distinct.distinct_rows(torch.tensor([[1, 2], [2, 1], [1, 2], [3, 0]]))
    assert len(found) == 3


def test_rows_of_one_hash_are_not_merged(monkeypatch):
    monkeypatch.setattr(distinct, "row_hashes", lambda rows: rows.sum(dim=1))
    rows = torch.tensor([[1, 2], [2, 1], [1, 2]])
    found, places = distinct.distinct_rows(rows)
    assert torch.equal(found[places], rows)
    assert len(found) == 2
