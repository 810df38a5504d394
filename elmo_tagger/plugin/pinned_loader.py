"""`pinned`: AllenNLP's data loader, whose batches reach a GPU while it computes."""

from typing import Any, Iterator, Optional

import torch
from allennlp.data.data_loaders.data_loader import DataLoader, TensorDict
from allennlp.data.data_loaders.multiprocess_data_loader import MultiProcessDataLoader

from elmo_tagger.bilm.device import to_device


@DataLoader.register("pinned")
class PinnedDataLoader(MultiProcessDataLoader):
    """Takes the arguments of `multiprocess` and gives its batches.

    `multiprocess` copies a batch from pageable memory, for which the host waits until the GPU has done everything
    before it. Here batches are copied from pinned memory, and the host goes on. Without CUDA the two are the same.
    """

    _target: Optional[torch.device] = None

    def set_target_device(self, device: torch.device) -> None:
        """Where batches are put."""
        self._target = device

    def __iter__(self) -> Iterator[TensorDict]:
        for batch in super().__iter__():
            yield batch if self._target is None else _moved(batch, self._target)


def _moved(value: Any, device: torch.device) -> Any:
    """Tensors on the device, wherever they are in dictionaries; all else as it is."""
    if isinstance(value, dict):
        return {key: _moved(each, device) for key, each in value.items()}
    return to_device(value, device) if isinstance(value, torch.Tensor) and value.device != device else value
