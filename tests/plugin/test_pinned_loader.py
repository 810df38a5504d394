"""The data loader whose batches are copied while the GPU computes."""

from __future__ import annotations

import pytest
import torch
from allennlp.common import Params
from allennlp.data import DataLoader, DatasetReader, Vocabulary

from elmo_tagger.plugin import pinned_loader

TRAIN = "fixtures/quickstart/train.conll"


def loader(kind: str, **arguments: object) -> DataLoader:
    reader = DatasetReader.from_params(
        Params({"type": "conll_columns", "token_indexers": {"elmo": {"type": "elmo_hdf5"}}})
    )
    arguments = {"type": kind, "data_path": TRAIN, "batch_size": 64, "shuffle": False, **arguments}
    made = DataLoader.from_params(Params(arguments), reader=reader)
    made.index_with(Vocabulary.from_instances(made.iter_instances()))
    return made


def tensors(batch: dict[str, object]) -> list[torch.Tensor]:
    return [batch["tokens"]["elmo"]["elmo_tokens"], batch["tags"]]


@pytest.mark.parametrize("workers", [0, 1])
def test_pinned_batches_equal_those_of_allennlps_loader(workers: int) -> None:
    ours = list(loader("pinned", num_workers=workers))
    expected = list(loader("multiprocess"))
    assert len(ours) == len(expected) > 1
    for batch, other in zip(ours, expected, strict=True):
        assert batch["metadata"] == other["metadata"]
        for got, wanted in zip(tensors(batch), tensors(other), strict=True):
            assert torch.equal(got, wanted)


def test_all_tensors_are_sent_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []

    def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
        sent.append(tensor.device.type)
        return tensor.to(device)

    monkeypatch.setattr(pinned_loader, "to_device", to_device)
    ours = loader("pinned")
    ours.set_target_device(torch.device("meta"))
    batch = next(iter(ours))
    assert all(tensor.device.type == "meta" for tensor in tensors(batch))
    assert sent == ["cpu"] * len(tensors(batch))
    assert batch["metadata"][0]["words"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_batch_does_not_wait_for_the_gpu() -> None:
    ours = loader("pinned")
    ours.set_target_device(torch.device("cuda", 0))
    busy = torch.randn(4096, 4096, device="cuda")
    done = torch.cuda.Event()
    for _ in range(200):
        busy = busy @ busy
    done.record()
    batch = next(iter(ours))
    assert not done.query()
    assert torch.equal(tensors(batch)[1].cpu(), tensors(next(iter(loader("multiprocess"))))[1])
