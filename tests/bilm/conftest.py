"""Fast paths are used without the check of `verification`, which would be counted as work."""

import pytest

from elmo_tagger.bilm.dispatch import PATH_VARIABLE


@pytest.fixture(autouse=True)
def fast_paths_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of the check itself the variable is taken away again."""
    monkeypatch.setenv(PATH_VARIABLE, "fast")
