"""Python's search for cyclic garbage, put off while many objects are made that will stay."""

import gc
from contextlib import contextmanager
from typing import Iterator


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Collect nothing within.

    Every token of a corpus is an object that stays. Python counts the new ones, and looks through all that there are,
    the libraries' million among them, again and again: half of the time that reading a corpus takes.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
