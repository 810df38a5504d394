"""What holds for all tests: their order, and that none is timed."""

import pytest
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
