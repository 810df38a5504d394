"""What holds for all tests: their order, and that none is timed."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

# A busy machine is no failure.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Each is one long chain of processes: begun last, it would keep one of two workers waiting for the other.
FIRST = ("test_readme.py", "test_ray.py", "test_training_configs.py", "test_lm_training.py", "test_command_line.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, the others in their order."""
    places = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path.name, len(FIRST)))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For a test that watches operations by one of PyTorch's modes, which see those of their own thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
