"""What holds for all tests: their order, their processes and threads, and that none is timed."""

import os
from collections.abc import Iterator
from pathlib import Path

# Several processes share the cores; with as many threads each they would mostly wait for each other. Before torch is
# imported, which reads it once; the processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import settings

from tests.commands import served

# A busy machine is no failure.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Each is one long chain of processes: begun last, it would keep one of two workers waiting for the other.
FIRST = (
    "test_readme.py",
    "test_docs.py",
    "test_training_configs.py",
    "test_lm_training.py",
    "test_ray.py",
    "test_command_line.py",
)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Processes where `-n` does not say: none for single files, which are done before others would have started."""
    return 0 if any(".py" in argument for argument in config.args) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, the others in their order."""
    places = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(FIRST)))


@pytest.fixture(scope="session")
def commands() -> Iterator[Path]:
    """A directory with `allennlp`, `elmo-tagger` and `python`, which start without importing AllenNLP anew."""
    with served() as directory:
        yield directory


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For a test that watches operations by one of PyTorch's modes, which see those of their own thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
